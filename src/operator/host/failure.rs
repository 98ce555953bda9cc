//! The one error that travels from a host to the operator. It does not print itself and knows
//! nothing of exit codes: callers branch on [`Kind`], people read the rest.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Why a host could not do what it was asked: `cannot {what} {where}: {why}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("cannot {what} {where_}: {why}{}", hint.as_deref().map(|hint| format!(" ({hint})")).unwrap_or_default())]
pub struct Failure {
    /// A verb: "write", "start", "open the port".
    pub what: String,
    /// The path, port, unit or name it was about.
    #[serde(rename = "where")]
    pub where_: String,
    /// The cause, in the words of the system or the command.
    pub why: String,
    /// What a program decides on.
    pub kind: Kind,
    /// What to do now, when it is known.
    pub hint: Option<String>,
}

/// What a program decides on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Nothing is there.
    NotFound,
    /// Not allowed for this user.
    PermissionDenied,
    /// The disk (or quota, or inodes) is full.
    NoSpace,
    /// A read-only file system.
    ReadOnly,
    /// In use by somebody else: a mount point, a running text, a lock.
    Busy,
    /// Something is there already where nothing must be.
    Exists,
    /// A directory was needed.
    NotADirectory,
    /// A directory is in the way of a file.
    IsADirectory,
    /// There is something, and it was not put there by zkops: left untouched.
    Foreign,
    /// Refused as unsafe, such as a path outside the allowed roots.
    Refused,
    /// The request itself makes no sense.
    Invalid,
    /// Over the deadline; what was started may still be going on.
    Timeout,
    /// A program that the request needs ended with an error.
    CommandFailed,
    /// This host cannot do that at all (no such program, no such kernel feature).
    Unsupported,
    /// More bytes than a frame or a limit allows.
    TooLarge,
    /// Nobody accepts connections there.
    ConnectionRefused,
    /// A network, host or port that packets do not reach.
    Unreachable,
    /// The connection broke.
    ConnectionReset,
    /// The input/output error that has no name here; `why` has it.
    Io,
}

impl Failure {
    pub fn new(what: impl Into<String>, where_: impl ToString, kind: Kind, why: impl ToString) -> Failure {
        Failure { what: what.into(), where_: where_.to_string(), why: why.to_string(), kind, hint: None }
    }

    /// An input/output error at a path (or another named thing), with the usual advice for its kind.
    pub fn io(what: impl Into<String>, where_: impl ToString, error: &io::Error) -> Failure {
        let kind = Kind::of(error);
        let mut failure = Failure::new(what, where_, kind, error);
        failure.hint = kind.advice().map(str::to_string);
        failure
    }

    /// The request itself makes no sense.
    pub fn invalid(what: impl Into<String>, where_: impl ToString, why: impl ToString) -> Failure {
        Failure::new(what, where_, Kind::Invalid, why)
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }
}

impl Kind {
    pub fn of(error: &io::Error) -> Kind {
        use io::ErrorKind as E;
        match error.kind() {
            E::NotFound => Kind::NotFound,
            E::PermissionDenied => Kind::PermissionDenied,
            E::StorageFull | E::QuotaExceeded => Kind::NoSpace,
            E::ReadOnlyFilesystem => Kind::ReadOnly,
            E::ResourceBusy | E::ExecutableFileBusy | E::WouldBlock | E::AddrInUse => Kind::Busy,
            E::AlreadyExists | E::DirectoryNotEmpty => Kind::Exists,
            E::NotADirectory => Kind::NotADirectory,
            E::IsADirectory => Kind::IsADirectory,
            E::TimedOut => Kind::Timeout,
            E::ConnectionRefused => Kind::ConnectionRefused,
            E::HostUnreachable | E::NetworkUnreachable | E::NetworkDown | E::AddrNotAvailable => {
                Kind::Unreachable
            }
            E::ConnectionReset | E::ConnectionAborted | E::BrokenPipe => Kind::ConnectionReset,
            E::InvalidInput | E::InvalidFilename => Kind::Invalid,
            E::Unsupported => Kind::Unsupported,
            E::FileTooLarge => Kind::TooLarge,
            _ => Kind::Io,
        }
    }

    fn advice(self) -> Option<&'static str> {
        match self {
            Kind::PermissionDenied => Some("log in as root, or as a user who owns that path"),
            Kind::NoSpace => Some("free disk space or inodes there, or choose a path on another disk"),
            Kind::ReadOnly => Some(
                "the file system is mounted read-only: look at `dmesg` for a disk error, then remount it",
            ),
            Kind::Busy => Some("something uses it: a mount point or a running program"),
            _ => None,
        }
    }
}

/// Turns an `io::Result` into one that can travel.
pub trait At<T> {
    fn at(self, what: &str, path: &Path) -> Result<T, Failure>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, what: &str, path: &Path) -> Result<T, Failure> {
        self.map_err(|error| Failure::io(what, path.display(), &error))
    }
}

impl<T> At<T> for rustix::io::Result<T> {
    fn at(self, what: &str, path: &Path) -> Result<T, Failure> {
        self.map_err(|errno| Failure::io(what, path.display(), &io::Error::from(errno)))
    }
}
