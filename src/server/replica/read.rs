//! Requests answered from memory, at once: reads, watches, ping (client-protocol §2.8, §2.9, §5). What is
//! read is written straight into the connection's buffer.

use super::watches::{Kind, Modes};
use super::{ClientId, Replica};
use crate::server::mutants::{self, Mutant};
use crate::server::tree::{Children, Tree};
use crate::wire::ids::Zxid;
use crate::wire::jute::{Str, Writer};
use crate::wire::proto::{
    AddWatchMode, ErrorCode, EventType, Id, MultiResult, OpCode, ReplyHeader, Request, Response, SetWatches,
    WatcherType,
};

impl Replica {
    pub(super) fn read(&mut self, id: ClientId, xid: i32, request: &Request) {
        match request {
            Request::Exists { path, watch } => {
                let found = self.tree.exists(path, self.who(id));
                // The one read that leaves its watch on a missing node too (§2.9).
                if *watch && matches!(found, Ok(_) | Err(ErrorCode::NoNode)) {
                    self.watches.add(Kind::Data, path, id, Modes::STANDARD);
                }
                self.reply(id, xid, found.map(Response::Stat));
            }
            Request::GetData { path, watch } => {
                let who = self.clients.take_identities(id);
                let found = self.tree.get_data(path, &who);
                let is_ok = found.is_ok();
                let zxid = self.tree.last_zxid();
                self.clients.send(id, |w| {
                    reply_header(xid, zxid, found.as_ref().err()).encode(w);
                    if let Ok((data, stat)) = found {
                        w.buffer(data);
                        stat.encode(w);
                    }
                });
                self.clients.put_identities(id, who);
                if *watch && is_ok {
                    self.watches.add(Kind::Data, path, id, Modes::STANDARD);
                }
            }
            Request::GetChildren { path, watch } | Request::GetChildren2 { path, watch } => {
                let with_stat = request.op() == OpCode::GetChildren2;
                let who = self.clients.take_identities(id);
                let found = self.tree.get_children(path, &who);
                let is_ok = found.is_ok();
                let zxid = self.tree.last_zxid();
                self.clients.send(id, |w| {
                    reply_header(xid, zxid, found.as_ref().err()).encode(w);
                    if let Ok((children, stat)) = found {
                        encode_children(&children, w);
                        if with_stat {
                            stat.encode(w);
                        }
                    }
                });
                self.clients.put_identities(id, who);
                if *watch && is_ok {
                    self.watches.add(Kind::Child, path, id, Modes::STANDARD);
                }
            }
            Request::GetAcl { path } => {
                let found = self.tree.get_acl(path, self.who(id));
                self.reply(id, xid, found.map(|(acl, stat)| Response::Acl { acl, stat }));
            }
            Request::GetAllChildrenNumber { path } => {
                let found = self.tree.count_children(path, self.who(id));
                self.reply(id, xid, found.map(Response::Number));
            }
            Request::GetEphemerals { prefix } => {
                let session = self.clients.get(id).map_or(crate::wire::ids::SessionId::NONE, |c| c.session);
                let paths = self.tree.ephemerals_of(session, prefix.as_deref());
                self.reply(id, xid, Ok(Response::Names(paths.into_iter().map(Str::from).collect())));
            }
            Request::MultiRead(reads) => {
                let who = self.who(id);
                let results = reads.iter().map(|read| read_one(&self.tree, who, read)).collect();
                self.reply(id, xid, Ok(Response::Multi(results)));
            }
            Request::WhoAmI => {
                let users = self.who(id).iter().map(|id| (id.scheme.as_str().into(), user(id))).collect();
                self.reply(id, xid, Ok(Response::WhoAmI(users)));
            }
            // On a leader or alone, a sync is as good as a read (§2.9 TRAP).
            Request::Sync { path } => self.reply(id, xid, Ok(Response::Path(path.clone()))),
            Request::AddWatch { path, mode } => self.add_watch(id, xid, path, *mode),
            Request::CheckWatches { path, kind } => self.check_watches(id, xid, path, *kind, false),
            Request::RemoveWatches { path, kind } => self.check_watches(id, xid, path, *kind, true),
            Request::SetWatches(watches) | Request::SetWatches2(watches) => {
                self.set_watches(id, watches);
                self.reply(id, xid, Ok(Response::Empty));
            }
            Request::Ping => self.reply(id, xid, Ok(Response::Empty)),
            // Writes, auth and session requests never come here.
            _ => self.reply(id, xid, Err(ErrorCode::Unimplemented)),
        }
    }

    fn who(&self, id: ClientId) -> &[Id] {
        self.clients.get(id).map_or(&[], |client| &client.identities)
    }

    fn reply(&mut self, id: ClientId, xid: i32, result: Result<Response, ErrorCode>) {
        let zxid = self.tree.last_zxid();
        self.clients.send(id, |w| match result {
            Ok(response) => {
                ReplyHeader { xid, zxid, err: 0 }.encode(w);
                response.encode(w);
            }
            Err(code) => ReplyHeader { xid, zxid, err: code.code() }.encode(w),
        });
    }

    fn add_watch(&mut self, id: ClientId, xid: i32, path: &Str, mode: i32) {
        match AddWatchMode::from_code(mode) {
            Some(AddWatchMode::Persistent) => {
                self.watches.add(Kind::Data, path, id, Modes::PERSISTENT);
                self.watches.add(Kind::Child, path, id, Modes::PERSISTENT);
            }
            Some(AddWatchMode::PersistentRecursive) => {
                self.watches.add(Kind::Data, path, id, Modes::RECURSIVE);
            }
            None => return self.reply(id, xid, Err(ErrorCode::MarshallingError)),
        }
        self.reply(id, xid, Ok(Response::Number(0)));
    }

    fn check_watches(&mut self, id: ClientId, xid: i32, path: &Str, kind: i32, remove: bool) {
        let result = match WatcherType::from_code(kind) {
            None => Err(ErrorCode::MarshallingError),
            Some(kind) => {
                let found = match remove {
                    true => self.watches.remove(path, id, kind),
                    false => self.watches.has(path, id, kind),
                };
                if found { Ok(Response::Empty) } else { Err(ErrorCode::NoWatcher) }
            }
        };
        self.reply(id, xid, result);
    }

    /// Catch-up after a reconnect: what was missed is told, the rest is watched again (§5.5).
    fn set_watches(&mut self, id: ClientId, watches: &SetWatches) {
        let since = watches.relative_zxid;
        for path in &watches.data {
            match self.tree.stat(path) {
                None => self.send_event(id, Zxid::NONE, EventType::NodeDeleted, path),
                Some(stat) if stat.mzxid > since && !mutants::on(Mutant::MissedChangeUntold) => {
                    self.send_event(id, Zxid::NONE, EventType::NodeDataChanged, path);
                }
                Some(_) => self.watches.add(Kind::Data, path, id, Modes::STANDARD),
            }
        }
        for path in &watches.exist {
            match self.tree.stat(path) {
                None => self.watches.add(Kind::Data, path, id, Modes::STANDARD),
                Some(_) => self.send_event(id, Zxid::NONE, EventType::NodeCreated, path),
            }
        }
        for path in &watches.child {
            match self.tree.stat(path) {
                None => self.send_event(id, Zxid::NONE, EventType::NodeDeleted, path),
                Some(stat) if stat.pzxid > since => {
                    self.send_event(id, Zxid::NONE, EventType::NodeChildrenChanged, path);
                }
                Some(_) => self.watches.add(Kind::Child, path, id, Modes::STANDARD),
            }
        }
        for path in &watches.persistent {
            self.watches.add(Kind::Data, path, id, Modes::PERSISTENT);
            self.watches.add(Kind::Child, path, id, Modes::PERSISTENT);
        }
        for path in &watches.persistent_recursive {
            self.watches.add(Kind::Data, path, id, Modes::RECURSIVE);
        }
    }
}

fn reply_header(xid: i32, zxid: Zxid, error: Option<&ErrorCode>) -> ReplyHeader {
    ReplyHeader { xid, zxid, err: error.map_or(0, |code| code.code()) }
}

fn read_one(tree: &Tree, who: &[Id], read: &Request) -> MultiResult {
    let result = match read {
        Request::GetData { path, .. } => tree
            .get_data(path, who)
            .map(|(data, stat)| MultiResult::Data { data: data.map(bytes::Bytes::copy_from_slice), stat }),
        Request::GetChildren { path, .. } => tree
            .get_children(path, who)
            .map(|(children, _)| MultiResult::Children(children.names().map(Str::from).collect())),
        _ => Err(ErrorCode::MarshallingError),
    };
    result.unwrap_or_else(|code| MultiResult::Error(code.code()))
}

fn encode_children(children: &Children<'_>, w: &mut Writer) {
    w.count(children.count());
    children.names().for_each(|name| w.string(name));
}

/// The user of an identity as whoAmI tells it: a digest's hash stays hidden (§2.9).
fn user(id: &Id) -> Str {
    match id.scheme.as_str() {
        "digest" => id.id.split(':').next().unwrap_or_default().into(),
        _ => id.id.as_str().into(),
    }
}
