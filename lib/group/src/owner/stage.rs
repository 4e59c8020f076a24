//! The stages of a relay's record, each with what is known there, and the steps between them.
//!
//! A step takes a stage and gives the next one, so that what a status needs is there and no other step exists:
//! [`Accepted`] is made of a relay that passed every check, and [`Active`] of one that was published.

use agent::connection::Delivery;

use super::address::CheckedAddress;
use super::admission::{AdmittedRelay, Answer};
use super::adopt::Adopting;
use super::status::{ActiveStage, EndReason, InactiveReason, RejectedReason, Status};
use crate::roster::RosterVersion;

#[derive(Debug, Clone)]
pub(super) enum Stage {
    New(New),
    Invited(Invited),
    Accepted(Accepted),
    Acknowledged(Acknowledged),
    /// Another owner invited it.
    Adopting(Adopting),
    Active(Active),
    Inactive(Ended<InactiveReason>),
    Rejected(Ended<RejectedReason>),
}

/// Nobody was asked.
#[derive(Debug, Clone, Default)]
pub(super) struct New {
    /// Read again after a restart.
    pub(super) address: Option<CheckedAddress>,
}

/// The relay was asked.
#[derive(Debug, Clone, Default)]
pub(super) struct Invited {
    pub(super) answer: Option<Answer>,
    /// The owner wants it to be asked once more.
    pub(super) again: Option<New>,
}

/// The relay is willing, and its link is right.
#[derive(Debug, Clone)]
pub(super) struct Accepted {
    pub(super) relay: AdmittedRelay,
    pub(super) handshake: Handshake,
}

/// How far the connection with a willing relay is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handshake {
    /// The relay waits for our word.
    Answered,
    /// It has it, or will.
    Allowed,
    /// Both sides can talk.
    Connected,
}

/// The relay has a roster.
#[derive(Debug, Clone)]
pub(super) struct Acknowledged {
    pub(super) relay: AdmittedRelay,
    pub(super) roster: RosterVersion,
}

/// The group link lists the relay.
#[derive(Debug, Clone)]
pub(super) struct Active {
    pub(super) relay: AdmittedRelay,
    pub(super) roster: Option<RosterVersion>,
    pub(super) stage: ActiveStage,
}

/// The relay is over, but the connection to it need not be.
#[derive(Debug, Clone)]
pub(super) struct Ended<R> {
    pub(super) reason: R,
    pub(super) relay: Option<AdmittedRelay>,
    pub(super) parting: Parting,
}

/// What is still to be said to a relay that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parting {
    /// That we heard its refusal.
    Allow,
    /// What is owed to it.
    Say,
    /// Nothing.
    Done,
}

impl New {
    pub(super) fn invited(&self) -> Invited {
        Invited::default()
    }
}

impl Invited {
    /// The relay's answer. There is no reason left to ask again.
    pub(super) fn answered(&self, answer: Answer) -> Invited {
        Invited { answer: Some(answer), again: None }
    }

    pub(super) fn accepted(&self, relay: AdmittedRelay) -> Accepted {
        Accepted { relay, handshake: Handshake::Answered }
    }
}

impl Accepted {
    pub(super) fn with(&self, handshake: Handshake) -> Accepted {
        Accepted { handshake, ..self.clone() }
    }

    fn is_connected(&self) -> bool {
        self.handshake == Handshake::Connected
    }

    /// The relay took the roster. Not before both sides can talk.
    pub(super) fn acknowledged(&self, roster: RosterVersion) -> Option<Acknowledged> {
        self.is_connected().then(|| Acknowledged { relay: self.relay.clone(), roster })
    }

    /// Relays that know no rosters are listed without one.
    fn is_publishable(&self) -> bool {
        self.is_connected() && !self.relay.answer.takes_rosters()
    }
}

impl Active {
    pub(super) fn with(&self, stage: ActiveStage) -> Active {
        Active { stage, ..self.clone() }
    }
}

impl Stage {
    pub(super) fn status(&self) -> Status {
        match self {
            Stage::New(_) => Status::New,
            Stage::Invited(_) => Status::Invited,
            Stage::Accepted(_) => Status::Accepted,
            Stage::Acknowledged(_) => Status::Acknowledged,
            Stage::Adopting(adopting) => adopting.status(),
            Stage::Active(_) => Status::Active,
            Stage::Inactive(_) => Status::Inactive,
            Stage::Rejected(_) => Status::Rejected,
        }
    }

    pub(super) fn active_stage(&self) -> Option<ActiveStage> {
        match self {
            Stage::Active(active) => Some(active.stage),
            _ => None,
        }
    }

    /// Whether both sides can talk, and the relay is to serve the group.
    pub(super) fn is_connected(&self) -> bool {
        match self {
            Stage::Accepted(accepted) => accepted.is_connected(),
            Stage::Acknowledged(_) | Stage::Active(_) => true,
            _ => false,
        }
    }

    /// The relay, if its link passed every check.
    pub(super) fn relay(&self) -> Option<&AdmittedRelay> {
        match self {
            Stage::New(_) | Stage::Invited(_) => None,
            Stage::Accepted(Accepted { relay, .. })
            | Stage::Acknowledged(Acknowledged { relay, .. })
            | Stage::Adopting(Adopting { relay, .. })
            | Stage::Active(Active { relay, .. }) => Some(relay),
            Stage::Inactive(Ended { relay, .. }) => relay.as_ref(),
            Stage::Rejected(Ended { relay, .. }) => relay.as_ref(),
        }
    }

    pub(super) fn relay_mut(&mut self) -> Option<&mut AdmittedRelay> {
        match self {
            Stage::New(_) | Stage::Invited(_) => None,
            Stage::Accepted(Accepted { relay, .. })
            | Stage::Acknowledged(Acknowledged { relay, .. })
            | Stage::Adopting(Adopting { relay, .. })
            | Stage::Active(Active { relay, .. }) => Some(relay),
            Stage::Inactive(Ended { relay, .. }) => relay.as_mut(),
            Stage::Rejected(Ended { relay, .. }) => relay.as_mut(),
        }
    }

    /// The relay, if its link belongs into the group link.
    pub(super) fn publishable(&self) -> Option<&AdmittedRelay> {
        match self {
            Stage::Accepted(accepted) => Some(&accepted.relay).filter(|_| accepted.is_publishable()),
            Stage::Acknowledged(Acknowledged { relay, .. })
            | Stage::Adopting(Adopting { relay, .. })
            | Stage::Active(Active { relay, .. }) => Some(relay),
            _ => None,
        }
    }

    /// What comes of the server's word that the group link lists the relay, if that is news.
    pub(super) fn listed(&self) -> Option<Active> {
        let relay = self.publishable()?.clone();
        let roster = match self {
            Stage::Accepted(_) => None,
            Stage::Acknowledged(acknowledged) => Some(acknowledged.roster),
            _ => return None,
        };
        Some(Active { relay, roster, stage: ActiveStage::Listed })
    }

    /// Where the relay ends, if it has not ended already.
    pub(super) fn ended(&self, reason: EndReason, parting: Parting) -> Option<Stage> {
        if self.status().is_final() {
            return None;
        }
        let relay = self.relay().cloned();
        Some(match reason {
            EndReason::Inactive(reason) => Stage::Inactive(Ended { reason, relay, parting }),
            EndReason::Rejected(reason) => Stage::Rejected(Ended { reason, relay, parting }),
        })
    }

    pub(super) fn parting(&self) -> Option<Parting> {
        match self {
            Stage::Inactive(ended) => Some(ended.parting),
            Stage::Rejected(ended) => Some(ended.parting),
            _ => None,
        }
    }

    pub(super) fn set_parting(&mut self, parting: Parting) {
        match self {
            Stage::Inactive(ended) => ended.parting = parting,
            Stage::Rejected(ended) => ended.parting = parting,
            _ => {}
        }
    }

    pub(super) fn reason(&self) -> Option<EndReason> {
        match self {
            Stage::Inactive(ended) => Some(ended.reason.into()),
            Stage::Rejected(ended) => Some(ended.reason.clone().into()),
            _ => None,
        }
    }
}

impl Parting {
    /// What becomes of messages under way when the connection is deleted after it.
    pub(super) fn delivery(self) -> Delivery {
        match self {
            Parting::Allow | Parting::Say => Delivery::Await,
            Parting::Done => Delivery::Drop,
        }
    }
}

macro_rules! stages {
    ($($variant:ident $type:ty;)+) => {$(
        impl From<$type> for Stage {
            fn from(stage: $type) -> Self {
                Stage::$variant(stage)
            }
        }
    )+};
}

stages! {
    Invited Invited;
    Accepted Accepted;
    Acknowledged Acknowledged;
    Active Active;
}
