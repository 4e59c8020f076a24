//! Keys and IDs as base64url inside JSON: unpadded in our documents, padded in protocol messages.

use std::borrow::Cow;

use codec::text::{base64url, base64url_unpadded, from_base64url};
use crypto::dh::{X25519PrivateKey, X25519PublicKey};
use crypto::sign::{Ed25519PrivateKey, Ed25519PublicKey};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize as _, Deserializer, Serializer, de};
use smp::id::{CorrId, RecipientId};
use zeroize::Zeroizing;

use crate::content_digest::ContentDigest;
use crate::identity::{
    GroupId, MemberId, MemberKey, MemberPublicKey, OwnerKey, OwnerPublicKey, RelayPublicKey, RootKey, RootPublicKey,
};
use crate::message_id::MessageId;
use crate::transcript::Chain;

/// A value that stands in JSON as its raw bytes.
pub(crate) trait Raw: Sized {
    fn raw(&self) -> Zeroizing<Vec<u8>>;
    fn from_raw(bytes: &[u8]) -> Option<Self>;
}

macro_rules! raw {
    ($($type:ty: |$value:ident| $raw:expr, |$bytes:ident| $from:expr;)*) => {$(
        impl Raw for $type {
            fn raw(&self) -> Zeroizing<Vec<u8>> {
                let $value = self;
                Zeroizing::new($raw)
            }

            fn from_raw($bytes: &[u8]) -> Option<Self> {
                $from
            }
        }
    )*};
}

raw! {
    Vec<u8>: |bytes| bytes.clone(), |bytes| Some(bytes.to_vec());
    GroupId: |id| id.as_bytes().to_vec(), |bytes| GroupId::from_bytes(bytes);
    MemberId: |id| id.as_bytes().to_vec(), |bytes| MemberId::from_bytes(bytes);
    [u8; 64]: |bytes| bytes.to_vec(), |bytes| bytes.try_into().ok();
    MessageId: |id| id.as_bytes().to_vec(), |bytes| MessageId::from_bytes(bytes);
    ContentDigest: |digest| digest.as_bytes().to_vec(), |bytes| ContentDigest::from_bytes(bytes);
    Chain: |chain| chain.0.to_vec(), |bytes| bytes.try_into().ok().map(Chain);
    CorrId: |id| id.as_bytes().to_vec(), |bytes| CorrId::new(bytes);
    RecipientId: |id| id.as_bytes().to_vec(), |bytes| RecipientId::new(bytes);
    Ed25519PrivateKey: |key| key.seed().expose().to_vec(), |bytes| bytes.try_into().ok().map(Self::from_seed);
    Ed25519PublicKey: |key| key.as_bytes().to_vec(), |bytes| bytes.try_into().ok().map(Self::from_bytes);
    X25519PrivateKey: |key| key.to_bytes().expose().to_vec(), |bytes| bytes.try_into().ok().map(Self::from_bytes);
    X25519PublicKey: |key| key.as_bytes().to_vec(), |bytes| bytes.try_into().ok().map(Self::from_bytes);
    RootKey: |key| key.0.seed().expose().to_vec(), |bytes| Ed25519PrivateKey::from_raw(bytes).map(RootKey);
    OwnerKey: |key| key.0.seed().expose().to_vec(), |bytes| Ed25519PrivateKey::from_raw(bytes).map(OwnerKey);
    RootPublicKey: |key| key.0.as_bytes().to_vec(), |bytes| Ed25519PublicKey::from_raw(bytes).map(RootPublicKey);
    OwnerPublicKey: |key| key.0.as_bytes().to_vec(), |bytes| Ed25519PublicKey::from_raw(bytes).map(OwnerPublicKey);
    MemberKey: |key| key.0.seed().expose().to_vec(), |bytes| Ed25519PrivateKey::from_raw(bytes).map(MemberKey);
    MemberPublicKey: |key| key.0.as_bytes().to_vec(), |bytes| Ed25519PublicKey::from_raw(bytes).map(MemberPublicKey);
    RelayPublicKey: |key| key.0.as_bytes().to_vec(), |bytes| Ed25519PublicKey::from_raw(bytes).map(RelayPublicKey);
}

/// Documents of our own.
pub(crate) mod unpadded {
    use super::*;

    pub(crate) fn serialize<T: Raw, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(base64url_unpadded(&value.raw())))
    }

    pub(crate) fn deserialize<'de, T: Raw, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        if text.ends_with('=') {
            return Err(de::Error::custom("expected base64url without padding"));
        }
        from_text(&text)
    }
}

/// Documents of our own, where the value may be missing.
pub(crate) mod unpadded_option {
    use super::*;

    pub(crate) fn serialize<T: Raw, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => unpadded::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, T: Raw, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
        unpadded::deserialize(deserializer).map(Some)
    }
}

/// Protocol messages.
pub(crate) mod padded {
    use super::*;

    pub(crate) fn serialize<T: Raw, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&base64url(&value.raw()))
    }

    pub(crate) fn deserialize<'de, T: Raw, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        from_text(&String::deserialize(deserializer)?)
    }
}

/// Protocol messages, where the value may be missing.
pub(crate) mod padded_option {
    use super::*;

    pub(crate) fn serialize<T: Raw, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => padded::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, T: Raw, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
        Option::<String>::deserialize(deserializer)?.map(|text| from_text(&text)).transpose()
    }
}

/// Keys of members in protocol messages: their DER form.
pub(crate) mod der {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(key: &MemberPublicKey, serializer: S) -> Result<S::Ok, S::Error> {
        padded::serialize(&key.0.to_der(), serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MemberPublicKey, D::Error> {
        let der: Vec<u8> = padded::deserialize(deserializer)?;
        Ed25519PublicKey::from_der(&der).map(MemberPublicKey).map_err(|_| de::Error::custom("expected an Ed25519 key"))
    }
}

/// Keys of members in protocol messages, where the key may be missing.
pub(crate) mod der_option {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Der(#[serde(with = "der")] MemberPublicKey);

    pub(crate) fn serialize<S: Serializer>(key: &Option<MemberPublicKey>, serializer: S) -> Result<S::Ok, S::Error> {
        key.map(Der).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<MemberPublicKey>, D::Error> {
        Ok(Option::<Der>::deserialize(deserializer)?.map(|key| key.0))
    }
}

/// The message repeats nothing of the text: it may be a secret.
fn from_text<T: Raw, E: de::Error>(text: &str) -> Result<T, E> {
    let bytes = from_base64url(text).map(Zeroizing::new).map_err(|_| de::Error::custom("expected base64url"))?;
    T::from_raw(&bytes).ok_or_else(|| de::Error::custom(format!("{} bytes are the wrong length here", bytes.len())))
}

/// The schema of such values.
pub(crate) struct Base64Url;

impl JsonSchema for Base64Url {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Base64Url".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "contentEncoding": "base64url", "pattern": "^[A-Za-z0-9_-]+$"})
    }
}

/// Values that stand in JSON as their own text form: links and addresses.
pub(crate) mod text_form {
    use std::fmt::Display;
    use std::str::FromStr;

    use super::*;

    pub(crate) fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr,
        T::Err: Display,
        D: Deserializer<'de>,
    {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Values in their own text form, where the value may be missing.
pub(crate) mod text_form_option {
    use std::fmt::Display;
    use std::str::FromStr;

    use super::*;

    pub(crate) fn serialize<T: Display, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(value),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr,
        T::Err: Display,
        D: Deserializer<'de>,
    {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(de::Error::custom)).transpose()
    }
}
