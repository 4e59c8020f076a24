//! Whoever runs on a host.

use agent::connection::Event;
use agent::connection::task::Outcome;
use world::{Application, HostId, Turn};

use crate::owner::Owner;
use crate::relay::{KeptRelay, Relay};
use crate::stranger::Stranger;

/// A token for what a program is to do next, or does now.
pub(crate) type Token = u64;

#[allow(clippy::large_enum_variant, reason = "a handful of them exist")]
pub(crate) enum Actor {
    Owner(Owner),
    Relay(Relay),
    Stranger(Stranger),
}

#[allow(clippy::large_enum_variant, reason = "a handful of them exist")]
pub(crate) enum Kept {
    Owner(Owner),
    Relay(KeptRelay),
    Stranger(Stranger),
}

impl Kept {
    pub(crate) fn owner(&self) -> &Owner {
        let Kept::Owner(owner) = self else { panic!("not the owner") };
        owner
    }

    pub(crate) fn relay(&self) -> &KeptRelay {
        let Kept::Relay(relay) = self else { panic!("not a relay") };
        relay
    }
}

impl Actor {
    pub(crate) fn owner(&mut self) -> &mut Owner {
        let Actor::Owner(owner) = self else { panic!("not the owner") };
        owner
    }

    pub(crate) fn relay(&mut self) -> &mut Relay {
        let Actor::Relay(relay) = self else { panic!("not a relay") };
        relay
    }
}

impl Application for Actor {
    type Kept = Kept;

    fn kept(&self) -> Kept {
        match self {
            Actor::Owner(owner) => Kept::Owner(owner.clone()),
            Actor::Relay(relay) => Kept::Relay(relay.first_kept()),
            Actor::Stranger(stranger) => Kept::Stranger(stranger.clone()),
        }
    }

    fn keep(&mut self, kept: &mut Kept) {
        match (self, kept) {
            (Actor::Relay(relay), Kept::Relay(kept)) => relay.keep(kept),
            (actor, kept) => *kept = actor.kept(),
        }
    }

    fn load(kept: &Kept) -> Self {
        match kept {
            Kept::Owner(owner) => Actor::Owner(owner.load()),
            Kept::Relay(kept) => Actor::Relay(Relay::load(kept)),
            Kept::Stranger(stranger) => Actor::Stranger(stranger.clone()),
        }
    }

    fn told(&mut self, turn: &mut Turn<'_>, name: &str, event: Event) {
        match self {
            Actor::Owner(owner) => owner.told(turn, name, event),
            Actor::Relay(relay) => relay.told(turn, name, event),
            Actor::Stranger(stranger) => stranger.told(turn, name, event),
        }
    }

    fn answered(&mut self, turn: &mut Turn<'_>, token: Token, outcome: Outcome) {
        match self {
            Actor::Owner(owner) => owner.answered(turn, token, outcome),
            Actor::Relay(relay) => relay.answered(turn, token, outcome),
            Actor::Stranger(_) => {}
        }
    }

    fn mailed(&mut self, _turn: &mut Turn<'_>, _from: HostId, mail: &str) {
        panic!("nobody writes {mail}");
    }

    fn woken(&mut self, turn: &mut Turn<'_>, token: Token) {
        match self {
            Actor::Owner(owner) => owner.woken(turn, token),
            Actor::Relay(relay) => relay.woken(turn, token),
            Actor::Stranger(stranger) => stranger.woken(turn),
        }
    }

    fn restarted(&mut self, turn: &mut Turn<'_>) {
        match self {
            Actor::Owner(owner) => owner.restarted(turn),
            Actor::Relay(relay) => relay.restarted(turn),
            Actor::Stranger(stranger) => stranger.restarted(turn),
        }
    }
}
