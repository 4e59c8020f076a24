//! Relays that admit the member: how long a run waits for them, and what it says if they do not.

use cli::{Code, Error, Timeout};
use group::membership::{MemberError, Membership, RelayRecord, Status};
use serde::{Deserialize, Serialize};

/// What a run waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// That relays were asked.
    Asked,
    /// The first relay that admits the member.
    One,
    /// All relays.
    All,
}

impl Wanted {
    /// Whether there is no reason to wait any longer.
    pub fn is_decided(self, member: &Membership) -> bool {
        let asked = |record: &RelayRecord| record.status() != Status::Listed;
        let over = |record: &RelayRecord| matches!(record.status(), Status::Connected | Status::Gone);
        let all_gone = member.relays().iter().all(|record| record.status() == Status::Gone);
        member.ended().is_some()
            || all_gone
            || match self {
                Wanted::Asked => member.relays().iter().all(asked),
                Wanted::All => member.relays().iter().all(over),
                Wanted::One => member.is_usable(),
            }
    }

    /// How the run ends.
    pub fn outcome(self, member: &Membership, timeout: Timeout) -> Result<(), Error> {
        if let Some(why) = member.ended() {
            return Err(Error::new(Code::Refused, why));
        }
        if self.is_decided(member) && (member.is_usable() || self == Wanted::Asked) {
            return Ok(());
        }
        let reason = member.relays().iter().find_map(RelayRecord::why_gone);
        match reason.filter(|_| member.relays().iter().all(|record| record.status() == Status::Gone)) {
            Some(reason) => {
                Err(Error::new(Code::Refused, reason).hint("grp-restore asks again; other relays may come"))
            }
            None => {
                let problem = member.relays().iter().find_map(RelayRecord::problem);
                let problem = problem.map(|problem| format!(": {problem}")).unwrap_or_default();
                let which = if member.is_usable() { "not every relay" } else { "no relay" };
                let message = format!("{which} has admitted the member within {} s{problem}", timeout.timeout);
                Err(Error::new(Code::NotYet, message).hint("the same command goes on"))
            }
        }
    }
}

/// What cannot be done, as the run says it.
pub fn refused(error: MemberError) -> Error {
    match error {
        MemberError::NoRelays => Error::new(Code::NotYet, error).hint("try again when its owner has found a relay"),
        MemberError::Over(why) => Error::new(Code::Usage, why).hint("join with another state file"),
        error => Error::new(Code::Usage, error),
    }
}
