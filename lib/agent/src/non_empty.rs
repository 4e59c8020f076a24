//! Lists with at least one item and at most 255, as the wire counts them.

use codec::{Decode, Encode, Malformed, Reader, Write};

/// One to 255 items. Peers of today send one; those who read must take more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NonEmpty<T> {
    first: T,
    more: Vec<T>,
}

impl<T> NonEmpty<T> {
    /// A list of one.
    pub fn one(first: T) -> Self {
        NonEmpty { first, more: vec![] }
    }

    /// A list of as many items as the wire can count.
    pub fn new(items: Vec<T>) -> Result<Self, Malformed> {
        if items.len() > usize::from(u8::MAX) {
            return Err(Malformed::BadValue("length of list"));
        }
        let mut items = items.into_iter();
        let first = items.next().ok_or(Malformed::EmptyList)?;
        Ok(NonEmpty { first, more: items.collect() })
    }

    /// The first item.
    pub fn first(&self) -> &T {
        &self.first
    }

    /// All items.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.first).chain(&self.more)
    }
}

impl<T: Encode> Encode for NonEmpty<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        let items: Vec<&T> = self.iter().collect();
        out.put_list(&items, |out, item| item.encode(out));
    }
}

impl<T: Decode> Decode for NonEmpty<T> {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Self::new(reader.non_empty(T::decode)?)
    }
}
