//! Bytes that only applications understand.

use cli::Blob;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bytes of an application: as text if they are text
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Content {
    /// The bytes, if they are UTF-8
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The bytes, if they are not
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Blob>,
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Content { text: Some(text), body: None },
            Err(error) => Content { text: None, body: Some(Blob(error.into_bytes())) },
        }
    }
}
