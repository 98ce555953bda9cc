//! The logs or snapshots that a path leads to, and what is said where there are none.

use std::io;
use std::path::Path;

use crate::forensics::evidence::place::{self, Kind, Lost, Place};
use crate::report::{Exit, Failure};

/// # Errors
/// The path leads to none; what to do then is said.
pub(super) fn place(path: &Path, kind: Kind) -> Result<Place, Failure> {
    place::find(path, kind).map_err(|why| {
        let failure = Failure::new(Exit::Usage, why.to_string());
        match &why {
            Lost::Unreadable { why, .. } if why.kind() == io::ErrorKind::PermissionDenied => {
                unreadable(&failure.what)
            }
            Lost::Other { path, .. } => {
                let verb = if kind == Kind::Logs { "snapshot" } else { "txnlog" };
                failure.next(format!("zkops {verb} {}", path.display()))
            }
            Lost::Empty { .. } if kind == Kind::Logs => failure
                .next("name the zoo.cfg, whose dataLogDir is where the logs are, or that directory itself"),
            _ => failure.next(format!("name a {}, a dataDir, or the zoo.cfg that has one", kind.word())),
        }
    })
}

/// A file is there and cannot be read.
pub(super) fn unreadable(what: &str) -> Failure {
    Failure::new(Exit::Failed, what.to_owned())
        .state("nothing was changed: files are opened for reading alone")
        .next("run it as the user whom the server runs as, or with sudo")
}
