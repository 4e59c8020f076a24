//! Taking values off the front of received bytes.

/// Why bytes from outside could not be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The value needs more bytes than there are.
    #[error("truncated")]
    Truncated,
    /// Bytes follow the last field.
    #[error("{0} bytes left over after the last field")]
    Leftover(usize),
    /// A presence or truth byte has a value that means nothing.
    #[error("bad flag byte {0:#04x}")]
    BadFlag(u8),
    /// A list that must not be empty is empty.
    #[error("empty list")]
    EmptyList,
    /// Text is not UTF-8.
    #[error("text is not UTF-8")]
    NotUtf8,
    /// A field decodes but its value is not allowed; the name says which field.
    #[error("bad {0}")]
    BadValue(&'static str),
}

/// A value with one binary encoding.
pub trait Decode: Sized {
    /// Takes one value off the front of `reader`.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed>;

    /// Decodes a complete value; leftovers are an error.
    fn decode_all(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let value = Self::decode(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }
}

/// A cursor over received bytes. Every method checks the length before it touches a byte.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the front of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    /// The bytes not taken yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// True when nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next byte, without taking it.
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Takes `n` bytes.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Takes exactly `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    /// Word16.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// Word32.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// Int64; also Time, in seconds since the Unix epoch.
    pub fn i64(&mut self) -> Result<i64, Malformed> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// Bool: `T` or `F`.
    pub fn bool(&mut self) -> Result<bool, Malformed> {
        match self.u8()? {
            b'T' => Ok(true),
            b'F' => Ok(false),
            other => Err(Malformed::BadFlag(other)),
        }
    }

    /// ShortString: a length byte and up to 255 bytes.
    pub fn short(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u8()?;
        self.take(length.into())
    }

    /// Large: a Word16 length and up to 65535 bytes.
    pub fn large(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u16()?;
        self.take(length.into())
    }

    /// Text: a ShortString of UTF-8.
    pub fn text(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.short()?).map_err(|_| Malformed::NotUtf8)
    }

    /// Tail: everything that is left.
    pub fn tail(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Maybe: `0`, or `1` and a value.
    pub fn maybe<T>(&mut self, value: impl FnOnce(&mut Self) -> Result<T, Malformed>) -> Result<Option<T>, Malformed> {
        match self.u8()? {
            b'0' => Ok(None),
            b'1' => value(self).map(Some),
            other => Err(Malformed::BadFlag(other)),
        }
    }

    /// List: a count byte and that many values. Nothing is allocated on the count alone.
    pub fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T, Malformed>) -> Result<Vec<T>, Malformed> {
        let count = self.u8()?;
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// NonEmpty: a list with at least one value.
    pub fn non_empty<T>(&mut self, item: impl FnMut(&mut Self) -> Result<T, Malformed>) -> Result<Vec<T>, Malformed> {
        let items = self.list(item)?;
        if items.is_empty() { Err(Malformed::EmptyList) } else { Ok(items) }
    }

    /// Takes `literal` if it comes next; otherwise takes nothing.
    pub fn literal(&mut self, literal: &[u8]) -> bool {
        match self.rest.strip_prefix(literal) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Refuses leftovers.
    pub fn finish(self) -> Result<(), Malformed> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(Malformed::Leftover(left)),
        }
    }
}
