//! Files that come in the connection itself, in numbered chunks: only rosters do.

use std::num::NonZeroU8;

use codec::{Decode, Encode, Malformed, Reader, Write};

use crate::limits;
use crate::message_id::MessageId;

pub(crate) const TAG: u8 = b'F';
const CANCELLED: u8 = 0;

/// A chunk of a file.
///
/// ```text
/// "F" short(message ID, empty) short(ID of the message that announced the file) number rest
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The name of this message; chunks have none today.
    pub id: Option<MessageId>,
    /// The message that announced the file.
    pub file: MessageId,
    /// What comes.
    pub part: ChunkPart,
}

/// What a chunk brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChunkPart {
    /// A part of the file, counted from 1.
    Data(NonZeroU8, Vec<u8>),
    /// No more of the file comes.
    Cancelled,
}

impl Chunk {
    /// Cuts a file that was announced by the message `file`; nothing if it has more chunks than can be counted.
    pub fn split(file: &MessageId, content: &[u8]) -> Option<Vec<Chunk>> {
        let chunk = |(index, part): (usize, &[u8])| {
            let number = u8::try_from(index.checked_add(1)?).ok().and_then(NonZeroU8::new)?;
            Some(Chunk { id: None, file: file.clone(), part: ChunkPart::Data(number, part.to_vec()) })
        };
        content.chunks(limits::CHUNK).enumerate().map(chunk).collect()
    }
}

impl Encode for Chunk {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put(&[TAG]);
        out.put_short(self.id.as_ref().map_or(&[], MessageId::as_bytes));
        out.put_short(self.file.as_bytes());
        match &self.part {
            ChunkPart::Data(number, bytes) => {
                out.put(&[number.get()]);
                out.put(bytes);
            }
            ChunkPart::Cancelled => out.put(&[CANCELLED]),
        }
    }
}

impl Decode for Chunk {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        if !reader.literal(&[TAG]) {
            return Err(Malformed::BadValue("kind of chunk"));
        }
        let id = MessageId::from_bytes(reader.short()?);
        let file = MessageId::from_bytes(reader.short()?).ok_or(Malformed::BadValue("ID of the file's message"))?;
        let part = match NonZeroU8::new(reader.u8()?) {
            Some(number) => ChunkPart::Data(number, reader.tail().to_vec()),
            None => ChunkPart::Cancelled,
        };
        Ok(Chunk { id, file, part })
    }
}
