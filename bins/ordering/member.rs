//! A member gives orders.

use cli::Error;
use group::membership::Order;

use super::{Commands, Given};
use crate::speaking::{refused, remember};
use crate::taking_part::work::Work;

impl Commands for Work<'_> {
    async fn command(&mut self, order: &Order) -> Result<Result<Given, Error>, Error> {
        let messages = self.messages().clone();
        match self.step(|member, env| member.order(order, &messages, env)).await? {
            Ok(ordered) => {
                remember(&messages, ordered.changes).await?;
                let id =
                    |number| self.keep().look(|member| member.relay(number).and_then(|record| record.id().cloned()));
                let relays = ordered.relays.into_iter().filter_map(id).collect();
                Ok(Ok(Given { message: ordered.message, relays }))
            }
            Err(error) => Ok(Err(refused(error))),
        }
    }

    async fn tell(&mut self) -> Result<(), Error> {
        self.until_sent().await.map(drop)
    }
}
