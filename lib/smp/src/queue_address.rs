//! Queue addresses.

/// What a queue is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QueueMode {
    /// One sender, who may secure the queue.
    Messaging,
    /// Anybody may send.
    Contact,
}

impl QueueMode {
    /// The letter on the wire.
    pub fn letter(self) -> &'static [u8; 1] {
        match self {
            Self::Messaging => b"M",
            Self::Contact => b"C",
        }
    }

    /// The mode of a letter.
    pub fn from_letter(letter: u8) -> Option<Self> {
        match letter {
            b'M' => Some(Self::Messaging),
            b'C' => Some(Self::Contact),
            _ => None,
        }
    }
}
