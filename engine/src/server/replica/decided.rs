//! The wiring of what agreement decides: transactions on their way into the tree, to watchers and clients; roles
//! taken and left; trees replaced by snapshots.

use bytes::Bytes;

use super::bent;
use super::duty::Duty;
use super::event::Output;
use super::learner::Learn;
use super::mind::Replica;
use crate::server::tree::{Change, Outcome, Tree, Txn, TxnBody, snapshot};
use crate::server::zab::wire::SNAPSHOT_SIGNATURE;
use crate::server::zab::{ConnId, Input, PersistId, Role};
use crate::wire::ids::Zxid;
use crate::wire::jute::Writer;

impl Replica {
    /// Applies what agreement has decided.
    pub(super) fn deliver(&mut self, zxid: Zxid, bytes: Bytes) {
        let prepared = self.duty.lead_mut().and_then(|lead| lead.take_prepared(zxid));
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
        let applied = self.held.apply(&txn);
        if let Duty::Lead(lead) = &mut self.duty {
            lead.applied(zxid, &txn);
        }
        if bent::answers_first() {
            self.answer_txn(&txn, &applied.outcome);
        }
        self.tell_watchers(zxid, &txn, &applied.changes);
        self.answer_txn(&txn, &applied.outcome);
        self.release_syncs();
        self.lead_waiting();
    }

    fn tell_watchers(&mut self, zxid: Zxid, txn: &Txn, changes: &[Change]) {
        if bent::tells_nobody(txn) {
            return;
        }
        changes.iter().for_each(|change| self.desk.tell(zxid, change));
    }

    fn answer_txn(&mut self, txn: &Txn, outcome: &Outcome) {
        let session = txn.header.session;
        if let TxnBody::CreateSession { .. } = &txn.body {
            if let Some(id) = self.desk.clients().of_session(session) {
                self.finish_connect(id, true);
            }
            return;
        }
        let view = self.held.view(self.now);
        self.desk.committed(view, session, txn.header.cxid, txn.header.zxid, outcome);
        // A session that ended otherwise than by its client's request: its connection just closes.
        if let TxnBody::CloseSession { .. } = &txn.body
            && let Some(id) = self.desk.clients().of_session(session)
        {
            self.desk.clients_mut().close(id);
        }
    }

    pub(super) fn role_changed(&mut self, role: &Role) {
        if !self.duty.is_of(role) {
            self.leave_duty();
            match role {
                Role::Leading { serving: true } => self.start_leading(),
                Role::Following { serving: true, .. } | Role::Observing { serving: true, .. } => {
                    self.duty = Duty::Learn(Learn::default());
                }
                _ => {}
            }
        }
        if !self.serving() {
            self.desk.clients_mut().forget_outstanding();
        }
    }

    /// Its clients must find a server that has a duty (ZOOKEEPER-3598, 4541).
    fn leave_duty(&mut self) {
        let had_none = self.duty.is_nothing();
        self.duty = Duty::Nothing;
        if had_none || bent::keeps_clients() {
            return;
        }
        self.desk.close_all();
    }

    /// The stream a learner builds its tree from, then the reference's closing words (quorum §2.5).
    pub(super) fn send_snapshot(&mut self, conn: ConnId) {
        let mut w = Writer::on(snapshot::encode_body(self.held.tree()).into());
        w.string(SNAPSHOT_SIGNATURE);
        let body = w.finish();
        self.out.push(Output::PeerSnapshot { conn, body });
    }

    pub(super) fn install_snapshot(&mut self, zxid: Zxid, body: Bytes) {
        match snapshot::decode(body, self.settings.tree.clone()) {
            Ok(mut tree) => {
                tree.set_last_zxid(zxid);
                self.held.replace(tree, self.now.wall_ms);
            }
            Err(error) => self.out.push(Output::Halt {
                reason: format!(
                    "the leader's snapshot {zxid} cannot be read ({error}); nothing on disk was changed by it. \
                     Restart this server; if it happens again, compare the versions of leader and follower"
                ),
            }),
        }
    }

    /// The log was cut: the tree is what is left.
    pub(super) fn reloaded(&mut self, id: PersistId, tree: Tree, tail: Vec<(Zxid, Bytes)>) {
        let last_zxid = tree.last_zxid();
        if !bent::keeps_tree() {
            self.held.replace(tree, self.now.wall_ms);
        }
        self.agreement.step(self.now.ms, Input::Reloaded { id, last_zxid, tail });
    }
}
