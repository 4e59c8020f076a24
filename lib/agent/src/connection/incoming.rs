//! The received message that is not acknowledged yet. The server delivers no other before it is.

use codec::{Decode as _, Encode as _, Malformed, Reader, Write};
use smp::id::MessageId;
use zeroize::Zeroizing;

use super::event::{Event, ReceiptEvent, ReceivedMessage};
use super::fault::LoadError;
use super::stored::{self, put_long, put_time, put_version, take_long, take_time};
use crate::message_chain::Integrity;
use crate::receipt::{Receipt, ReceiptStatus};
use crate::time::Time;

pub(super) struct Incoming {
    pub(super) id: MessageId,
    pub(super) state: IncomingState,
    /// The server waits for the acknowledgement in the session that delivered the message.
    pub(super) held_by_server: bool,
}

pub(super) enum IncomingState {
    /// Done with; kept so that it is recognised if it comes again.
    Acknowledged,
    /// The application has not acknowledged it yet.
    Waiting(Box<Waiting>),
}

pub(super) struct Waiting {
    pub(super) first: Time,
    pub(super) deliveries: u32,
    pub(super) content: WaitingContent,
}

pub(super) enum WaitingContent {
    Message {
        message: ReceivedMessage,
        /// To be sent if the application wants one.
        receipt: Option<Receipt>,
    },
    Receipts(Vec<ReceiptEvent>),
}

impl Incoming {
    /// A message that the application does not see.
    pub(super) fn done(id: MessageId) -> Self {
        Incoming { id, state: IncomingState::Acknowledged, held_by_server: true }
    }

    pub(super) fn waiting(id: MessageId, now: Time, content: WaitingContent) -> Self {
        let waiting = Waiting { first: now, deliveries: 1, content };
        Incoming { id, state: IncomingState::Waiting(Box::new(waiting)), held_by_server: true }
    }

    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.state, IncomingState::Waiting(_))
    }

    pub(super) fn is_to_be_acknowledged(&self) -> bool {
        self.held_by_server && matches!(self.state, IncomingState::Acknowledged)
    }

    /// What the application is to be told, again if need be.
    pub(super) fn event(&self) -> Option<Event> {
        let IncomingState::Waiting(waiting) = &self.state else { return None };
        Some(match &waiting.content {
            WaitingContent::Message { message, .. } => Event::Message(message.clone()),
            WaitingContent::Receipts(receipts) => Event::Receipts { id: self.id.clone(), receipts: receipts.clone() },
        })
    }

    pub(super) fn to_stored(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::new());
        put_version(&mut out);
        self.id.encode(&mut out);
        match &self.state {
            IncomingState::Acknowledged => out.put(b"A"),
            IncomingState::Waiting(waiting) => {
                out.put(b"W");
                waiting.put(&mut out);
            }
        }
        out
    }

    pub(super) fn from_stored(bytes: &[u8]) -> Result<Self, LoadError> {
        stored::open(bytes, |reader| {
            let id = MessageId::decode(reader)?;
            let state = match reader.u8()? {
                b'A' => IncomingState::Acknowledged,
                b'W' => IncomingState::Waiting(Box::new(Waiting::take(&id, reader)?)),
                _ => return Err(Malformed::BadValue("state of received message").into()),
            };
            Ok(Incoming { id, state, held_by_server: false })
        })
    }
}

impl Waiting {
    fn put(&self, out: &mut Vec<u8>) {
        put_time(out, self.first);
        out.put_u32(self.deliveries);
        match &self.content {
            WaitingContent::Message { message, receipt } => {
                out.put(b"M");
                put_message(out, message);
                out.put_maybe(receipt.as_ref(), |out, receipt| receipt.encode(out));
            }
            WaitingContent::Receipts(receipts) => {
                out.put(b"R");
                out.put_u16(u16::try_from(receipts.len()).unwrap_or(u16::MAX));
                receipts.iter().for_each(|receipt| put_receipt(out, receipt));
            }
        }
    }

    fn take(id: &MessageId, reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (first, deliveries) = (take_time(reader)?, reader.u32()?);
        let content = match reader.u8()? {
            b'M' => {
                WaitingContent::Message { message: take_message(id, reader)?, receipt: reader.maybe(Receipt::decode)? }
            }
            b'R' => {
                let count = reader.u16()?;
                WaitingContent::Receipts((0..count).map(|_| take_receipt(reader)).collect::<Result<_, _>>()?)
            }
            _ => return Err(Malformed::BadValue("kind of received message")),
        };
        Ok(Waiting { first, deliveries, content })
    }
}

fn put_message(out: &mut Vec<u8>, message: &ReceivedMessage) {
    out.put_i64(message.sent_at);
    out.put_i64(message.number);
    put_integrity(out, message.integrity);
    out.put_bool(message.post_quantum);
    put_long(out, &message.body);
}

fn take_message(id: &MessageId, reader: &mut Reader<'_>) -> Result<ReceivedMessage, Malformed> {
    Ok(ReceivedMessage {
        id: id.clone(),
        sent_at: reader.i64()?,
        number: reader.i64()?,
        integrity: take_integrity(reader)?,
        post_quantum: reader.bool()?,
        body: take_long(reader)?,
    })
}

fn put_integrity(out: &mut Vec<u8>, integrity: Integrity) {
    match integrity {
        Integrity::Ok => out.put(b"O"),
        Integrity::Skipped { from, to } => {
            out.put(b"S");
            out.put_i64(from);
            out.put_i64(to);
        }
        Integrity::BadNumber { last } => {
            out.put(b"N");
            out.put_i64(last);
        }
        Integrity::Duplicate => out.put(b"D"),
        Integrity::BadHash => out.put(b"H"),
    }
}

fn take_integrity(reader: &mut Reader<'_>) -> Result<Integrity, Malformed> {
    Ok(match reader.u8()? {
        b'O' => Integrity::Ok,
        b'S' => Integrity::Skipped { from: reader.i64()?, to: reader.i64()? },
        b'N' => Integrity::BadNumber { last: reader.i64()? },
        b'D' => Integrity::Duplicate,
        b'H' => Integrity::BadHash,
        _ => return Err(Malformed::BadValue("integrity")),
    })
}

fn put_receipt(out: &mut Vec<u8>, receipt: &ReceiptEvent) {
    out.put_i64(receipt.number);
    out.put_bool(receipt.status == ReceiptStatus::Confirmed);
    put_long(out, &receipt.info);
}

fn take_receipt(reader: &mut Reader<'_>) -> Result<ReceiptEvent, Malformed> {
    let number = reader.i64()?;
    let status = if reader.bool()? { ReceiptStatus::Confirmed } else { ReceiptStatus::OtherHash };
    Ok(ReceiptEvent { number, status, info: take_long(reader)? })
}
