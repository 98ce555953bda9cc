//! What steps do to files on a host, where that takes more than one request or a rule of its own: whose may be
//! written over, when a tree may change hands, what may be taken away.

use std::path::PathBuf;

use anyhow::Result;

use crate::operator::fleet::unit;
use crate::operator::host::files::{Expect, Own, PutFile, Reader, Remove, SwitchLink};
use crate::operator::host::service::FindServer;
use crate::operator::host::{Kind, Link};
use crate::operator::plan::desired::DesiredMember;
use crate::operator::plan::layout::{self, Slot};
use crate::operator::plan::owners::Account;

/// Files of ours are overwritten, others are not: except `myid`, which carries no header and
/// whose directory was proven to be ours. A zoo.cfg is tried by the binary that will run it.
pub(super) async fn put(member: &DesiredMember, link: &Link, file: PutFile) -> Result<bool> {
    let path = file.path.to_string_lossy().into_owned();
    let of_server = path == member.myid_path();
    let expect = if of_server { Expect::Any } else { Expect::Ours };
    let must_read = if member.is_config(&path) { Reader::Server } else { Reader::Anybody };
    let request = PutFile { expect, must_read, in_foreign_dir: of_server, ..file };
    Ok(link.put_file(request).await?.changed)
}

/// No server may be at work there: what it makes meanwhile would be missed, and it could not write any more.
pub(super) async fn own(link: &Link, paths: &[String], owner: &Account) -> Result<bool> {
    for path in paths {
        let find = FindServer { config: None, data_dir: Some(path.into()) };
        let running = link.find_server(find).await?;
        if let Some(server) = running.first() {
            anyhow::bail!("a server (pid {}) still runs on {path}: stop it first", server.process.pid);
        }
    }
    let paths = paths.iter().map(PathBuf::from).collect();
    let done = link.own(Own { paths, owner: unit::owner(owner) }).await?;
    Ok(done.changed > 0)
}

/// The link as it shall be.
pub(super) fn slot(link: &str, to: Slot) -> SwitchLink {
    SwitchLink { link: link.into(), to: to.target().into() }
}

/// The file by which a server may begin with an empty database.
pub(super) fn empty_mark(path: &str, owner: Option<&Account>) -> PutFile {
    let owner = owner.map(unit::owner);
    PutFile { expect: Expect::Any, mode: 0o600, owner, in_foreign_dir: true, ..PutFile::ours(path, "") }
}

/// Only what zkops put there: the directories stay where somebody else has files in them.
pub(super) async fn remove_legacy(member: &DesiredMember, link: &Link, dir: &str) -> Result<bool> {
    let mut changed = false;
    for path in member.legacy_files() {
        changed |= link
            .remove(Remove { path: path.into(), roots: vec![dir.into()], keep: Vec::new() })
            .await?
            .changed;
    }
    for name in ["bin", "conf"] {
        changed |= remove_empty(link, &format!("{dir}/{name}"), dir).await?;
    }
    Ok(changed)
}

/// Takes away what zkops keeps under its install directory, then the directory if it is empty.
/// Never a tree that holds the member's data, by whatever links.
pub(super) async fn uninstall(member: &DesiredMember, link: &Link, dir: &str) -> Result<bool> {
    let mut changed = false;
    let keep: Vec<PathBuf> = vec![(&member.dirs.data).into(), (&member.dirs.data_log).into()];
    for path in layout::own_paths(dir) {
        let request = Remove { path: path.into(), roots: vec![dir.into()], keep: keep.clone() };
        changed |= link.remove(request).await?.changed;
    }
    changed |= remove_empty(link, dir, dir).await?;
    Ok(changed)
}

/// Removes a directory, unless somebody else's files are in it.
async fn remove_empty(link: &Link, dir: &str, root: &str) -> Result<bool> {
    match link.list_dir(dir.into()).await {
        Ok(listing) if listing.entries.is_empty() => {
            let request = Remove { path: dir.into(), roots: vec![root.into()], keep: Vec::new() };
            Ok(link.remove(request).await?.changed)
        }
        Ok(_) => Ok(false),
        Err(error) if error.kind() == Some(Kind::NotFound) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
