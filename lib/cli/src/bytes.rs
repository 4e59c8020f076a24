//! Bytes in documents: base64url without padding, secrets never printed.

use std::borrow::Cow;
use std::fmt;

use codec::text::{base64url_unpadded, from_base64url};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

/// Exactly `N` public bytes: an ID, a public key, a signature.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bytes<const N: usize>(pub [u8; N]);

/// Exactly `N` secret bytes: a private key, a seed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<const N: usize>(pub crypto::Secret<N>);

/// Public bytes of any length.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Blob(pub Vec<u8>);

/// Secret bytes of any length: a private key in its own encoding, a ratchet state.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretBlob(pub Zeroizing<Vec<u8>>);

impl<const N: usize> Secret<N> {
    /// Takes ownership of secret bytes.
    pub fn new(bytes: [u8; N]) -> Self {
        Secret(crypto::Secret::new(bytes))
    }

    /// The bytes, for the moment they are needed.
    pub fn expose(&self) -> &[u8; N] {
        self.0.expose()
    }
}

impl<const N: usize> fmt::Debug for Bytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url_unpadded(&self.0))
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url_unpadded(&self.0))
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl fmt::Debug for SecretBlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl<const N: usize> Serialize for Bytes<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&base64url_unpadded(&self.0))
    }
}

impl<const N: usize> Serialize for Secret<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(base64url_unpadded(self.expose())))
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&base64url_unpadded(&self.0))
    }
}

impl Serialize for SecretBlob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(base64url_unpadded(&self.0)))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Bytes<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        array(deserializer).map(|bytes| Bytes(*bytes))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Secret<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        array(deserializer).map(|bytes| Secret::new(*bytes))
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bytes(deserializer).map(|mut bytes| Blob(std::mem::take(&mut *bytes)))
    }
}

impl<'de> Deserialize<'de> for SecretBlob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bytes(deserializer).map(SecretBlob)
    }
}

/// Reads the text itself, so that no error message can repeat it.
fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<Vec<u8>>, D::Error> {
    let text = Zeroizing::new(String::deserialize(deserializer)?);
    if text.is_empty() {
        return Ok(Zeroizing::default());
    }
    let decoded = if text.ends_with('=') { None } else { from_base64url(&text).ok() };
    decoded.map(Zeroizing::new).ok_or_else(|| de::Error::custom("expected base64url without padding"))
}

fn array<'de, D: Deserializer<'de>, const N: usize>(deserializer: D) -> Result<Zeroizing<[u8; N]>, D::Error> {
    let bytes = bytes(deserializer)?;
    let wrong_length = |_| de::Error::custom(format!("expected {N} bytes, got {}", bytes.len()));
    bytes.as_slice().try_into().map(Zeroizing::new).map_err(wrong_length)
}

fn schema(description: &str, length: Option<usize>) -> Schema {
    let mut schema = json_schema!({"type": "string", "contentEncoding": "base64url"});
    let pattern = match length {
        Some(length) => format!("^[A-Za-z0-9_-]{{{}}}$", length.saturating_mul(4).div_ceil(3)),
        None => "^[A-Za-z0-9_-]*$".to_owned(),
    };
    schema.insert("pattern".to_owned(), pattern.into());
    schema.insert("description".to_owned(), description.into());
    schema
}

macro_rules! json_schema_for {
    ($([$($generics:tt)*] $type:ty, $name:expr, $length:expr, $kind:literal;)*) => {$(
        impl<$($generics)*> JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let length: Option<usize> = $length;
                let count = length.map_or(String::new(), |length| format!("{length} "));
                schema(&format!("{count}{} in base64url without padding", $kind), length)
            }
        }
    )*};
}

json_schema_for! {
    [const N: usize] Bytes<N>, format!("Bytes{N}"), Some(N), "bytes";
    [const N: usize] Secret<N>, format!("Secret{N}"), Some(N), "secret bytes";
    [] Blob, "Blob", None, "bytes";
    [] SecretBlob, "SecretBlob", None, "secret bytes";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_unpadded_base64url_of_the_right_length() {
        assert_eq!(serde_json::to_string(&Bytes([0xfb, 0xff])).unwrap(), "\"-_8\"");
        assert_eq!(serde_json::from_str::<Bytes<2>>("\"-_8\"").unwrap(), Bytes([0xfb, 0xff]));
        for wrong in ["\"-_8=\"", "\"+/8\"", "\"-_9\"", "\"-_8A\"", "\"\"", "7"] {
            assert!(serde_json::from_str::<Bytes<2>>(wrong).is_err(), "{wrong}");
        }
        assert_eq!(serde_json::from_str::<Blob>("\"\"").unwrap(), Blob(vec![]));
    }

    #[test]
    fn secrets_are_never_shown() {
        assert_eq!(format!("{:?} {:?}", Secret::new([7; 32]), SecretBlob(Zeroizing::new(vec![7]))), "… …");
        let error = serde_json::from_str::<Secret<32>>("\"c2VjcmV0IQ\"").unwrap_err().to_string();
        assert!(error.starts_with("expected 32 bytes, got 7"), "{error}");
    }
}
