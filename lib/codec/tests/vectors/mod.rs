//! Reads `testdata/vectors`: inputs and outputs of the reference implementation, one operation each.
//!
//! The tests of every crate that has vectors include this file. A vector holds `in` and either `out` or `error`;
//! bytes are hex, 64-bit integers are decimal strings. `lenient` marks what the reference accepts and we may refuse.
#![allow(dead_code, reason = "each crate's tests use a part")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeSet;
use std::fmt::Debug;

use serde_json::Value;

/// One vector.
pub(crate) struct Vector(Value);

/// Runs `check` on every vector of `op`; there must be at least one.
pub(crate) fn each(file: &str, op: &str, mut check: impl FnMut(&Vector)) {
    let mut checked = 0;
    for vector in vectors(file) {
        if vector.op() == op {
            let _name = NameInPanics(vector.name());
            check(&vector);
            checked += 1;
        }
    }
    assert!(checked > 0, "{file} has no vectors of {op}");
}

/// The vector with this name, for mutations that start from it.
pub(crate) fn named(file: &str, name: &str) -> Vector {
    vectors(file).find(|vector| vector.name() == name).unwrap_or_else(|| panic!("{file} has no vector {name}"))
}

/// The operations in a file, so that a test can notice one that nobody covers.
pub(crate) fn operations(file: &str) -> BTreeSet<String> {
    vectors(file).map(|vector| vector.op().to_owned()).collect()
}

fn vectors(file: &str) -> impl Iterator<Item = Vector> {
    let path = format!("{}/../../testdata/vectors/{file}", env!("CARGO_MANIFEST_DIR"));
    let mut content: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let Value::Array(vectors) = content["vectors"].take() else { panic!("{file} has no list of vectors") };
    vectors.into_iter().map(Vector)
}

/// Says which vector failed.
struct NameInPanics<'a>(&'a str);

impl Drop for NameInPanics<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("while checking the vector {}", self.0);
        }
    }
}

impl Vector {
    /// Unique in its file.
    pub(crate) fn name(&self) -> &str {
        self.text("/name")
    }

    fn op(&self) -> &str {
        self.text("/op")
    }

    /// The value at a JSON pointer such as `/in/key`.
    pub(crate) fn at(&self, pointer: &str) -> &Value {
        self.0.pointer(pointer).unwrap_or_else(|| panic!("the vector has no {pointer}"))
    }

    /// Whether there is something else than `null` at a JSON pointer.
    pub(crate) fn has(&self, pointer: &str) -> bool {
        self.0.pointer(pointer).is_some_and(|value| !value.is_null())
    }

    /// Text.
    pub(crate) fn text(&self, pointer: &str) -> &str {
        self.at(pointer).as_str().unwrap_or_else(|| panic!("{pointer} is no text"))
    }

    /// Bytes.
    pub(crate) fn hex(&self, pointer: &str) -> Vec<u8> {
        hex(self.at(pointer))
    }

    /// Exactly `N` bytes.
    pub(crate) fn array<const N: usize>(&self, pointer: &str) -> [u8; N] {
        self.hex(pointer).try_into().unwrap_or_else(|_| panic!("{pointer} has not {N} bytes"))
    }

    /// An integer.
    pub(crate) fn number<T: TryFrom<i64>>(&self, pointer: &str) -> T {
        number(self.at(pointer))
    }

    /// What the reference answers instead of a result.
    pub(crate) fn error(&self) -> Option<&str> {
        self.0.get("error").and_then(Value::as_str)
    }

    /// Whether rejecting is allowed where the reference accepts.
    pub(crate) fn lenient(&self) -> bool {
        self.0.get("lenient").is_some_and(|lenient| *lenient == true)
    }

    /// The result where the vector wants one, and nothing after a rejection that it wants or allows.
    pub(crate) fn settle<T: Debug, E: Debug>(&self, outcome: Result<T, E>) -> Option<T> {
        match (self.error(), outcome) {
            (Some(_), Err(_)) => None,
            (Some(error), Ok(value)) => panic!("accepted as {value:?}, expected {error}"),
            (None, Err(_)) if self.lenient() => None,
            (None, outcome) => Some(outcome.unwrap()),
        }
    }
}

/// Bytes in a JSON value.
pub(crate) fn hex(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap_or_else(|| panic!("{value} is no hex"))).unwrap()
}

/// An integer in a JSON value: a number, or a decimal string where it may need 64 bits.
pub(crate) fn number<T: TryFrom<i64>>(value: &Value) -> T {
    let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
    number.and_then(|number| T::try_from(number).ok()).unwrap_or_else(|| panic!("{value} is no such integer"))
}
