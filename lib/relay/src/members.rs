//! What happens to members, on its way to their rows.

use std::sync::Arc;

use agent::time::{Env, Time};
use group::identity::MemberId;
use group::relay::members::{GroupView, MemberEvent, Members, end};
use group::relay::{ConnectionName, ServiceId};
use group::verification::AcceptedMessage;
use net::SharedRandom;
use store::rusqlite::{self, Transaction};

use crate::rows::SqlRows;

/// Rounds in which waiting requests are judged; together these are all that there can be.
const ROUNDS: usize = 10;

/// Something that happens on the members' side of a group.
pub(crate) struct MemberStep {
    pub(crate) service: ServiceId,
    /// The group at that moment; without it only its end means anything.
    pub(crate) view: Option<Arc<GroupView>>,
    pub(crate) input: MemberInput,
}

/// What happens.
pub(crate) enum MemberInput {
    Requested {
        request: u64,
        info: Vec<u8>,
    },
    Informed(ConnectionName, Vec<u8>),
    Connected(ConnectionName),
    Received {
        connection: ConnectionName,
        message: Vec<u8>,
        sent_at: i64,
        body: Vec<u8>,
    },
    Full(ConnectionName),
    Restored(ConnectionName),
    Lost(ConnectionName),
    OwnerConnected {
        owner: MemberId,
        connection: u64,
        max_version: u16,
    },
    OwnerLost {
        owner: MemberId,
        connection: u64,
    },
    OwnerSaid {
        message: Box<AcceptedMessage>,
        sent_at: i64,
    },
    RosterChanged,
    Admitting,
    /// The operator's program has decided about a request.
    Decided {
        request: u64,
        admitted: bool,
    },
    Ended(Option<Vec<u8>>),
}

/// Makes all steps in one transaction; what they told.
pub(crate) fn make(
    tx: &Transaction<'_>,
    steps: Vec<MemberStep>,
    now: Time,
    mut random: SharedRandom,
) -> rusqlite::Result<Vec<(ServiceId, Vec<MemberEvent>)>> {
    let mut told = Vec::new();
    for MemberStep { service, view, input } in steps {
        let mut rows = SqlRows::of(tx, service);
        match (view, input) {
            (_, MemberInput::Ended(word)) => end(&mut rows, word)?,
            (None, _) => {}
            (Some(view), input) => {
                let mut env = Env { now, random: &mut random };
                let mut members = Members::new(&view, &mut rows, &mut env);
                take(&mut members, input)?;
                told.push((service, members.into_events()));
            }
        }
    }
    Ok(told)
}

fn take(members: &mut Members<'_, '_, SqlRows<'_>>, input: MemberInput) -> rusqlite::Result<()> {
    match input {
        MemberInput::Requested { request, info } => members.requested(request, &info),
        MemberInput::Informed(connection, info) => members.informed(&connection, &info),
        MemberInput::Connected(connection) => members.connected(&connection),
        MemberInput::Received { connection, message, sent_at, body } => {
            members.received(&connection, &message, sent_at, &body)
        }
        MemberInput::Full(connection) => members.queue_full(&connection),
        MemberInput::Restored(connection) => members.queue_restored(&connection),
        MemberInput::Lost(connection) => members.connection_lost(&connection),
        MemberInput::OwnerConnected { owner, connection, max_version } => {
            members.owner_connected(&owner, connection, max_version)
        }
        MemberInput::OwnerLost { owner, connection } => members.owner_lost(&owner, connection),
        MemberInput::OwnerSaid { message, sent_at } => members.owner_said(&message, sent_at),
        MemberInput::RosterChanged => members.roster_changed(),
        MemberInput::Admitting => {
            for _ in 0..ROUNDS {
                if !members.admit_waiting()? {
                    break;
                }
            }
            Ok(())
        }
        MemberInput::Decided { request, admitted } => members.decided(request, admitted),
        MemberInput::Ended(_) => Ok(()),
    }
}
