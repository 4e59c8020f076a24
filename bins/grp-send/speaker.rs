//! Who speaks: a member or an owner, as the state file says.

use cli::{Code, Context, Either, Error, Kept, State, Timeout};
use group::identity::MemberId;
use group::membership::{Change, MemberError, Membership, Speech, SpeechFault};
use group::message_id::MessageId;
use group::owner::{GroupOwner, OwnerError};
use grp::documents::{Group, Member};
use grp::held::{GroupKeep, MemberKeep};
use grp::owning;
use grp::taking_part::lines::{blob_of_member, blob_of_message};
use grp::taking_part::messages::Messages;
use grp::taking_part::work::{Reading, Work, restored};

use crate::say::{GroupSent, SentStatus, SentToRelay};

/// Who speaks, with the name of the run.
pub(crate) enum Speaker {
    Member(MemberKeep, String, Messages),
    Owner(GroupKeep, String),
}

/// One message that was said.
struct Said {
    messages: Vec<MessageId>,
    reveals_owner: bool,
    relays: Vec<MemberId>,
}

impl Speaker {
    /// Reads the state file.
    pub(crate) fn open(state: State, kept: &Kept) -> Result<Self, Error> {
        match state.load::<Either<Member, Group>>()? {
            Either::First(member) => {
                let (keep, run) = restored(member, state, kept)?;
                Ok(Speaker::Member(keep, run, Messages::beside(&kept.state)?))
            }
            Either::Second(group) => owning::restored(group, state, kept).map(|(keep, run)| Speaker::Owner(keep, run)),
        }
    }

    pub(crate) fn is_owner(&self) -> bool {
        matches!(self, Speaker::Owner(..))
    }

    /// Says everything, one after the other, and waits until all relays have it, or for too long.
    pub(crate) async fn say(
        self,
        speeches: &[Speech],
        timeout: Timeout,
        ctx: &mut Context,
    ) -> Result<Vec<GroupSent>, Error> {
        match self {
            Speaker::Member(keep, run, messages) => say_as_member(keep, &run, speeches, messages, timeout, ctx).await,
            Speaker::Owner(keep, run) => say_as_owner(keep, &run, speeches, timeout, ctx).await,
        }
    }
}

async fn say_as_member(
    keep: MemberKeep,
    run: &str,
    speeches: &[Speech],
    messages: Messages,
    timeout: Timeout,
    ctx: &mut Context,
) -> Result<Vec<GroupSent>, Error> {
    let mut work = Work::start(ctx, (&keep, run), messages.clone(), Reading::Looks, timeout).await?;
    let mut said = Vec::new();
    let mut outcome = Ok(());
    for speech in speeches {
        let spoken = work.step(|member, env| member.say(speech, &messages, env)).await?;
        match spoken {
            Ok(spoken) => {
                remember(&messages, spoken.changes).await?;
                let id = |number| keep.look(|member| member.relay(number).and_then(|record| record.id().cloned()));
                let relays = spoken.relays.into_iter().filter_map(id).collect();
                said.push(Said { messages: spoken.messages, reveals_owner: spoken.reveals_owner, relays });
            }
            Err(error) => {
                outcome = Err(refused(error));
                break;
            }
        }
    }
    if !said.is_empty() {
        work.until_sent().await?;
    }
    let to_relay = async |relay: &MemberId| {
        let unsent = unsent_of_member(&work, relay).await?;
        Ok(to_relay(relay, keep.look(|member| name_in(member, relay)), unsent))
    };
    let sent = documents(said, to_relay).await?;
    work.close().await;
    print_before(outcome, sent, ctx)
}

/// Whether something of ours is not with the server of a relay.
async fn unsent_of_member(work: &Work<'_>, relay: &MemberId) -> Result<bool, Error> {
    use group::membership::Line;
    let record = work.keep().look(|member| member.relay_with_id(relay).cloned());
    let Some(record) = record else { return Ok(true) };
    let mut unsent = record.unsent();
    // A second connection that does not stand yet has nothing of what was said.
    let lines = if record.has_content_line() { &[Line::Main, Line::Content][..] } else { &[Line::Main] };
    for line in lines {
        unsent = unsent.saturating_add(work.unsent(&record.connection(*line)).await?);
    }
    Ok(unsent > 0 || !record.is_connected())
}

fn name_in(member: &Membership, relay: &MemberId) -> Option<String> {
    let profile = member.relay_with_id(relay).and_then(|record| record.profile());
    profile.map(|profile| profile.display_name.clone())
}

async fn say_as_owner(
    keep: GroupKeep,
    run: &str,
    speeches: &[Speech],
    timeout: Timeout,
    ctx: &mut Context,
) -> Result<Vec<GroupSent>, Error> {
    let mut work = owning::work::Work::start(ctx, &keep, timeout, run).await?;
    let messages = work.messages().clone();
    let mut said = Vec::new();
    let mut outcome = Ok(());
    for speech in speeches {
        let spoken = work.step(|owner, env| owner.say(speech, &messages, env)).await?;
        match spoken {
            Ok(spoken) => {
                remember(&messages, spoken.changes).await?;
                let (reveals_owner, relays) = (spoken.reveals_owner, spoken.relays);
                said.push(Said { messages: spoken.messages, reveals_owner, relays });
            }
            Err(OwnerError::Speech(error)) => {
                outcome = Err(refused(error));
                break;
            }
            Err(error) => {
                outcome = Err(Error::new(Code::Usage, error));
                break;
            }
        }
    }
    if !said.is_empty() {
        work.until(|_| true).await?;
    }
    let to_relay = async |relay: &MemberId| {
        let unsent = unsent_of_owner(&work, relay).await?;
        Ok(to_relay(relay, keep.look(|owner| name_of(owner, relay)), unsent))
    };
    let sent = documents(said, to_relay).await?;
    work.close().await;
    print_before(outcome, sent, ctx)
}

async fn unsent_of_owner(work: &owning::work::Work<'_>, relay: &MemberId) -> Result<bool, Error> {
    let record = work.keep().look(|owner| owner.relay(relay).cloned());
    let Some(record) = record else { return Ok(true) };
    let unsent = work.unsent(&record.connection()).await?;
    Ok(unsent > 0 || record.has_tasks() || !record.is_connected())
}

fn name_of(owner: &GroupOwner, relay: &MemberId) -> Option<String> {
    let profile = owner.relay(relay).and_then(|record| record.profile());
    profile.map(|profile| profile.display_name.clone())
}

/// What was said, with how far it is on its way to each relay.
async fn documents(
    said: Vec<Said>,
    to_relay: impl AsyncFn(&MemberId) -> Result<SentToRelay, Error>,
) -> Result<Vec<GroupSent>, Error> {
    let mut sent = Vec::new();
    for said in said {
        let mut relays = Vec::new();
        for relay in &said.relays {
            relays.push(to_relay(relay).await?);
        }
        sent.push(said.into_document(relays));
    }
    Ok(sent)
}

async fn remember(messages: &Messages, changes: Vec<Change>) -> Result<(), Error> {
    messages.write(changes, Vec::new()).await.map(drop)
}

fn to_relay(relay: &MemberId, relay_name: Option<String>, unsent: bool) -> SentToRelay {
    let status = if unsent { SentStatus::Waiting } else { SentStatus::Sent };
    SentToRelay { relay_id: blob_of_member(relay), relay_name, status }
}

impl Said {
    fn into_document(self, relays: Vec<SentToRelay>) -> GroupSent {
        let mut ids = self.messages.iter().map(blob_of_message);
        let message_id = ids.next().unwrap_or(cli::Blob(Vec::new()));
        GroupSent { message_id, parts: ids.collect(), reveals_owner: self.reveals_owner, relays }
    }
}

/// What was said before something failed is printed before the failure.
fn print_before(outcome: Result<(), Error>, sent: Vec<GroupSent>, ctx: &mut Context) -> Result<Vec<GroupSent>, Error> {
    if let Err(error) = outcome {
        sent.iter().try_for_each(|sent| ctx.emit(sent))?;
        return Err(error);
    }
    Ok(sent)
}

fn refused(error: MemberError) -> Error {
    match error {
        MemberError::NotConnected => {
            Error::new(Code::NotYet, error).hint("grp-join, or grp-relay-invite for owners, goes on with relays")
        }
        MemberError::Speech(SpeechFault::SingleOwner) => {
            Error::new(Code::Usage, error).hint("--force says it all the same")
        }
        MemberError::Records(error) => Error::new(Code::StoreFailed, error),
        error => Error::new(Code::Usage, error),
    }
}
