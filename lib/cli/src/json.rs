//! The strict JSON reader: one object within limits, no duplicate keys, nothing after it.
//!
//! Documents come from pipes, files and strangers. The limits are checked while reading, before anything is built
//! from the values.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::{Code, Error};

/// Largest document, in bytes.
pub(crate) const MAX_SIZE: usize = 1 << 20;

/// Largest document that a run keeps for itself, in bytes: a connection with all that waits in it.
pub(crate) const MAX_STATE: usize = 64 << 20;

/// Deepest nesting of objects and lists.
pub(crate) const MAX_DEPTH: usize = 32;

/// Reads exactly one JSON object of at most `limit` bytes.
pub(crate) fn object(bytes: &[u8], limit: usize) -> Result<Map<String, Value>, Error> {
    if bytes.len() > limit {
        return Err(malformed(format!("larger than {limit} bytes")));
    }
    if bytes.trim_ascii().is_empty() {
        return Err(malformed("expected one JSON object, got nothing"));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { depth: 0 }.deserialize(&mut reader).map_err(from_serde)?;
    reader.end().map_err(|error| from_serde(error).at("after the object"))?;
    match value {
        Value::Object(map) => Ok(map),
        other => Err(malformed(format!("expected one JSON object, got {}", kind(&other)))),
    }
}

fn malformed(message: impl fmt::Display) -> Error {
    Error::new(Code::JsonMalformed, message)
}

fn from_serde(error: serde_json::Error) -> Error {
    let line = u64::try_from(error.line()).unwrap_or(u64::MAX);
    malformed(&error).line(line)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A value at `depth`; the depth counts the objects and lists around it.
#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
    fn inner<E: serde::de::Error>(self) -> Result<Strict, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom(format!("nested deeper than {MAX_DEPTH}")));
        }
        Ok(Strict { depth: self.depth.saturating_add(1) })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut values = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if values.contains_key(&key) {
                return Err(A::Error::custom(format!("duplicate key `{}`", shown(&key))));
            }
            values.insert(key, map.next_value_seed(inner)?);
        }
        Ok(values.into())
    }
}

/// A name from outside, short enough for a message.
pub(crate) fn shown(name: &str) -> String {
    let mut short: String = name.chars().take(40).collect();
    if short.len() < name.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refusal(text: &str) -> String {
        object(text.as_bytes(), MAX_SIZE).unwrap_err().to_string()
    }

    #[test]
    fn one_object_is_read_with_its_keys_in_order() {
        let map = object(b" {\"b\":1,\"a\":[null,true,-2,1.5,\"x\"]}\n", MAX_SIZE).unwrap();
        assert_eq!(serde_json::to_string(&map).unwrap(), "{\"b\":1,\"a\":[null,true,-2,1.5,\"x\"]}");
    }

    #[test]
    fn anything_but_one_object_is_refused() {
        assert_eq!(refusal(" \n"), "expected one JSON object, got nothing");
        assert_eq!(refusal("[1]"), "expected one JSON object, got a list");
        assert_eq!(refusal("{}{}"), "after the object: trailing characters at line 1 column 3");
        assert!(refusal("{\"a\":").starts_with("EOF while parsing"));
        assert_eq!(refusal("{\"a\":1,\"b\":{\"c\":1,\"c\":2}}"), "duplicate key `c` at line 1 column 21");
    }

    #[test]
    fn size_and_depth_are_bounded() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(object(nested(MAX_DEPTH - 1).as_bytes(), MAX_SIZE).is_ok());
        assert!(refusal(&nested(MAX_DEPTH)).starts_with("nested deeper than 32"));
        assert_eq!(refusal(&" ".repeat(MAX_SIZE + 1)), "larger than 1048576 bytes");
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = object(&bytes, MAX_SIZE);
        }

        #[test]
        fn truncations_are_refused(cut in 0usize..27) {
            let whole = "{\"type\":\"a\",\"v\":1,\"x\":[{}]}";
            prop_assert!(object(&whole.as_bytes()[..cut], MAX_SIZE).is_err());
        }
    }
}
