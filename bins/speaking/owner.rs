//! An owner speaks.

use cli::{Code, Error};
use group::identity::MemberId;
use group::membership::Speech;
use group::owner::OwnerError;

use super::{Said, Speaks, refused, remember};
use crate::owning::work::Work;

impl Speaks for Work<'_> {
    async fn speak(&mut self, speech: &Speech) -> Result<Result<Said, Error>, Error> {
        let messages = self.messages().clone();
        match self.step(|owner, env| owner.say(speech, &messages, env)).await? {
            Ok(spoken) => {
                remember(&messages, spoken.changes).await?;
                let (reveals_owner, relays) = (spoken.reveals_owner, spoken.relays);
                Ok(Ok(Said { messages: spoken.messages, reveals_owner, relays }))
            }
            Err(OwnerError::Speech(error)) => Ok(Err(refused(error))),
            Err(error) => Ok(Err(Error::new(Code::Usage, error))),
        }
    }

    async fn is_waiting(&self, relay: &MemberId) -> Result<bool, Error> {
        let record = self.keep().look(|owner| owner.relay(relay).cloned());
        let Some(record) = record else { return Ok(true) };
        let unsent = self.unsent(&record.connection()).await?;
        Ok(unsent > 0 || record.has_tasks() || !record.is_connected())
    }

    fn name_of(&self, relay: &MemberId) -> Option<String> {
        let profile = self.keep().look(|owner| owner.relay(relay).and_then(|record| record.profile().cloned()));
        profile.map(|profile| profile.display_name)
    }
}
