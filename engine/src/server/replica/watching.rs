//! What a client asks about its watches (client-protocol §5.4, §5.5): to leave, look for and remove them, and to be
//! told what it missed while it was away.

use super::bent;
use super::event::ClientId;
use super::watches::{Kind, Modes, Watches};
use crate::server::tree::Tree;
use crate::wire::ids::Zxid;
use crate::wire::jute::Str;
use crate::wire::proto::{AddWatchMode, ErrorCode, EventType, Response, SetWatches, Stat, WatcherType};

pub(super) fn add(watches: &mut Watches, id: ClientId, path: &Str, mode: i32) -> Result<Response, ErrorCode> {
    match AddWatchMode::from_code(mode) {
        Some(AddWatchMode::Persistent) => {
            watches.add(Kind::Data, path, id, Modes::PERSISTENT);
            watches.add(Kind::Child, path, id, Modes::PERSISTENT);
        }
        Some(AddWatchMode::PersistentRecursive) => watches.add(Kind::Data, path, id, Modes::RECURSIVE),
        None => return Err(ErrorCode::MarshallingError),
    }
    Ok(Response::Number(0))
}

pub(super) fn check(watches: &Watches, id: ClientId, path: &Str, kind: i32) -> Result<Response, ErrorCode> {
    let kind = WatcherType::from_code(kind).ok_or(ErrorCode::MarshallingError)?;
    watches.has(path, id, kind).then_some(Response::Empty).ok_or(ErrorCode::NoWatcher)
}

pub(super) fn remove(
    watches: &mut Watches,
    id: ClientId,
    path: &Str,
    kind: i32,
) -> Result<Response, ErrorCode> {
    let kind = WatcherType::from_code(kind).ok_or(ErrorCode::MarshallingError)?;
    watches.remove(path, id, kind).then_some(Response::Empty).ok_or(ErrorCode::NoWatcher)
}

/// Catch-up after a reconnect: what was missed comes back, in order, and is to be told; the rest is watched again.
pub(super) fn catch_up<'a>(
    watches: &mut Watches,
    tree: &Tree,
    id: ClientId,
    lost: &'a SetWatches,
) -> Vec<(EventType, &'a Str)> {
    let since = lost.relative_zxid;
    let mut missed = Vec::new();
    for path in &lost.data {
        match tree.stat(path) {
            None => missed.push((EventType::NodeDeleted, path)),
            Some(stat) if is_missed(&stat, since) => missed.push((EventType::NodeDataChanged, path)),
            Some(_) => watches.add(Kind::Data, path, id, Modes::STANDARD),
        }
    }
    for path in &lost.exist {
        match tree.stat(path) {
            None => watches.add(Kind::Data, path, id, Modes::STANDARD),
            Some(_) => missed.push((EventType::NodeCreated, path)),
        }
    }
    for path in &lost.child {
        match tree.stat(path) {
            None => missed.push((EventType::NodeDeleted, path)),
            Some(stat) if stat.pzxid > since => missed.push((EventType::NodeChildrenChanged, path)),
            Some(_) => watches.add(Kind::Child, path, id, Modes::STANDARD),
        }
    }
    for path in &lost.persistent {
        watches.add(Kind::Data, path, id, Modes::PERSISTENT);
        watches.add(Kind::Child, path, id, Modes::PERSISTENT);
    }
    for path in &lost.persistent_recursive {
        watches.add(Kind::Data, path, id, Modes::RECURSIVE);
    }
    missed
}

fn is_missed(stat: &Stat, since: Zxid) -> bool {
    if let Some(bent) = bent::is_missed() {
        return bent;
    }
    stat.mzxid > since
}
