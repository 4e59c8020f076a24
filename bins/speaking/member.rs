//! A member speaks.

use cli::Error;
use group::identity::MemberId;
use group::membership::{Line, Speech};

use super::{Said, Speaks, refused, remember};
use crate::taking_part::work::Work;

impl Speaks for Work<'_> {
    async fn speak(&mut self, speech: &Speech) -> Result<Result<Said, Error>, Error> {
        let messages = self.messages().clone();
        match self.step(|member, env| member.say(speech, &messages, env)).await? {
            Ok(spoken) => {
                remember(&messages, spoken.changes).await?;
                let id =
                    |number| self.keep().look(|member| member.relay(number).and_then(|record| record.id().cloned()));
                let relays = spoken.relays.into_iter().filter_map(id).collect();
                Ok(Ok(Said { messages: spoken.messages, reveals_owner: spoken.reveals_owner, relays }))
            }
            Err(error) => Ok(Err(refused(error))),
        }
    }

    async fn is_waiting(&self, relay: &MemberId) -> Result<bool, Error> {
        let record = self.keep().look(|member| member.relay_with_id(relay).cloned());
        let Some(record) = record else { return Ok(true) };
        let mut unsent = record.unsent();
        // A second connection that does not stand yet has nothing of what was said.
        let lines = if record.has_content_line() { &[Line::Main, Line::Content][..] } else { &[Line::Main] };
        for line in lines {
            unsent = unsent.saturating_add(self.unsent(&record.connection(*line)).await?);
        }
        Ok(unsent > 0 || !record.is_connected())
    }

    fn name_of(&self, relay: &MemberId) -> Option<String> {
        let name = |profile: &group::user_data::RelayProfile| profile.display_name.clone();
        self.keep().look(|member| member.relay_with_id(relay).and_then(|record| record.profile()).map(name))
    }
}
