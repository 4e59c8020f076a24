//! Who is at fault when something on the network fails.

/// The party at fault. It decides whether trying again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// No connection, or it was lost: try again.
    Unreachable,
    /// No answer in time: try again.
    TimedOut,
    /// The server understood and said no.
    Refused,
    /// The server broke the protocol.
    Protocol,
    /// The server speaks no version that we do.
    Version,
    /// The server is not the one that the address names.
    Identity,
    /// The caller asked for something that cannot be.
    Caller,
    /// Our own fault.
    Bug,
}
