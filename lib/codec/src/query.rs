//! Query strings of links and queue addresses.

use std::fmt::Write as _;

/// Percent-encodes `value`: only `A-Z a-z 0-9 - _ . ~` stay as they are.
pub fn escape(value: &[u8]) -> String {
    let mut out = String::with_capacity(value.len());
    for &byte in value {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Joins escaped `name=value` pairs with `&`.
pub fn encode<'a>(params: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> String {
    let pairs: Vec<String> =
        params.into_iter().map(|(name, value)| format!("{}={}", escape(name.as_bytes()), escape(value))).collect();
    pairs.join("&")
}

/// Decoded parameters in the order they were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query(Vec<(Vec<u8>, Vec<u8>)>);

impl Query {
    /// Splits at `&` and `;` up to a space or line feed, and unescapes `%XX` and `+`.
    /// A `%` that is not followed by two hex digits stands for itself.
    pub fn parse(text: &str) -> Self {
        let end = text.find([' ', '\n']).unwrap_or(text.len());
        let query = text.get(..end).unwrap_or_default();
        let params = query.split(['&', ';']).filter(|param| !param.is_empty()).map(|param| {
            let (name, value) = param.split_once('=').unwrap_or((param, ""));
            (unescape(name), unescape(value))
        });
        Query(params.collect())
    }

    /// The first value of `name`.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(key, _)| key == name.as_bytes()).map(|(_, value)| value.as_slice())
    }

    /// The first value of `name`, if it is UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// All parameters, duplicates included.
    pub fn params(&self) -> &[(Vec<u8>, Vec<u8>)] {
        &self.0
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = match (first, after) {
            (b'%', [high, low, ..]) => hex_digit(*high).zip(hex_digit(*low)),
            _ => None,
        };
        match (first, hex) {
            (_, Some((high, low))) => {
                out.push((high << 4) | low);
                rest = after.get(2..).unwrap_or_default();
            }
            (b'+', None) => {
                out.push(b' ');
                rest = after;
            }
            (other, None) => {
                out.push(other);
                rest = after;
            }
        }
    }
    out
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
