//! Orders in a group: given by whoever has the state file, as a member or as an owner.
//!
//! | module | holds |
//! |---|---|
//! | [`known`] | what is printed of a member |
//! | `member`, `owner` | who gives orders |

pub mod known;
mod member;
mod owner;

use cli::{Code, Context, Either, Error, Kept, State, Timeout};
use group::identity::MemberId;
use group::membership::Order;
use group::message_id::MessageId;

use crate::documents::{Group, Member};
use crate::held::{GroupKeep, MemberKeep};
use crate::owning;
use crate::speaking::Speaks;
use crate::speaking::sent::SentToRelay;
use crate::taking_part::messages::Messages;
use crate::taking_part::work::{Reading, Work, restored};

/// A run that can give orders.
trait Commands: Speaks {
    /// Gives an order. It is durable then; why it cannot be given is another result than that nothing can be kept any more.
    fn command(&mut self, order: &Order) -> impl Future<Output = Result<Result<Given, Error>, Error>>;

    /// Works until everybody is told, or for too long.
    fn tell(&mut self) -> impl Future<Output = Result<(), Error>>;
}

/// An order that was given.
struct Given {
    message: Option<MessageId>,
    relays: Vec<MemberId>,
}

/// An order, and how far it is on its way.
#[derive(Debug, Clone)]
pub struct Ordered {
    /// The message that says so; none if nothing was to be changed.
    pub message: Option<MessageId>,
    /// The relays that are to pass it on.
    pub relays: Vec<SentToRelay>,
}

/// Who gives orders, with the name of the run.
pub enum Commander {
    /// A member.
    Member(MemberKeep, String),
    /// An owner.
    Owner(GroupKeep, String),
}

impl Commander {
    /// Whoever the state file belongs to.
    pub fn open(state: State, kept: &Kept) -> Result<Self, Error> {
        match state.load::<Either<Member, Group>>()? {
            Either::First(member) => restored(member, state, kept).map(|(keep, run)| Commander::Member(keep, run)),
            Either::Second(group) => {
                owning::restored(group, state, kept).map(|(keep, run)| Commander::Owner(keep, run))
            }
        }
    }

    /// Whether it is an owner.
    pub fn is_owner(&self) -> bool {
        matches!(self, Commander::Owner(..))
    }

    /// Gives an order, and waits until all relays have it, or for too long.
    pub async fn give(
        &self,
        order: &Order,
        kept: &Kept,
        timeout: Timeout,
        ctx: &mut Context,
    ) -> Result<Ordered, Error> {
        match self {
            Commander::Member(keep, run) => {
                let messages = Messages::beside(&kept.state)?;
                let mut work = Work::start(ctx, (keep, run), messages, Reading::Looks, timeout).await?;
                let ordered = give(&mut work, order).await;
                work.close().await;
                ordered?
            }
            Commander::Owner(keep, run) => {
                let mut work = owning::work::Work::start(ctx, keep, timeout, run).await?;
                let ordered = give(&mut work, order).await;
                work.close().await;
                ordered?
            }
        }
    }
}

async fn give(run: &mut impl Commands, order: &Order) -> Result<Result<Ordered, Error>, Error> {
    let Given { message, relays } = match run.command(order).await? {
        Ok(given) => given,
        Err(refused) => return Ok(Err(refused)),
    };
    // What a run before this one did not get away goes now.
    run.tell().await?;
    let mut told = Vec::new();
    for relay in &relays {
        told.push(SentToRelay::new(relay, run.name_of(relay), run.is_waiting(relay).await?));
    }
    Ok(Ok(Ordered { message, relays: told }))
}

impl Ordered {
    /// An order is done when the servers of all relays have it.
    pub fn outcome(&self, timeout: Timeout) -> Result<(), Error> {
        match self.relays.iter().filter(|relay| relay.waits()).count() {
            0 => Ok(()),
            waiting => {
                let message = format!("{waiting} relays do not have the order after {} s", timeout.timeout);
                Err(Error::new(Code::NotYet, message).hint("it is kept; the next run on the same file goes on"))
            }
        }
    }
}
