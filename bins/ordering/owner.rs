//! An owner gives orders.

use cli::{Code, Error};
use group::membership::Order;
use group::owner::OwnerError;

use super::{Commands, Given};
use crate::owning::work::Work;
use crate::speaking::{refused, remember};

impl Commands for Work<'_> {
    async fn command(&mut self, order: &Order) -> Result<Result<Given, Error>, Error> {
        let messages = self.messages().clone();
        match self.step(|owner, env| owner.order(order, &messages, env)).await? {
            Ok(issued) => {
                remember(&messages, issued.changes).await?;
                self.told(&issued.events);
                Ok(Ok(Given { message: issued.message, relays: issued.relays }))
            }
            Err(OwnerError::Speech(error)) => Ok(Err(refused(error))),
            Err(error) => Ok(Err(Error::new(Code::Usage, error))),
        }
    }

    async fn tell(&mut self) -> Result<(), Error> {
        self.until(|_| true).await.map(drop)
    }
}
