//! Appending values to bytes that will be sent.

/// A value with one binary encoding.
pub trait Encode {
    /// Appends the encoding to `out`.
    fn encode(&self, out: &mut Vec<u8>);

    /// The encoding alone.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }
}

/// The primitive encodings, as methods of the buffer they go to.
///
/// Lengths come from typed values that are already bounded; a longer one is our own bug and panics rather than
/// wrapping its length byte.
pub trait Write {
    /// Word16.
    fn put_u16(&mut self, value: u16);
    /// Word32.
    fn put_u32(&mut self, value: u32);
    /// Int64 or Time.
    fn put_i64(&mut self, value: i64);
    /// Bool: `T` or `F`.
    fn put_bool(&mut self, value: bool);
    /// ShortString.
    fn put_short(&mut self, bytes: &[u8]);
    /// Large.
    fn put_large(&mut self, bytes: &[u8]);
    /// Raw bytes: tails, nonces, literals.
    fn put(&mut self, bytes: &[u8]);
    /// Maybe: `0`, or `1` and what `put` appends.
    fn put_maybe<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T));
    /// List or NonEmpty: a count byte and what `put` appends for each item.
    fn put_list<T>(&mut self, items: &[T], put: impl FnMut(&mut Self, &T));
}

#[allow(
    clippy::expect_used,
    reason = "lengths are bounded by the types of the callers; wrapping one would corrupt data"
)]
impl Write for Vec<u8> {
    fn put_u16(&mut self, value: u16) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_i64(&mut self, value: i64) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_bool(&mut self, value: bool) {
        self.push(if value { b'T' } else { b'F' });
    }

    fn put_short(&mut self, bytes: &[u8]) {
        self.push(u8::try_from(bytes.len()).expect("a ShortString holds at most 255 bytes"));
        self.extend_from_slice(bytes);
    }

    fn put_large(&mut self, bytes: &[u8]) {
        self.put_u16(u16::try_from(bytes.len()).expect("a Large holds at most 65535 bytes"));
        self.extend_from_slice(bytes);
    }

    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn put_maybe<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T)) {
        match value {
            None => self.push(b'0'),
            Some(value) => {
                self.push(b'1');
                put(self, value);
            }
        }
    }

    fn put_list<T>(&mut self, items: &[T], mut put: impl FnMut(&mut Self, &T)) {
        self.push(u8::try_from(items.len()).expect("a list holds at most 255 items"));
        for item in items {
            put(self, item);
        }
    }
}
