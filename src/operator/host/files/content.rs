//! File contents on their way through JSON: text as text, anything else as base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::operator::host::failure::Failure;

/// Bytes of a file.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    Utf8(String),
    Base64(String),
}

impl Content {
    /// # Errors
    /// `Invalid` when the base64 is not base64.
    pub fn into_bytes(self) -> Result<Vec<u8>, Failure> {
        match self {
            Content::Utf8(text) => Ok(text.into_bytes()),
            Content::Base64(text) => {
                STANDARD.decode(text).map_err(|error| Failure::invalid("decode", "the content", error))
            }
        }
    }

    /// Text as people read it; what is not UTF-8 is replaced.
    pub fn into_text(self) -> String {
        match self {
            Content::Utf8(text) => text,
            Content::Base64(text) => {
                String::from_utf8_lossy(&STANDARD.decode(text).unwrap_or_default()).into_owned()
            }
        }
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Content {
        match String::from_utf8(bytes) {
            Ok(text) => Content::Utf8(text),
            Err(error) => Content::Base64(STANDARD.encode(error.as_bytes())),
        }
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Content {
        Content::Utf8(text.to_string())
    }
}

/// A file's content may hold a secret: only its size shows.
impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Content::Utf8(text) => write!(f, "Utf8({} bytes)", text.len()),
            Content::Base64(text) => write!(f, "Base64({} characters)", text.len()),
        }
    }
}

/// SHA-256 in lower-case hex, as `sha256sum` prints it.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(crate) fn hex(digest: &[u8]) -> String {
    use std::fmt::Write as _;
    digest.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
