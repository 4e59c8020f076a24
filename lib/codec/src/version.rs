//! Version ranges: what a side supports, and what two sides have in common.

use std::fmt;
use std::str::FromStr;

use crate::{Decode, Encode, Malformed, Reader, Write};

/// An inclusive range of protocol versions; `min <= max` always holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VersionRange {
    min: u16,
    max: u16,
}

impl VersionRange {
    /// A range, unless `min > max`.
    pub const fn new(min: u16, max: u16) -> Option<Self> {
        if min <= max { Some(VersionRange { min, max }) } else { None }
    }

    /// The range that holds one version.
    pub const fn single(version: u16) -> Self {
        VersionRange { min: version, max: version }
    }

    /// The lowest version.
    pub const fn min(self) -> u16 {
        self.min
    }

    /// The highest version.
    pub const fn max(self) -> u16 {
        self.max
    }

    /// True when `version` lies inside.
    pub const fn contains(self, version: u16) -> bool {
        self.min <= version && version <= self.max
    }

    /// The versions both sides speak, if any. The agreed version is the maximum of the result.
    pub fn common(self, other: Self) -> Option<Self> {
        Self::new(self.min.max(other.min), self.max.min(other.max))
    }
}

impl Encode for VersionRange {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u16(self.min);
        out.put_u16(self.max);
    }
}

impl Decode for VersionRange {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Self::new(reader.u16()?, reader.u16()?).ok_or(Malformed::BadValue("version range"))
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min == self.max { write!(f, "{}", self.min) } else { write!(f, "{}-{}", self.min, self.max) }
    }
}

impl FromStr for VersionRange {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (min, max) = text.split_once('-').unwrap_or((text, text));
        let number = |digits: &str| crate::text::decimal_u16(digits).ok_or(Malformed::BadValue("version"));
        Self::new(number(min)?, number(max)?).ok_or(Malformed::BadValue("version range"))
    }
}
