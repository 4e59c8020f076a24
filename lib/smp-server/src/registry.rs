//! All queues by the IDs of their roles.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use smp::id::{LinkId, RecipientId, SenderId};
use store::Ticket;

use crate::outbox::Subscriber;
use crate::queue::Queue;

/// A queue with what only lives in memory.
#[derive(Debug)]
pub(crate) struct Entry(Mutex<Live>);

/// What an [`Entry`] guards. Memory and store change under this lock, so both see the same order.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) queue: Queue,
    /// Where messages are pushed to.
    pub(crate) subscriber: Option<Box<Subscriber>>,
    /// The last write: what was read from here may be told once it is durable.
    pub(crate) written: Ticket,
    /// Deleted, but perhaps not yet on disk.
    pub(crate) deleted: bool,
}

impl Entry {
    pub(crate) fn new(queue: Queue) -> Arc<Self> {
        Arc::new(Entry(Mutex::new(Live { queue, subscriber: None, written: Ticket::START, deleted: false })))
    }

    /// The rules that run under the lock do not panic.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Live> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    /// The subscriber, if it is the connection with this ID.
    pub(crate) fn subscriber_mut(&mut self, connection: u64) -> Option<&mut Subscriber> {
        self.subscriber.as_deref_mut().filter(|subscriber| subscriber.outbox.id() == connection)
    }

    /// Forgets bodies that were kept for a subscriber who has gone.
    pub(crate) fn drop_bodies(&mut self) {
        self.queue.messages.iter_mut().for_each(|message| message.body = None);
    }
}

/// Locks are taken in this order: an entry, then a shard. A shard's lock is never held while an entry is locked.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    pub(crate) recipients: Index<RecipientId>,
    pub(crate) senders: Index<SenderId>,
    pub(crate) links: Index<LinkId>,
}

const SHARDS: usize = 64;

/// Queues by one kind of ID, in shards with locks of their own.
#[derive(Debug)]
pub(crate) struct Index<Id> {
    hasher: RandomState,
    shards: Vec<RwLock<HashMap<Id, Arc<Entry>>>>,
}

impl<Id> Default for Index<Id> {
    fn default() -> Self {
        Index { hasher: RandomState::new(), shards: (0..SHARDS).map(|_| RwLock::default()).collect() }
    }
}

impl<Id: Hash + Eq + Clone> Index<Id> {
    #[allow(clippy::indexing_slicing, reason = "a remainder is smaller than its divisor")]
    fn shard(&self, id: &Id) -> &RwLock<HashMap<Id, Arc<Entry>>> {
        let hash = usize::try_from(self.hasher.hash_one(id) % (SHARDS as u64)).unwrap_or_default();
        &self.shards[hash]
    }

    /// The queue with this ID.
    pub(crate) fn get(&self, id: &Id) -> Option<Arc<Entry>> {
        self.shard(id).read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Takes the ID for a queue; `false` if another queue has it.
    pub(crate) fn claim(&self, id: &Id, entry: &Arc<Entry>) -> bool {
        match self.shard(id).write().unwrap_or_else(PoisonError::into_inner).entry(id.clone()) {
            Slot::Occupied(slot) => Arc::ptr_eq(slot.get(), entry),
            Slot::Vacant(slot) => {
                slot.insert(entry.clone());
                true
            }
        }
    }

    /// Gives the ID up, if it is this queue's.
    pub(crate) fn release(&self, id: &Id, entry: &Arc<Entry>) {
        let mut shard = self.shard(id).write().unwrap_or_else(PoisonError::into_inner);
        if shard.get(id).is_some_and(|owner| Arc::ptr_eq(owner, entry)) {
            shard.remove(id);
        }
    }

    /// Calls `each` for every queue, without holding a lock meanwhile.
    pub(crate) fn for_each(&self, mut each: impl FnMut(&Arc<Entry>)) {
        self.portions().for_each(|entries| entries.iter().for_each(&mut each));
    }

    /// All queues, in portions between which others can have their turn.
    pub(crate) fn portions(&self) -> impl Iterator<Item = Vec<Arc<Entry>>> {
        let entries = |shard: &RwLock<HashMap<Id, Arc<Entry>>>| {
            shard.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
        };
        self.shards.iter().map(entries)
    }

    /// Number of IDs.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }
}

impl Registry {
    /// Takes all IDs of a queue, or none. `live` is the locked content of `entry`.
    pub(crate) fn insert(&self, entry: &Arc<Entry>, live: &Live) -> bool {
        let queue = &live.queue;
        let free = self.recipients.claim(&queue.recipient_id, entry)
            && self.senders.claim(&queue.sender_id, entry)
            && queue.link.as_deref().is_none_or(|link| self.links.claim(&link.id, entry));
        if !free {
            self.remove(entry, live);
        }
        free
    }

    /// Gives up all IDs of a queue.
    pub(crate) fn remove(&self, entry: &Arc<Entry>, live: &Live) {
        self.recipients.release(&live.queue.recipient_id, entry);
        self.senders.release(&live.queue.sender_id, entry);
        if let Some(link) = live.queue.link.as_deref() {
            self.links.release(&link.id, entry);
        }
    }
}
