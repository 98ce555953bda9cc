//! What every kind of firewall needs: the scope of a request, the right to change rules, and the
//! mark that tells ours.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use tokio::time::Instant;

use crate::formats::opening::Opening;
use crate::operator::host::failure::{At, Failure, Kind};
use crate::operator::host::files::{durable, paths};
use crate::operator::host::net::addresses;

/// What the verbs need to know beside the rules.
pub(crate) struct Scope {
    pub(crate) interface: Option<String>,
    /// Where zkops keeps its own state on this host.
    pub(crate) state_dir: PathBuf,
    pub(crate) deadline: Instant,
}

impl Scope {
    pub(crate) fn new(address: Option<IpAddr>, state_dir: &Path, deadline: Instant) -> Scope {
        let interface = address.and_then(addresses::interface_of);
        Scope { interface, state_dir: state_dir.to_path_buf(), deadline }
    }
}

/// Only root changes rules; said before anything is tried.
pub(crate) fn need_root(what: &str, where_: &str) -> Result<(), Failure> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(Failure::new(what, where_, Kind::PermissionDenied, "only root may change the firewall")
        .hint("log in as root, or have an administrator open the ports"))
}

/// What a command wrote survives a power-off only when it is synced; the tools do not do it.
pub(crate) fn sync_file(path: &Path) -> Result<(), Failure> {
    match std::fs::File::open(path) {
        Ok(file) => file.sync_all().at("sync", path)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Failure::io("sync", path.display(), &error)),
    }
    durable::sync_dir(paths::parent(path)?)
}

/// "2181/tcp, 2888/tcp from 10.0.0.1".
pub(crate) fn listed(openings: &[Opening]) -> String {
    let shown = openings.iter().map(|opening| match opening.from {
        None => format!("{}/tcp", opening.port),
        Some(from) => format!("{}/tcp from {from}", opening.port),
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// What marks a rule as ours.
pub(crate) const TAG: &str = "zkops";
/// What marks a rule of a fence.
pub(crate) const FENCE_TAG: &str = "zkops-fence";
/// The table of nftables that holds them.
pub(crate) const FENCE_TABLE: &str = "zkops_fence";
