//! The queues of a server: what its disk would hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use smp::command::{LinkData, Party};
use smp::error::Error;
use smp::id::{EntityId, LinkId, RecipientId, SenderId};
use smp_server::queue::{Change, Queue};

/// A queue with what `smp-server` keeps on disk; bodies stay with their messages.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) queue: Queue,
    pub(super) link_data: Option<Arc<LinkData>>,
}

/// All queues, by row.
#[derive(Debug, Clone, Default)]
pub(super) struct Shelf {
    queues: BTreeMap<i64, Stored>,
    last_queue: i64,
    last_message: i64,
}

impl Shelf {
    pub(super) fn queues(&self) -> impl Iterator<Item = &Stored> {
        self.queues.values()
    }

    pub(super) fn queues_mut(&mut self) -> impl Iterator<Item = &mut Stored> {
        self.queues.values_mut()
    }

    pub(super) fn at(&self, row: i64) -> &Stored {
        &self.queues[&row]
    }

    pub(super) fn by_sender(&self, id: &SenderId) -> Option<&Stored> {
        self.queues().find(|stored| stored.queue.sender_id == *id)
    }

    pub(super) fn by_sender_mut(&mut self, id: &SenderId) -> Option<&mut Stored> {
        self.queues_mut().find(|stored| stored.queue.sender_id == *id)
    }

    pub(super) fn by_link(&self, id: &LinkId) -> Option<&Stored> {
        self.queues().find(|stored| has_link(&stored.queue, id))
    }

    /// The queue that a party names with this ID.
    pub(super) fn find(&self, party: Party, id: &EntityId) -> Option<i64> {
        let is_named = |queue: &Queue| match party {
            Party::Recipient => queue.recipient_id == RecipientId::from(id.clone()),
            Party::Sender => queue.sender_id == SenderId::from(id.clone()),
            Party::LinkClient => has_link(queue, &LinkId::from(id.clone())),
            _ => false,
        };
        self.queues().find(|stored| is_named(&stored.queue)).map(|stored| stored.queue.row)
    }

    /// Whether nobody has the IDs of a new queue.
    pub(super) fn is_free(&self, new: &Queue) -> bool {
        self.queues().map(|stored| &stored.queue).all(|queue| {
            queue.recipient_id != new.recipient_id
                && queue.sender_id != new.sender_id
                && new.link.as_ref().is_none_or(|link| !has_link(queue, &link.id))
        })
    }

    /// A link ID that another queue has is refused like any conflict.
    pub(super) fn check_link(&self, row: i64, changes: &[Change]) -> Result<(), Error> {
        let taken = |id: &LinkId| self.queues().any(|stored| stored.queue.row != row && has_link(&stored.queue, id));
        let conflicts = |change: &Change| matches!(change, Change::LinkSet(id, _) if taken(id));
        if changes.iter().any(conflicts) { Err(Error::Auth) } else { Ok(()) }
    }

    pub(super) fn insert(&mut self, queue: Queue, link_data: Option<LinkData>) -> i64 {
        self.last_queue += 1;
        let row = self.last_queue;
        self.queues.insert(row, Stored { queue: Queue { row, ..queue }, link_data: link_data.map(Arc::new) });
        row
    }

    /// Names a message.
    pub(super) fn next_message(&mut self) -> i64 {
        self.last_message += 1;
        self.last_message
    }

    pub(super) fn apply(&mut self, row: i64, changes: Vec<Change>) {
        for change in changes {
            if matches!(change, Change::Deleted(_)) {
                self.queues.remove(&row);
                return;
            }
            let stored = self.queues.get_mut(&row).expect("a queue");
            stored.queue.apply(&change);
            match change {
                Change::LinkSet(_, data) => stored.link_data = Some(Arc::new(data)),
                Change::LinkDeleted => stored.link_data = None,
                Change::Stored(_, body) => {
                    stored.queue.messages.back_mut().expect("the message just stored").body = Some(body);
                }
                _ => {}
            }
        }
    }
}

fn has_link(queue: &Queue, id: &LinkId) -> bool {
    queue.link.as_deref().is_some_and(|link| link.id == *id)
}
