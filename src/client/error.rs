//! Why a call failed, so that callers can branch on it.

use crate::wire::jute;
use crate::wire::proto::ErrorCode;
use crate::wire::proto::path::PathError;

pub type Result<T> = std::result::Result<T, Error>;

/// Why a call failed. For [`Error::ConnectionLoss`] and [`Error::Timeout`] the outcome of a write is
/// unknown: it may have happened (client-protocol §12 TRAP).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The server refused, with the path as the caller wrote it (empty when the call has none).
    #[error("KeeperErrorCode = {}{}", .0.text(), for_path(.1))]
    Code(ErrorCode, String),
    /// The server refused with a number outside the protocol's set.
    #[error("the server answered with the unknown error code {}{}", .0, for_path(.1))]
    UnknownCode(i32, String),
    /// Op `at` of a multi failed, so none of its ops was done.
    #[error("op {at} of the transaction failed: KeeperErrorCode = {}{}", .code.text(), for_path(.path))]
    Multi { at: usize, code: ErrorCode, path: String },
    /// The connection broke, or no server could be reached.
    #[error("KeeperErrorCode = ConnectionLoss{}", for_path(.0))]
    ConnectionLoss(String),
    /// The session is gone, with its ephemerals and watches. Make a new client.
    #[error("KeeperErrorCode = Session expired{}", for_path(.0))]
    SessionExpired(String),
    /// An identity was refused; the session is unusable. Make a new client.
    #[error("KeeperErrorCode = AuthFailed{}", for_path(.0))]
    AuthFailed(String),
    /// No answer within the call's deadline.
    #[error("no answer within {ms} ms{}", for_path(.path))]
    Timeout { ms: u64, path: String },
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
    /// The path cannot be one; nothing was sent.
    #[error("{0}")]
    Path(#[from] PathError),
    /// The answer's bytes are not what the protocol says; the connection was given up.
    #[error("the server sent a malformed answer{}: {why}", for_path(.path))]
    Malformed { why: jute::Error, path: String },
}

impl Error {
    /// The server's code, where it named one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Error::Code(code, _) | Error::Multi { code, .. } => Some(*code),
            _ => None,
        }
    }
}

fn for_path(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(" for {path}") }
}
