//! What is said in a group by whoever takes part in it: as a member or as an owner, by the run that has the state file, for
//! itself or for another run.
//!
//! | module | holds |
//! |---|---|
//! | [`say`] | what is to be said, as a line |
//! | [`sent`] | what was said, as a line |
//! | `member`, `owner` | who says it |

mod member;
mod owner;
pub mod say;
pub mod sent;

use cli::{Code, Error};
use group::identity::MemberId;
use group::membership::{Change, MemberError, Speech, SpeechFault};
use group::message_id::MessageId;

use self::sent::{GroupSent, SentToRelay};
use crate::taking_part::messages::Messages;

/// A run that can speak.
pub trait Speaks {
    /// Says something. It is durable then; why it cannot be said is another result than that nothing can be kept any more.
    fn speak(&mut self, speech: &Speech) -> impl Future<Output = Result<Result<Said, Error>, Error>>;

    /// Whether a relay does not have all that was said.
    fn is_waiting(&self, relay: &MemberId) -> impl Future<Output = Result<bool, Error>>;

    /// What a relay calls itself.
    fn name_of(&self, relay: &MemberId) -> Option<String>;
}

/// One message that was said.
#[derive(Debug)]
pub struct Said {
    messages: Vec<MessageId>,
    reveals_owner: bool,
    relays: Vec<MemberId>,
}

/// Several messages that are on their way.
#[derive(Debug)]
pub struct Speaking {
    said: Vec<Said>,
    refused: Option<Error>,
}

impl Speaking {
    /// Says everything, one after the other, until something cannot be said.
    pub async fn begin(run: &mut impl Speaks, speeches: &[Speech]) -> Result<Self, Error> {
        let mut speaking = Speaking { said: Vec::new(), refused: None };
        for speech in speeches {
            match run.speak(speech).await? {
                Ok(said) => speaking.said.push(said),
                Err(error) => {
                    speaking.refused = Some(error);
                    break;
                }
            }
        }
        Ok(speaking)
    }

    /// Whether nothing was said.
    pub fn is_silent(&self) -> bool {
        self.said.is_empty()
    }

    /// Whether a relay does not have all of it.
    pub async fn is_waiting(&self, run: &impl Speaks) -> Result<bool, Error> {
        for relay in self.said.iter().flat_map(|said| &said.relays) {
            if run.is_waiting(relay).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What was said, with how far it is on its way to each relay.
    pub async fn documents(&self, run: &impl Speaks) -> Result<Vec<GroupSent>, Error> {
        let mut documents = Vec::new();
        for said in &self.said {
            let mut relays = Vec::new();
            for relay in &said.relays {
                relays.push(SentToRelay::new(relay, run.name_of(relay), run.is_waiting(relay).await?));
            }
            documents.push(GroupSent::new(&said.messages, said.reveals_owner, relays));
        }
        Ok(documents)
    }

    /// Whether something could not be said, which is told after what was.
    pub fn outcome(&self) -> Result<(), Error> {
        self.refused.clone().map_or(Ok(()), Err)
    }
}

pub(crate) async fn remember(messages: &Messages, changes: Vec<Change>) -> Result<(), Error> {
    if changes.is_empty() {
        return Ok(());
    }
    messages.write(changes, Vec::new()).await.map(drop)
}

/// Why something cannot be said or done.
pub(crate) fn refused(error: MemberError) -> Error {
    match error {
        MemberError::NotConnected => {
            Error::new(Code::NotYet, error).hint("grp-restore, or grp-relay-invite for owners, goes on with relays")
        }
        MemberError::Speech(SpeechFault::SingleOwner) => {
            Error::new(Code::Usage, error).hint("--force says it all the same")
        }
        MemberError::Order(fault) => {
            let advice = fault.advice();
            let error = Error::new(Code::Usage, fault);
            advice.map_or(error.clone(), |advice| error.hint(advice))
        }
        MemberError::Records(error) => Error::new(Code::StoreFailed, error),
        error => Error::new(Code::Usage, error),
    }
}
