//! Where clients are served: their connections, their watches, and the answers that need no agreement. A watch
//! belongs to a connection that is there, always.
//!
//! It asks nobody for a decision: writes, syncs and sessions come to it when they are decided.

use std::net::SocketAddr;

use bytes::Bytes;

use super::clients::{Clients, Served};
use super::event::{ClientId, Now};
use super::held::View;
use super::queue::{Pending, Waiting};
use super::watches::{Firing, Modes, Watches};
use super::{read, watching};
use crate::server::tree::{AclList, Change, ChangeKind, Outcome, Tree};
use crate::wire::ids::{SessionId, Zxid};
use crate::wire::proto::{ErrorCode, OpCode, Perms, ReplyHeader, Request, Response, path};

/// The connections and what they watch.
#[derive(Debug)]
pub(super) struct Desk {
    clients: Clients,
    watches: Watches,
    /// `skipACL`: everybody may be told of everything.
    skip_acl: bool,
}

impl Desk {
    pub(super) fn new(skip_acl: bool, outstanding_max: u64) -> Desk {
        Desk { clients: Clients::new(outstanding_max), watches: Watches::default(), skip_acl }
    }

    pub(super) fn clients(&self) -> &Clients {
        &self.clients
    }

    /// To hear, seat, settle and close connections. They leave through the desk alone.
    pub(super) fn clients_mut(&mut self) -> &mut Clients {
        &mut self.clients
    }

    pub(super) fn watches(&self) -> &Watches {
        &self.watches
    }

    /// A connection was accepted; one that is not `welcome` is closed at once.
    pub(super) fn up(&mut self, now: Now, id: ClientId, addr: SocketAddr, welcome: bool) {
        self.clients.up(now, id, addr);
        if !welcome {
            self.clients.close(id);
        }
    }

    pub(super) fn down(&mut self, id: ClientId) {
        self.clients.remove(id);
        self.watches.drop_client(id);
    }

    /// Ends every connection: the server no longer serves (spec quorum §2.13).
    pub(super) fn close_all(&mut self) {
        self.clients.close_all();
        self.watches = Watches::default();
    }

    /// Hands out what each connection is owed since the last call, in a fixed order; true says that the connection
    /// ends behind these bytes.
    pub(super) fn drain(&mut self, mut each: impl FnMut(ClientId, Bytes, bool)) {
        let watches = &mut self.watches;
        self.clients.drain(|id, bytes, closing| {
            if closing {
                watches.drop_client(id);
            }
            each(id, bytes, closing);
        });
    }

    /// Answers at once when nothing stands before it, else in its turn.
    pub(super) fn ask(&mut self, view: View<'_>, id: ClientId, xid: i32, op: OpCode, what: Waiting) {
        let Some(mut asker) = self.clients.live(id) else { return };
        let pending = Pending { xid, op, since_ms: view.now.ms, what };
        if let Some(pending) = asker.take_turn(pending) {
            answer(view, &mut asker, &mut self.watches, &pending);
            self.end_greedy(id);
        }
    }

    /// Queues a request that cannot be answered now; false when the connection is gone.
    pub(super) fn hold(&mut self, now: Now, id: ClientId, xid: i32, op: OpCode, what: Waiting) -> bool {
        let Some(mut asker) = self.clients.live(id) else { return false };
        asker.hold(Pending { xid, op, since_ms: now.ms, what });
        true
    }

    /// The first sync of this connection's queue has been granted.
    pub(super) fn grant_sync(&mut self, view: View<'_>, id: ClientId) {
        let Some(mut asker) = self.clients.live(id) else { return };
        asker.grant_sync();
        answer_due(view, &mut asker, &mut self.watches);
        self.end_greedy(id);
    }

    /// A transaction was applied: the write that waited for it is answered, if its connection is here, and what
    /// stood behind it.
    pub(super) fn committed(
        &mut self,
        view: View<'_>,
        session: SessionId,
        cxid: i32,
        zxid: Zxid,
        outcome: &Outcome,
    ) {
        let Some(id) = self.clients.of_session(session) else { return };
        let Some(mut asker) = self.clients.live(id) else { return };
        let Some(pending) = asker.committed(cxid) else { return };
        if is_moved(outcome) {
            // Never on the wire: the stale connection just ends (§2.2, §2.7).
            asker.unanswered();
            return self.clients.close(id);
        }
        let response = match &pending.what {
            Waiting::Commit(Some(request)) => outcome.response(request),
            _ => Err(ErrorCode::MarshallingError.code()),
        };
        let header = |err| ReplyHeader { xid: pending.xid, zxid, err };
        asker.send(|w| match response {
            Ok(response) => {
                header(0).encode(w);
                response.encode(w);
            }
            Err(code) => header(code).encode(w),
        });
        asker.answered(view.now, &pending, zxid);
        if pending.op == OpCode::CloseSession {
            return self.clients.close(id);
        }
        answer_due(view, &mut asker, &mut self.watches);
        self.end_greedy(id);
    }

    /// Ends a connection that watches more than it may, behind what it is owed.
    fn end_greedy(&mut self, id: ClientId) {
        if self.watches.is_greedy(id) {
            self.clients.close(id);
        }
    }

    /// Tells the watchers of a change.
    pub(super) fn tell(&mut self, zxid: Zxid, change: &Change) {
        let parent = path::parent(&change.path).unwrap_or("/");
        match change.kind {
            ChangeKind::Created => {
                let [node, siblings] = self.watches.created(&change.path, parent);
                self.notify(zxid, &change.path, &change.acl, node);
                self.notify(zxid, parent, &change.parent_acl, siblings);
            }
            ChangeKind::Deleted => {
                let [data, child, siblings] = self.watches.deleted(&change.path, parent);
                self.notify(zxid, &change.path, &change.acl, data);
                self.notify(zxid, &change.path, &change.acl, child);
                self.notify(zxid, parent, &change.parent_acl, siblings);
            }
            ChangeKind::DataChanged => {
                let firing = self.watches.data_changed(&change.path);
                self.notify(zxid, &change.path, &change.acl, firing);
            }
        }
    }

    /// Writes an event to each connection that may read the node; the others' watches are used up in
    /// silence (client-protocol §5.2).
    fn notify(&mut self, zxid: Zxid, path: &str, acl: &AclList, firing: Firing) {
        for id in firing.clients {
            let Some(mut watcher) = self.clients.live(id) else { continue };
            if watcher.is_flooded() {
                self.clients.close(id);
            } else if self.skip_acl || acl.allows(Perms::READ, watcher.identities()) {
                watcher.send_event(zxid, firing.event, path);
            }
        }
    }
}

/// Answers everything at the head of the queue that waits for nothing else.
fn answer_due(view: View<'_>, asker: &mut Served<'_>, watches: &mut Watches) {
    while let Some(pending) = asker.next_turn() {
        answer(view, asker, watches, &pending);
    }
}

fn answer(view: View<'_>, asker: &mut Served<'_>, watches: &mut Watches, pending: &Pending) {
    let zxid = view.tree.last_zxid();
    match &pending.what {
        Waiting::Turn(request) => serve(view.tree, asker, watches, pending.xid, request),
        Waiting::Refusal(code) => {
            let header = ReplyHeader { xid: pending.xid, zxid, err: code.code() };
            asker.send(|w| header.encode(w));
        }
        Waiting::Sync { .. } | Waiting::Commit(_) => {}
    }
    asker.answered(view.now, pending, zxid);
}

fn serve(tree: &Tree, asker: &mut Served<'_>, watches: &mut Watches, xid: i32, request: &Request) {
    let id = asker.id();
    let result = match request {
        Request::AddWatch { path, mode } => watching::add(watches, id, path, *mode),
        Request::CheckWatches { path, kind } => watching::check(watches, id, path, *kind),
        Request::RemoveWatches { path, kind } => watching::remove(watches, id, path, *kind),
        Request::SetWatches(lost) | Request::SetWatches2(lost) => {
            for (event, path) in watching::catch_up(watches, tree, id, lost) {
                asker.send_event(Zxid::NONE, event, path);
            }
            Ok(Response::Empty)
        }
        Request::Exists { path, .. }
        | Request::GetData { path, .. }
        | Request::GetChildren { path, .. }
        | Request::GetChildren2 { path, .. } => {
            if let Some(table) = read::answer(tree, asker, xid, request) {
                watches.add(table, path, id, Modes::STANDARD);
            }
            return;
        }
        _ => {
            read::answer(tree, asker, xid, request);
            return;
        }
    };
    read::reply(tree, asker, xid, result);
}

/// Whether the request failed because the session speaks through another server now. In a multi its
/// first failing op says so.
fn is_moved(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Error(code) => *code == ErrorCode::SessionMoved.code(),
        Outcome::Multi(parts) => parts.iter().any(is_moved),
        _ => false,
    }
}
