//! A transaction's way into the tree: applied, its watchers told, its client answered.

use bytes::Bytes;

use super::watches::Firing;
use super::{ClientId, Output, Replica};
use crate::server::mutants::{self, Mutant};
use crate::server::tree::{AclList, Change, ChangeKind, Outcome, Txn, TxnBody};
use crate::wire::ids::{SessionId, Zxid};
use crate::wire::proto::{EventState, EventType, Perms, ReplyHeader, WatcherEvent, path, xid};

impl Replica {
    /// Applies what agreement has decided.
    pub(super) fn deliver(&mut self, zxid: Zxid, bytes: Bytes) {
        let prepared = self.lead.as_mut().and_then(|lead| lead.take_prepared(zxid));
        let txn = match prepared.map_or_else(|| Txn::decode(bytes), Ok) {
            Ok(txn) => txn,
            Err(error) => {
                let reason = format!(
                    "transaction {zxid} was decided but cannot be read ({error}); going on would leave a hole. \
                     The log keeps it: start a version that knows it"
                );
                return self.out.push(Output::Halt { reason });
            }
        };
        let applied = self.tree.apply(&txn);
        if applied.digest_ok == Some(false) {
            self.stats.digest_mismatches += 1;
        }
        if let Some(lead) = &mut self.lead {
            lead.outstanding.applied(zxid);
            if matches!(txn.body, TxnBody::CloseSession { .. }) {
                lead.tracker.remove(txn.header.session);
            }
        }
        if mutants::on(Mutant::ReplyBeforeWatch) {
            self.answer_txn(&txn, &applied.outcome);
        }
        let ends = matches!(txn.body, TxnBody::CloseSession { .. });
        let silent = ends && mutants::on(Mutant::SessionEndFiresNoWatch);
        for change in applied.changes.iter().filter(|_| !silent) {
            self.tell_watchers(zxid, change);
        }
        self.answer_txn(&txn, &applied.outcome);
        self.release_syncs();
        self.lead_waiting();
    }

    fn answer_txn(&mut self, txn: &Txn, outcome: &Outcome) {
        let session = txn.header.session;
        match &txn.body {
            TxnBody::CreateSession { .. } => {
                if let Some(id) = self.clients.of_session(session) {
                    self.finish_connect(id, true);
                }
            }
            TxnBody::CloseSession { .. } => {
                self.reply_txn(txn, outcome);
                self.end_session(session);
            }
            _ => self.reply_txn(txn, outcome),
        }
    }

    fn reply_txn(&mut self, txn: &Txn, outcome: &Outcome) {
        self.reply_write(txn.header.session, txn.header.cxid, txn.header.zxid, outcome);
    }

    /// A session that ended otherwise than by its client's request: its connection just closes.
    fn end_session(&mut self, session: SessionId) {
        if let Some(id) = self.clients.of_session(session) {
            self.clients.close(id);
        }
    }

    fn tell_watchers(&mut self, zxid: Zxid, change: &Change) {
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
    pub(super) fn notify(&mut self, zxid: Zxid, path: &str, acl: &AclList, firing: Firing) {
        for id in firing.clients {
            let Some(client) = self.clients.live(id) else { continue };
            if !self.settings.tree.skip_acl && !acl.allows(Perms::READ, &client.identities) {
                continue;
            }
            self.send_event(id, zxid, firing.event, path);
        }
    }

    pub(super) fn send_event(&mut self, id: ClientId, zxid: Zxid, kind: EventType, path: &str) {
        let header = ReplyHeader { xid: xid::NOTIFICATION, zxid, err: 0 };
        let event = WatcherEvent { kind, state: EventState::SyncConnected, path: path.into() };
        self.stats.sent += 1;
        self.clients.send(id, |w| {
            header.encode(w);
            event.encode(w);
        });
    }
}
