//! Writing our own types as JSON.

use serde::Serialize;
use serde_json::{Map, Value};

/// The JSON of a value, without whitespace.
pub(crate) fn to_vec(value: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::new();
    write(value, &mut out);
    out
}

/// Writes the JSON of a value, without whitespace, to the end of a buffer.
#[allow(clippy::expect_used, reason = "types of ours have string keys and serializers that never refuse")]
pub(crate) fn write(value: &impl Serialize, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("types of ours can be written");
}

/// The fields of a value that is written as an object.
#[allow(clippy::expect_used, reason = "types of ours have string keys and serializers that never refuse")]
pub(crate) fn object(value: &impl Serialize) -> Map<String, Value> {
    let fields = match serde_json::to_value(value) {
        Ok(Value::Object(fields)) => Some(fields),
        _ => None,
    };
    fields.expect("types of ours can be written, and those written here have fields")
}
