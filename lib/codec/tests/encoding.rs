//! The encodings against the reference implementation: `encoding.json` without keys, hosts and addresses.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod vectors;

use codec::query::Query;
use codec::time::UtcTime;
use codec::{Decode as _, Encode as _, Malformed, Reader, VersionRange, Write, text};
use serde_json::{Value, json};
use vectors::{each, hex, number};

const FILE: &str = "encoding.json";
/// Checked where keys are defined.
const KEYS: [&str; 3] = ["key", "key_field_decode", "dh"];
/// Checked where addresses are defined.
const ADDRESSES: [&str; 5] = ["host", "server", "queue_uri", "queue_uri_binary", "queue_info_binary"];
/// Checked here.
const OURS: [&str; 9] = [
    "encode",
    "decode",
    "text_encode",
    "text_decode",
    "base64url_unpadded",
    "base64_standard",
    "query_encode",
    "query_decode",
    "version_range_compat",
];

/// A binary type of the vectors, as its name describes it.
enum Shape {
    Word16,
    Word32,
    Int64,
    Bool,
    Char,
    Short,
    Large,
    Tail,
    Text,
    Nonce,
    Range,
    Maybe(Box<Shape>),
    List(Box<Shape>),
    NonEmpty(Box<Shape>),
    Tuple(Vec<Shape>),
}

impl Shape {
    fn named(name: &str) -> Shape {
        if let Some(items) = name.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
            return Shape::Tuple(items.split(", ").map(Shape::named).collect());
        }
        match name.split_once(' ') {
            Some(("Maybe", inner)) => Shape::Maybe(Box::new(Shape::named(inner))),
            Some(("List", inner)) => Shape::List(Box::new(Shape::named(inner))),
            Some(("NonEmpty", inner)) => Shape::NonEmpty(Box::new(Shape::named(inner))),
            _ => Shape::primitive(name),
        }
    }

    fn primitive(name: &str) -> Shape {
        match name {
            "Word16" | "Version" => Shape::Word16,
            "Word32" => Shape::Word32,
            "Int64" | "Time" => Shape::Int64,
            "Bool" => Shape::Bool,
            "Char" => Shape::Char,
            // The characters of a password are the concern of the crate that has passwords.
            "ShortString" | "BasicAuth" => Shape::Short,
            "Large" => Shape::Large,
            "Tail" => Shape::Tail,
            "Text" => Shape::Text,
            "Nonce" => Shape::Nonce,
            "VersionRange" => Shape::Range,
            other => panic!("unknown type {other}"),
        }
    }

    fn put(&self, value: &Value, out: &mut Vec<u8>) {
        match self {
            Shape::Word16 => out.put_u16(number(value)),
            Shape::Word32 => out.put_u32(number(value)),
            Shape::Int64 => out.put_i64(number(value)),
            Shape::Bool => out.put_bool(value.as_bool().unwrap()),
            Shape::Short => out.put_short(&hex(value)),
            Shape::Large => out.put_large(&hex(value)),
            Shape::Char | Shape::Tail | Shape::Nonce => out.put(&hex(value)),
            Shape::Text => out.put_short(value.as_str().unwrap().as_bytes()),
            Shape::Range => range(value).unwrap().encode(out),
            Shape::Maybe(inner) => {
                out.put_maybe((!value.is_null()).then_some(value), |out, value| inner.put(value, out));
            }
            Shape::List(inner) | Shape::NonEmpty(inner) => {
                out.put_list(value.as_array().unwrap(), |out, item| inner.put(item, out));
            }
            Shape::Tuple(shapes) => {
                shapes.iter().zip(value.as_array().unwrap()).for_each(|(shape, item)| shape.put(item, out));
            }
        }
    }

    fn read(&self, reader: &mut Reader<'_>) -> Result<Value, Malformed> {
        Ok(match self {
            Shape::Word16 => json!(reader.u16()?),
            Shape::Word32 => json!(reader.u32()?),
            Shape::Int64 => json!(reader.i64()?.to_string()),
            Shape::Bool => json!(reader.bool()?),
            Shape::Char => json!(hex::encode([reader.u8()?])),
            Shape::Short => json!(hex::encode(reader.short()?)),
            Shape::Large => json!(hex::encode(reader.large()?)),
            Shape::Tail => json!(hex::encode(reader.tail())),
            Shape::Text => json!(reader.text()?),
            Shape::Nonce => json!(hex::encode(reader.array::<24>()?)),
            Shape::Range => VersionRange::decode(reader).map(|range| json!([range.min(), range.max()]))?,
            Shape::Maybe(inner) => reader.maybe(|reader| inner.read(reader))?.into(),
            Shape::List(inner) => reader.list(|reader| inner.read(reader))?.into(),
            Shape::NonEmpty(inner) => reader.non_empty(|reader| inner.read(reader))?.into(),
            Shape::Tuple(shapes) => shapes.iter().map(|shape| shape.read(reader)).collect::<Result<_, _>>()?,
        })
    }

    fn read_all(&self, bytes: &[u8]) -> Result<Value, Malformed> {
        let mut reader = Reader::new(bytes);
        let value = self.read(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }
}

fn range(value: &Value) -> Option<VersionRange> {
    VersionRange::new(number(&value[0]), number(&value[1]))
}

#[test]
fn every_operation_of_the_file_has_a_test() {
    let covered = [OURS.as_slice(), &KEYS, &ADDRESSES].concat();
    assert_eq!(vectors::operations(FILE), covered.into_iter().map(str::to_owned).collect());
}

#[test]
fn values_have_the_bytes_of_the_reference() {
    each(FILE, "encode", |vector| {
        let shape = Shape::named(vector.text("/in/type"));
        let mut bytes = Vec::new();
        shape.put(vector.at("/in/value"), &mut bytes);
        assert_eq!(hex::encode(&bytes), vector.text("/out/bytes"));
        assert_eq!(shape.read_all(&bytes).unwrap(), *vector.at("/in/value"));
    });
}

#[test]
fn malformed_values_are_refused() {
    each(FILE, "decode", |vector| {
        if vector.text("/in/type") != "BasicAuth" {
            let outcome = Shape::named(vector.text("/in/type")).read_all(&vector.hex("/in/bytes"));
            assert_eq!(vector.settle(outcome), None);
        }
    });
}

/// The text form of a value: our functions where we have them, otherwise what callers put together from them.
fn text_form(kind: &str, value: &Value) -> String {
    match kind {
        "bytes" => text::base64url(&hex(value)),
        "Word16" | "Int64" | "Time" => number::<i64>(value).to_string(),
        "Bool" => if value == true { "T" } else { "F" }.to_owned(),
        "VersionRange" => range(value).unwrap().to_string(),
        "UTCTime" => UtcTime { seconds: number(&value[0]), nanoseconds: number(&value[1]) }.to_string(),
        "NonEmpty bytes" => {
            value.as_array().unwrap().iter().map(|item| text_form("bytes", item)).collect::<Vec<_>>().join(",")
        }
        "(bytes, Int64)" => format!("{} {}", text_form("bytes", &value[0]), text_form("Int64", &value[1])),
        other => panic!("unknown type {other}"),
    }
}

#[test]
fn values_have_the_text_of_the_reference() {
    each(FILE, "text_encode", |vector| {
        assert_eq!(text_form(vector.text("/in/type"), vector.at("/in/value")), vector.text("/out/text"));
    });
}

#[test]
fn text_is_read_or_refused_as_the_reference_does() {
    each(FILE, "text_decode", |vector| {
        let input = vector.text("/in/text");
        let outcome = match vector.text("/in/type") {
            "bytes" => text::from_base64url(input).map(|bytes| text::base64url(&bytes)),
            "Word16" => text::decimal_u16(input).map(|n| n.to_string()).ok_or(Malformed::BadValue("number")),
            "VersionRange" => input.parse::<VersionRange>().map(|range| range.to_string()),
            "UTCTime" => input.parse::<UtcTime>().map(|time| time.to_string()),
            other => panic!("unknown type {other}"),
        };
        if let Some(text) = vector.settle(outcome) {
            assert_eq!(text, vector.text("/out/text"));
        }
    });
}

#[test]
fn base64_variants_agree() {
    each(FILE, "base64url_unpadded", |vector| {
        assert_eq!(text::base64url_unpadded(&vector.hex("/in/bytes")), vector.text("/out/text"));
    });
    each(FILE, "base64_standard", |vector| {
        assert_eq!(text::base64_standard(&vector.hex("/in/bytes")), vector.text("/out/text"));
    });
}

#[test]
fn query_strings_are_escaped_and_read_alike() {
    each(FILE, "query_encode", |vector| {
        let params = vector.at("/in/params").as_array().unwrap();
        let pairs = params.iter().map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap().as_bytes()));
        assert_eq!(codec::query::encode(pairs), vector.text("/out/text"));
    });
    each(FILE, "query_decode", |vector| {
        let query = Query::parse(vector.text("/in/text"));
        let params: Value = query.params().iter().map(|(n, v)| json!([hex::encode(n), hex::encode(v)])).collect();
        assert_eq!(params, *vector.at("/out/params"));
    });
}

#[test]
fn sides_agree_on_the_highest_common_version() {
    each(FILE, "version_range_compat", |vector| {
        let [a, b] = ["/in/a", "/in/b"].map(|side| range(vector.at(side)).unwrap());
        if let Some(common) = vector.settle(a.common(b).ok_or("version")) {
            assert_eq!(common.max(), vector.number::<u16>("/out/version"));
            assert_eq!(Some(common), range(vector.at("/out/range")));
            assert_eq!(b.common(a), Some(common));
        }
    });
}
