//! Documents: the JSON objects that binaries hand to each other.
//!
//! On the outside a document is one object that begins with its envelope: `type`, `v`, and for test documents `test`
//! and `seed`. On the inside it is a plain serde struct that knows nothing of the envelope, so no tool can forget to
//! check it on the way in or to carry the test mark on the way out.
//!
//! | in | after |
//! |---|---|
//! | bytes | limits, syntax, duplicate keys, leftovers ([`crate::json`]) |
//! | object | envelope: known `type` and `v`, honest test mark |
//! | body | the struct; what is missing or wrong is named by its path |

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{Code, Error, Secret, json};

/// One kind of document. The struct's doc comments become its published schema and its part of the man page.
///
/// Unknown fields are ignored, so that documents can grow; a struct that wants to refuse them says
/// `#[serde(deny_unknown_fields)]`.
pub trait Document: Serialize + DeserializeOwned + JsonSchema {
    /// The value of `type`, snake_case.
    const TYPE: &'static str;

    /// The value of `v`. Fields are only added within one `v`.
    const V: u32;

    /// Fields that the public form leaves out, as paths: `root_key`, or `relays.key` for the `key` of each relay.
    ///
    /// The public form is what stdout carries when the whole document goes to a file.
    const SECRETS: &'static [&'static str] = &[];

    /// What `--pretty` shows on stdout instead of indented JSON, if that is easier to read for people. Without the last
    /// line break, and with nothing that a terminal obeys.
    fn table(&self) -> Option<String> {
        None
    }
}

/// What a tool takes: one kind of document, or [`Either`] of several.
pub trait Incoming: Sized {
    /// The kinds that may come.
    fn shapes() -> Vec<Shape>;

    /// Reads the body of the kind that came.
    fn from_object(object: Object) -> Result<Self, Error>;
}

impl<D: Document> Incoming for D {
    fn shapes() -> Vec<Shape> {
        vec![Shape::of::<D>()]
    }

    fn from_object(object: Object) -> Result<Self, Error> {
        let body = Value::Object(object.body);
        serde_path_to_error::deserialize(body).map_err(|error| field_invalid(D::TYPE, &error))
    }
}

/// One of two kinds of document; nests for more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Either<A, B> {
    /// The first kind.
    First(A),
    /// The second kind.
    Second(B),
}

impl<A: Document, B: Incoming> Incoming for Either<A, B> {
    fn shapes() -> Vec<Shape> {
        let mut shapes = B::shapes();
        shapes.insert(0, Shape::of::<A>());
        shapes
    }

    fn from_object(object: Object) -> Result<Self, Error> {
        if object.kind == A::TYPE {
            return A::from_object(object).map(Either::First);
        }
        B::from_object(object).map(Either::Second)
    }
}

/// What a tool prints at its end: a document, or nothing.
pub trait Outcome {
    /// Hands the document, if there is one, to the writer.
    fn deliver(self, context: &mut crate::Context) -> Result<(), Error>;
}

impl<D: Document> Outcome for D {
    fn deliver(self, context: &mut crate::Context) -> Result<(), Error> {
        context.finish(&self)
    }
}

impl Outcome for () {
    fn deliver(self, _: &mut crate::Context) -> Result<(), Error> {
        Ok(())
    }
}

impl<A: Document, B: Outcome> Outcome for Either<A, B> {
    fn deliver(self, context: &mut crate::Context) -> Result<(), Error> {
        match self {
            Either::First(document) => document.deliver(context),
            Either::Second(other) => other.deliver(context),
        }
    }
}

/// The published face of a document type: its name, version and schema.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The value of `type`.
    pub kind: &'static str,
    /// The value of `v`.
    pub v: u32,
    /// Fields that the public form leaves out.
    pub secrets: &'static [&'static str],
    body: fn() -> Schema,
}

impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.v == other.v
    }
}

impl Shape {
    /// The shape of one document type, usable in constants.
    pub const fn of<D: Document>() -> Self {
        Shape { kind: D::TYPE, v: D::V, secrets: D::SECRETS, body: body_schema::<D> }
    }

    /// The JSON Schema of the whole object, envelope first.
    pub fn schema(&self) -> Value {
        let mut schema = (self.body)().to_value();
        let mut properties = Map::new();
        properties.insert("type".to_owned(), json!({"const": self.kind}));
        properties.insert("v".to_owned(), json!({"const": self.v}));
        properties.insert("test".to_owned(), json!({"type": "boolean", "description": "true in test documents"}));
        properties.insert(
            "seed".to_owned(),
            json!({"type": "string", "description": "seed of a test document, 32 bytes in base64url"}),
        );
        extend(&mut properties, schema.get_mut("properties").map(Value::take));
        let mut required = vec![json!("type"), json!("v")];
        required.extend(schema.get_mut("required").and_then(Value::as_array_mut).into_iter().flat_map(std::mem::take));
        if let Some(map) = schema.as_object_mut() {
            map.insert("properties".to_owned(), properties.into());
            map.insert("required".to_owned(), required.into());
        }
        schema
    }
}

fn extend(map: &mut Map<String, Value>, more: Option<Value>) {
    if let Some(Value::Object(more)) = more {
        map.extend(more);
    }
}

fn body_schema<D: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<D>()
}

/// What marks a document, and then a whole run, as a test.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) test: bool,
    pub(crate) seed: Option<Secret<32>>,
}

/// A document whose envelope has been checked and taken off.
#[derive(Debug)]
pub struct Object {
    kind: &'static str,
    pub(crate) marks: Marks,
    body: Map<String, Value>,
}

/// Reads at most `limit` bytes up to the envelope; only a shape from `expected` passes.
pub(crate) fn open(bytes: &[u8], expected: &[Shape], limit: usize) -> Result<Object, Error> {
    let mut body = json::object(bytes, limit)?;
    let kind = body.shift_remove("type");
    let v = body.shift_remove("v");
    let shape = known(kind, v, expected)?;
    let marks = take_marks(&mut body)?;
    Ok(Object { kind: shape.kind, marks, body })
}

fn known(kind: Option<Value>, v: Option<Value>, expected: &[Shape]) -> Result<Shape, Error> {
    let unexpected = |got: &str| {
        let kinds: Vec<_> = expected.iter().map(|shape| format!("`{}`", shape.kind)).collect();
        Error::new(Code::TypeUnexpected, format!("expected a document of type {}, got {got}", kinds.join(" or ")))
    };
    let Some(kind) = kind else { return Err(unexpected("one without a type")) };
    let Some(kind) = kind.as_str() else { return Err(unexpected("a type that is no string")) };
    let quoted = format!("`{}`", json::shown(kind));
    let shape = expected.iter().find(|shape| shape.kind == kind).ok_or_else(|| unexpected(&quoted))?;
    if v.as_ref().and_then(Value::as_u64) == Some(u64::from(shape.v)) {
        return Ok(*shape);
    }
    let got = v.map_or("none".to_owned(), |v| json::shown(&v.to_string()));
    let message = format!("expected version {} of `{kind}`, got {got}", shape.v);
    Err(Error::new(Code::VersionUnexpected, message).hint("make the document again with this version of the tools"))
}

fn take_marks(body: &mut Map<String, Value>) -> Result<Marks, Error> {
    #[derive(Deserialize)]
    struct Fields {
        #[serde(default)]
        test: bool,
        seed: Option<Secret<32>>,
    }
    let mut fields = Map::new();
    for name in ["test", "seed"] {
        fields.extend(body.shift_remove_entry(name));
    }
    let Fields { test, seed } = serde_path_to_error::deserialize(Value::Object(fields))
        .map_err(|error| field_invalid("the envelope", &error))?;
    if seed.is_some() && !test {
        return Err(Error::new(Code::FieldInvalid, "seed: a document with a seed must say \"test\":true"));
    }
    Ok(Marks { test, seed })
}

fn field_invalid(kind: &str, error: &serde_path_to_error::Error<serde_json::Error>) -> Error {
    let path = error.path().to_string();
    let message = without_values(&error.inner().to_string());
    let place = if path == "." { kind.to_owned() } else { json::shown(&path) };
    Error::new(Code::FieldInvalid, message).at(place)
}

/// Cuts the offending text out of serde's message: a secret may stand in the wrong field.
fn without_values(message: &str) -> String {
    match (message.find(" \""), message.rfind("\", expected")) {
        (Some(start), Some(end)) if start < end => {
            format!("{}{}", &message.get(..start).unwrap_or_default(), &message.get(end + 1..).unwrap_or_default())
        }
        _ => message.to_owned(),
    }
}

/// The object as it is printed.
#[derive(Serialize)]
struct Envelope<'a, B> {
    r#type: &'static str,
    v: u32,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    test: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<&'a Secret<32>>,
    #[serde(flatten)]
    body: B,
}

/// One line, or with `pretty` several. The seed travels only with other secrets: whoever gets a public document has a
/// seed of their own, or two members would make the same keys.
pub(crate) fn whole<D: Document>(document: &D, marks: &Marks, pretty: bool) -> Result<String, Error> {
    let seed = marks.seed.as_ref().filter(|_| !D::SECRETS.is_empty());
    text(&Envelope { r#type: D::TYPE, v: D::V, test: marks.test, seed, body: document }, pretty)
}

/// The same without the fields that only the holder may see.
pub(crate) fn public<D: Document>(document: &D, marks: &Marks, pretty: bool) -> Result<String, Error> {
    let mut body = serde_json::to_value(document).map_err(unwritable)?;
    for path in D::SECRETS {
        remove(&mut body, path);
    }
    text(&Envelope { r#type: D::TYPE, v: D::V, test: marks.test, seed: None, body }, pretty)
}

fn text(value: &impl Serialize, pretty: bool) -> Result<String, Error> {
    let text = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    let mut text = text.map_err(unwritable)?;
    text.push('\n');
    Ok(text)
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::bug(format!("a document cannot be written: {error}"))
}

fn remove(value: &mut Value, path: &str) {
    match (value, path.split_once('.')) {
        (Value::Array(list), _) => list.iter_mut().for_each(|item| remove(item, path)),
        (Value::Object(map), None) => drop(map.shift_remove(path)),
        (Value::Object(map), Some((first, rest))) => {
            if let Some(inner) = map.get_mut(first) {
                remove(inner, rest);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thing with keys.
    #[derive(Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
    struct Ring {
        /// Who holds it.
        name: String,
        root_key: Secret<2>,
        keys: Vec<Key>,
    }

    /// One key.
    #[derive(Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
    struct Key {
        id: u8,
        key: Secret<2>,
    }

    impl Document for Ring {
        const TYPE: &'static str = "ring";
        const V: u32 = 2;
        const SECRETS: &'static [&'static str] = &["root_key", "keys.key"];
    }

    const RING: &str =
        "{\"type\":\"ring\",\"v\":2,\"name\":\"a\",\"root_key\":\"AAE\",\"keys\":[{\"id\":1,\"key\":\"AAE\"}]}\n";

    fn read(text: &str) -> Result<Ring, Error> {
        open(text.as_bytes(), &Ring::shapes(), json::MAX_SIZE).and_then(Ring::from_object)
    }

    fn refusal(text: &str) -> (Code, String) {
        let error = read(text).unwrap_err();
        (error.code(), error.to_string())
    }

    #[test]
    fn what_is_written_is_read_back() {
        let ring = read(RING).unwrap();
        assert_eq!(whole(&ring, &Marks::default(), false).unwrap(), RING);
        assert_eq!(read(&whole(&ring, &Marks::default(), true).unwrap()).unwrap(), ring);
    }

    #[test]
    fn the_public_form_leaves_out_secrets_and_seed() {
        let ring = read(RING).unwrap();
        let marks = Marks { test: true, seed: Some(Secret::new([0; 32])) };
        assert_eq!(
            public(&ring, &marks, false).unwrap(),
            "{\"type\":\"ring\",\"v\":2,\"test\":true,\"name\":\"a\",\"keys\":[{\"id\":1}]}\n"
        );
        assert!(
            whole(&ring, &marks, false).unwrap().starts_with("{\"type\":\"ring\",\"v\":2,\"test\":true,\"seed\":\"AA")
        );
    }

    #[test]
    fn errors_say_what_was_expected_and_what_came() {
        let (code, message) = refusal("{\"type\":\"king\",\"v\":2}");
        assert_eq!((code, message.as_str()), (Code::TypeUnexpected, "expected a document of type `ring`, got `king`"));
        let (code, message) = refusal("{\"type\":\"ring\",\"v\":3}");
        assert_eq!((code, message.as_str()), (Code::VersionUnexpected, "expected version 2 of `ring`, got 3"));
        assert_eq!(refusal("{\"v\":2}").1, "expected a document of type `ring`, got one without a type");
        assert_eq!(refusal("{\"type\":\"ring\",\"v\":2}").1, "ring: missing field `name`");
        assert_eq!(refusal(&RING.replace("\"id\":1", "\"id\":-1")).0, Code::FieldInvalid);
        assert_eq!(
            refusal(&RING.replace("\"id\":1", "\"id\":\"s, expected ecret\"")).1,
            "keys[0].id: invalid type: string, expected u8"
        );
    }

    #[test]
    fn unknown_fields_are_ignored_but_a_dishonest_test_mark_is_not() {
        assert!(read(&RING.replace("\"name\"", "\"later\":{},\"name\"")).is_ok());
        assert_eq!(refusal(&RING.replace("\"name\"", "\"test\":1,\"name\"")).0, Code::FieldInvalid);
        let seed = format!("\"seed\":\"{}\",\"name\"", "A".repeat(43));
        assert_eq!(refusal(&RING.replace("\"name\"", &seed)).0, Code::FieldInvalid);
        assert!(read(&RING.replace("\"name\"", &format!("\"test\":true,{seed}"))).is_ok());
    }

    #[test]
    fn the_schema_begins_with_the_envelope() {
        let schema = Shape::of::<Ring>().schema();
        let keys: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["type", "v", "test", "seed", "name", "root_key", "keys"]);
        assert_eq!(schema["properties"]["type"]["const"], "ring");
        assert_eq!(schema["required"], json!(["type", "v", "name", "root_key", "keys"]));
        assert!(schema.get("$defs").is_none());
    }
}
