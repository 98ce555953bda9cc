//! What `zab` says, acted upon: roles taken and left, transactions delivered, packets for the leader's or
//! the learner's half, the rest handed to the driver.

use bytes::Bytes;

use super::{Agreement, Output, Replica};
use crate::server::mutants::{self, Mutant};
use crate::server::tree::{Tree, snapshot};
use crate::server::zab::{self, ConnId, PersistId, Role};
use crate::wire::ids::Zxid;
use crate::wire::jute::Writer;

impl Replica {
    /// Whether clients are served: a standalone server always, a member once it leads or follows in sync.
    pub fn serving(&self) -> bool {
        let leader_serves = self.settings.leader_serves || !matches!(self.agreement, Agreement::Ensemble(_));
        (self.lead.is_some() && leader_serves) || self.learn.is_some()
    }

    pub(super) fn act_on(&mut self, output: zab::Output) {
        match output {
            zab::Output::Persist { id, op } => self.out.push(Output::Persist { id, op }),
            zab::Output::Note(line) => self.out.push(Output::Note(line)),
            zab::Output::Halt { reason } => self.out.push(Output::Halt { reason }),
            zab::Output::SendSnapshot { conn } => self.send_snapshot(conn),
            zab::Output::Role(role) => self.role_changed(&role),
            zab::Output::Deliver { zxid, txn } => self.deliver(zxid, txn),
            zab::Output::EpochStart { zxid } => self.tree.set_last_zxid(zxid),
            zab::Output::InstallSnapshot { zxid, body } => self.install_snapshot(zxid, body),
            zab::Output::Request { conn, packet, .. } => self.peer_request(conn, packet),
            zab::Output::Revalidate { conn, packet, .. } => self.peer_revalidate(conn, packet),
            zab::Output::Touched { entries, .. } => self.peer_touched(entries),
            zab::Output::LeadershipConfirmed { round } => self.leadership_confirmed(round),
            zab::Output::PingDue { zxid } => self.answer_ping(zxid),
            zab::Output::Answer { packet } => self.leader_answer(packet),
            zab::Output::LearnerGone { conn } => {
                // Its sessions stay its own until a server they go to says so (REVALIDATE): what an earlier
                // server of theirs still has on its way must not come in behind what was sent since.
                if let Some(lead) = &mut self.lead {
                    lead.forget_syncs(conn);
                }
            }
            network @ (zab::Output::DialElection { .. }
            | zab::Output::DialLeader { .. }
            | zab::Output::ListenQuorum(_)
            | zab::Output::Close { .. }
            | zab::Output::SendElection { .. }
            | zab::Output::Send { .. }) => self.out.push(Output::Peer(network)),
        }
    }

    fn role_changed(&mut self, role: &Role) {
        let keeps_clients = mutants::on(Mutant::ClientsKeptWhileLooking);
        let (leads, learns) = match role {
            Role::Leading { serving } => (*serving, false),
            Role::Following { serving, .. } | Role::Observing { serving, .. } => (false, *serving),
            Role::Looking => (false, false),
        };
        if leads && self.lead.is_none() {
            self.start_leading();
        } else if !leads && self.lead.take().is_some() && !keeps_clients {
            self.close_all_clients();
        }
        if learns && self.learn.is_none() {
            self.learn = Some(super::Learn::default());
        } else if !learns && self.learn.take().is_some() && !keeps_clients {
            self.close_all_clients();
        }
        self.stats.outstanding = if self.serving() { self.stats.outstanding } else { 0 };
    }

    /// The stream a learner builds its tree from, then the reference's closing words (quorum §2.5).
    fn send_snapshot(&mut self, conn: ConnId) {
        let mut w = Writer::on(snapshot::encode_body(&self.tree).into());
        w.string(zab::wire::SNAPSHOT_SIGNATURE);
        let body = w.finish();
        self.out.push(Output::PeerSnapshot { conn, body });
    }

    fn install_snapshot(&mut self, zxid: Zxid, body: Bytes) {
        match snapshot::decode(body, self.settings.tree.clone()) {
            Ok(mut tree) => {
                tree.set_last_zxid(zxid);
                self.replace_tree(tree);
            }
            Err(error) => self.out.push(Output::Halt {
                reason: format!(
                    "the leader's snapshot {zxid} cannot be read ({error}); nothing on disk was changed by it. \
                     Restart this server; if it happens again, compare the versions of leader and follower"
                ),
            }),
        }
    }

    pub(super) fn reloaded(&mut self, id: PersistId, tree: Tree, tail: Vec<(Zxid, Bytes)>) {
        let last_zxid = tree.last_zxid();
        if !mutants::on(Mutant::TreeKeptAfterTrunc) {
            self.replace_tree(tree);
        }
        self.zab_step(zab::Input::Reloaded { id, last_zxid, tail });
    }

    fn replace_tree(&mut self, mut tree: Tree) {
        if let Some(text) = &self.settings.config_text {
            tree.set_config(text, 0, self.now.wall_ms);
        }
        self.tree = tree;
        self.tree_generation += 1;
    }
}
