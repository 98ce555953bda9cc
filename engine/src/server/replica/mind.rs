//! [`Replica`]: the parts of a server's mind, wired. It holds no rule of theirs; what it decides is the order in
//! which their effects are carried out.
//!
//! One step: the part that the input is for takes it; what agreement then says is acted upon, first said first,
//! also what it says in answer to that. A decided transaction goes to the tree, to the leader's view of what is
//! outstanding, to the watchers of what it changed, to the client that asked for it and the requests that stood
//! behind it; then syncs that waited for it are answered, and writes that waited for room are proposed.

use bytes::Bytes;

use super::agreement::{Agreement, Proposal};
use super::bent;
use super::desk::Desk;
use super::duty::Duty;
use super::event::{ClientId, Input, Now, Output, Settings};
use super::held::Held;
use super::leader::{Lead, LeadSettings, Write};
use super::session_ids::SessionIds;
use super::sessions::SessionOwner;
use crate::server::tree::Tree;
use crate::server::zab::{self, Zab};
use crate::wire::ids::SessionId;
use crate::wire::jute;
use crate::wire::proto::Request;

/// A server without its process.
pub struct Replica {
    pub(super) settings: Settings,
    pub(super) started_ms: u64,
    /// The time of the step at hand.
    pub(super) now: Now,
    pub(super) held: Held,
    pub(super) agreement: Agreement,
    pub(super) duty: Duty,
    pub(super) desk: Desk,
    pub(super) session_ids: SessionIds,
    /// For the driver, in order.
    pub(super) out: Vec<Output>,
}

impl Replica {
    /// A member of an ensemble. `tree` is what recovery found, uncommitted tail included; the same
    /// state's log end must be in `zab`.
    pub fn member(settings: Settings, tree: Tree, zab: Zab, now: Now) -> Replica {
        Replica::new(settings, tree, Agreement::ensemble(zab), now)
    }

    /// A server of its own, serving at once.
    pub fn standalone(settings: Settings, tree: Tree, now: Now) -> Replica {
        let agreement = Agreement::standalone(tree.last_zxid());
        let mut replica = Replica::new(settings, tree, agreement, now);
        replica.start_leading();
        replica
    }

    fn new(settings: Settings, tree: Tree, agreement: Agreement, now: Now) -> Replica {
        let member = (!agreement.is_standalone()).then_some(settings.me);
        Replica {
            started_ms: now.ms,
            now,
            held: Held::new(tree, settings.config_text.clone(), now.wall_ms),
            agreement,
            duty: Duty::Nothing,
            desk: Desk::new(settings.tree.skip_acl, settings.outstanding_max),
            session_ids: SessionIds::new(member, settings.session_salt, now.wall_ms),
            out: Vec::new(),
            settings,
        }
    }

    /// Takes one input and appends what must be done. Afterwards ask [`Replica::drain_clients`].
    pub fn step(&mut self, now: Now, input: Input, out: &mut Vec<Output>) {
        self.now = now;
        match input {
            Input::Tick => self.tick(),
            Input::ClientUp { client, addr } => self.desk.up(now, client, addr, self.serving()),
            Input::ClientFrame { client, frame } => self.client_frame(client, frame),
            Input::ClientFull { client } => self.client_full(client, true),
            Input::ClientRoom { client } => self.client_full(client, false),
            Input::ClientDown { client } => self.desk.down(client),
            Input::Peer(input) => self.agreement.step(now.ms, input),
            Input::Persisted { id } => self.agreement.persisted(now.ms, id),
            Input::Reloaded { id, tree, tail } => self.reloaded(id, *tree, tail),
        }
        self.act();
        self.hear_resumed();
        self.act();
        out.append(&mut self.out);
    }

    /// Hands out what each connection is owed since the last call, in a fixed order; `close` says that
    /// the connection ends behind these bytes.
    pub fn drain_clients(&mut self, each: impl FnMut(ClientId, Bytes, bool)) {
        self.desk.drain(each);
    }

    /// Hands out whose requests wait outside, because their answers have no room, since the last call: nothing more is
    /// to be read from these, and [`Input::ClientRoom`] is wanted once there is room. `false`: they wait no longer.
    pub fn drain_held_back(&mut self, each: impl FnMut(ClientId, bool)) {
        self.desk.clients_mut().drain_paced(each);
    }

    /// When `Input::Tick` is wanted next.
    pub fn deadline_ms(&self) -> u64 {
        let lead = self.duty.lead().map_or(u64::MAX, Lead::deadline_ms);
        self.agreement.deadline_ms().min(lead)
    }

    /// Whether clients are served: a standalone server always, a member once it leads or follows in sync.
    pub fn serving(&self) -> bool {
        match &self.duty {
            Duty::Nothing => false,
            Duty::Lead(_) => self.settings.leader_serves || self.agreement.is_standalone(),
            Duty::Learn(_) => true,
        }
    }

    /// Acts on everything that agreement has said, also on what it says in answer to that.
    fn act(&mut self) {
        while let Some(output) = self.agreement.next() {
            self.act_on(output);
        }
    }

    fn act_on(&mut self, output: zab::Output) {
        match output {
            zab::Output::Persist { id, op } => self.out.push(Output::Persist { id, op }),
            zab::Output::Note(line) => self.out.push(Output::Note(line)),
            zab::Output::Halt { reason } => self.out.push(Output::Halt { reason }),
            zab::Output::SendSnapshot { conn } => self.send_snapshot(conn),
            zab::Output::Role(role) => self.role_changed(&role),
            zab::Output::Deliver { zxid, txn } => self.deliver(zxid, txn),
            zab::Output::EpochStart { zxid } => self.held.start_epoch(zxid),
            zab::Output::InstallSnapshot { zxid, body } => self.install_snapshot(zxid, body),
            zab::Output::Request { conn, packet, .. } => self.peer_request(conn, packet),
            zab::Output::Revalidate { conn, packet, .. } => self.peer_revalidate(conn, packet),
            zab::Output::Touched { entries, .. } => self.peer_touched(entries),
            zab::Output::LeadershipConfirmed { round } => self.leadership_confirmed(round),
            zab::Output::PingDue { zxid } => self.answer_ping(zxid),
            zab::Output::Answer { packet } => self.leader_answered(packet),
            zab::Output::LearnerGone { conn } => self.learner_gone(conn),
            network @ (zab::Output::DialElection { .. }
            | zab::Output::DialLeader { .. }
            | zab::Output::ListenQuorum(_)
            | zab::Output::Close { .. }
            | zab::Output::SendElection { .. }
            | zab::Output::Send { .. }) => self.out.push(Output::Peer(network)),
        }
    }

    fn tick(&mut self) {
        self.agreement.step(self.now.ms, zab::Input::Tick);
        self.act();
        let Duty::Lead(lead) = &mut self.duty else { return };
        for session in lead.expired(self.now.ms) {
            self.lead_request(own_write(session, &Ok(Request::CloseSession)));
        }
        let Duty::Lead(lead) = &mut self.duty else { return };
        if lead.containers_are_due(self.now.ms) {
            let never_used_ms = self.settings.container_never_used_ms;
            for path in self.held.tree().expired_nodes(self.now.wall_ms, never_used_ms) {
                let request = Ok(Request::DeleteContainer { path: path.into() });
                self.lead_request(own_write(SessionId::NONE, &request));
            }
        }
    }

    pub(super) fn start_leading(&mut self) {
        let settings = LeadSettings {
            tick_ms: self.settings.tick_ms,
            containers_every_ms: self.settings.container_check_ms,
            tree: self.settings.tree.clone(),
            alone: self.agreement.is_standalone(),
        };
        self.duty = Duty::Lead(Box::new(Lead::new(self.held.view(self.now), settings)));
    }

    /// A write that is not one of this server's own clients': it becomes a transaction now, or behind those that
    /// wait.
    pub(super) fn lead_request(&mut self, write: Write<'_>) {
        let next = self.agreement.next_zxid();
        let Duty::Lead(lead) = &mut self.duty else { return };
        if let Some(proposal) = lead.ask(self.held.view(self.now), next, write) {
            self.propose(proposal);
        }
    }

    /// Proposes what waited, as far as there is room now.
    pub(super) fn lead_waiting(&mut self) {
        while let Duty::Lead(lead) = &mut self.duty
            && lead.is_waiting()
            && let Some(zxid) = self.agreement.next_zxid()
            && let Some(proposal) = lead.ask_waiting(self.held.view(self.now), zxid)
        {
            self.propose(proposal);
        }
    }

    pub(super) fn propose(&mut self, proposal: Proposal) {
        if let Some(change) = bent::told_when_proposed(&proposal.txn) {
            self.desk.tell(proposal.zxid, &change);
        }
        self.agreement.propose(self.now.ms, proposal);
    }
}

/// A write that the leader wants by itself, for a session or for none.
pub(super) fn own_write(session: SessionId, request: &jute::Result<Request>) -> Write<'_> {
    Write { from: SessionOwner::Local, session, cxid: 0, request, who: &[] }
}
