//! What is wanted of durable storage for connections.
//!
//! The rule that everything rests on: what a step changed is durable before anybody, peer, server or application, can
//! notice that the step was made.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::{Change, RecordKey};

/// The name that the application gives to a connection. Short and cheap to clone; not a secret.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(Arc<[u8]>);

impl ConnectionId {
    /// The longest name.
    pub const MAX: usize = 64;

    /// A name of 1 to [`MAX`](Self::MAX) bytes.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (1..=Self::MAX).contains(&bytes.len()).then(|| ConnectionId(bytes.into()))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for ConnectionId {
    /// Names that are text show as such.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::str::from_utf8(&self.0) {
            Ok(text) if text.chars().all(|c| c == ' ' || c.is_ascii_graphic()) => f.write_str(text),
            _ => f.write_str(&codec::text::base64url(&self.0)),
        }
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionId({self})")
    }
}

/// A record as it is kept.
pub type Record = (RecordKey, Zeroizing<Vec<u8>>);

/// What is to be kept of a connection from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revision {
    /// These records changed, in this order; others stay.
    Change(Vec<Change>),
    /// The connection is over: nothing stays.
    Forget,
}

/// Changes that become durable together, or not at all. No connection is named twice.
pub type Batch = Vec<(ConnectionId, Revision)>;

/// Durable storage for connections.
///
/// Commits take effect in the order of the calls of [`commit`](Self::commit), however their futures are polled. When one
/// fails, those begun after it fail too, until [`recover`](Self::recover) is called.
pub trait Keep: Send + Sync + 'static {
    /// Why something could not be kept.
    type Error: Error + Send + Sync + 'static;

    /// Begins to make a batch durable; it is once the future resolves. The call itself does not block.
    fn commit(&self, batch: Batch) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static;

    /// Accepts commits again after one that failed. Called when no commit is under way.
    fn recover(&self) {}

    /// All that is kept of these connections, in their order: nothing of those that are not there.
    fn load(
        &self,
        ids: Vec<ConnectionId>,
    ) -> impl Future<Output = Result<Vec<Vec<Record>>, Self::Error>> + Send + 'static;

    /// The records that [`at_rest`](super::Connection::at_rest) reads of these connections, in their order; more do no
    /// harm.
    fn outline(
        &self,
        ids: Vec<ConnectionId>,
    ) -> impl Future<Output = Result<Vec<Vec<Record>>, Self::Error>> + Send + 'static {
        self.load(ids)
    }

    /// All connections there are.
    fn list(&self) -> impl Future<Output = Result<Vec<ConnectionId>, Self::Error>> + Send + 'static;

    /// Takes the connections for this process alone, where several share them. Tells which of them others have changed
    /// since they were released. Nothing is loaded or committed without.
    fn acquire(&self) -> impl Future<Output = Result<Vec<ConnectionId>, Self::Error>> + Send + 'static {
        std::future::ready(Ok(Vec::new()))
    }

    /// Lets others have the connections: no task is under way.
    fn release(&self) {}
}
