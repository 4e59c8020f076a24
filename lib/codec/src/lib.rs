//! Encodings shared by every SimpleX protocol: the binary form on the wire and the text form in links.
//!
//! Floor 0. Bytes go in, values come out; nothing here knows what a queue or a key is.
//! [`Reader`] takes values off the front of a slice and [`Reader::finish`] refuses leftovers;
//! [`Write`] appends values to a `Vec<u8>`. Types of higher floors implement [`Encode`] and [`Decode`].
//!
//! ```
//! use codec::{Decode, Reader, VersionRange, Write};
//!
//! let mut bytes = Vec::new();
//! bytes.put_short(b"abc");
//! let mut reader = Reader::new(&bytes);
//! assert_eq!(reader.short().unwrap(), b"abc");
//! reader.finish().unwrap();
//! assert!(VersionRange::decode_all(&[0, 18, 0, 15]).is_err()); // min > max
//! ```

pub mod query;
mod read;
pub mod table;
pub mod text;
pub mod time;
mod version;
mod write;

pub use read::{Decode, Malformed, Reader};
pub use version::VersionRange;
pub use write::{Encode, Write};
