//! One history: every server that serves holds a prefix of the same log, what counts as committed is durable on
//! a quorum, no epoch has two leaders, nothing durable is ever forgotten (quorum-protocol §6.1).

use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;
use zkops::server::replica::Replica;
use zkops::server::store::{Recovered, Refusal};
use zkops::server::tree::{Txn, TxnBody};
use zkops::server::zab::{PersistOp, Role};
use zkops::wire::ids::{Epoch, ServerId, SessionId, Zxid};
use zkops::wire::proto::OpCode;

use super::Checks;
use crate::model;

pub(crate) type History = Vec<(Zxid, Bytes)>;

/// What is known of one server: all transactions since the beginning that its state is made of.
#[derive(Default)]
pub(crate) struct NodeView {
    /// As its replica sees it, durable or not.
    logged: History,
    /// As its disk holds it for sure.
    pub(crate) durable: History,
    /// As it held it before it was found damaged: what counted then has counted.
    lost: History,
    /// The same of `logged`: what was taken for damage may have been a bad read.
    lost_logged: History,
    /// How many of `logged` were found equal to the committed log.
    verified: usize,
    /// The history behind the snapshot that came last.
    pub(crate) incoming: Option<Rc<History>>,
    /// Histories behind snapshots handed to the disk and not known durable.
    installing: Vec<(Zxid, Rc<History>)>,
    accepted: Epoch,
    current: Epoch,
    pub(crate) role: Option<Role>,
    last_zxid: Zxid,
    /// Leader: when it last heard of a session, by its own clock, and since when it leads.
    pub(crate) heard_ms: BTreeMap<SessionId, u64>,
    leads_since_ms: u64,
    /// A truncation or a snapshot was under way when the process ended.
    unsure: bool,
}

impl Checks {
    /// A server has something written. `now_ms` is by its own clock.
    pub(crate) fn persists(&mut self, node: usize, op: &PersistOp, now_ms: u64) {
        match op {
            PersistOp::Append { zxid, txn } => self.appends(node, *zxid, txn, now_ms),
            PersistOp::InstallSnapshot { zxid, .. } => {
                let view = &mut self.nodes[node];
                let Some(history) = view.incoming.clone() else {
                    return self.fail("snapshot", format!("n{} installs a snapshot nobody sent", node + 1));
                };
                view.logged = history.iter().filter(|(at, _)| at <= zxid).cloned().collect();
                view.verified = 0;
                view.installing.push((*zxid, history));
            }
            PersistOp::AcceptedEpoch(_)
            | PersistOp::CurrentEpoch(_)
            | PersistOp::Truncate { .. }
            | PersistOp::Whole => {}
        }
    }

    fn appends(&mut self, node: usize, zxid: Zxid, txn: &Bytes, now_ms: u64) {
        if txn.get(28..32) == Some(&OpCode::Reconfig.code().to_be_bytes()[..]) {
            return self.fail("lists of voters", format!("n{} logs a reconfiguration as {zxid}", node + 1));
        }
        let last = self.nodes[node].logged.last().map_or(Zxid::ZERO, |(zxid, _)| *zxid);
        let follows = last.next() == Some(zxid) || (zxid.epoch() > last.epoch() && zxid.counter() == 1);
        if !follows {
            self.fail("log contiguity", format!("n{} logs {zxid} after {last}", node + 1));
        }
        match self.proposed.get(&zxid) {
            Some(known) if known != txn => {
                self.fail("one txn per zxid", format!("n{} logs another txn as {zxid}", node + 1));
            }
            Some(_) => {}
            None => {
                self.proposed.insert(zxid, txn.clone());
                self.expiry(node, txn, now_ms);
            }
        }
        self.nodes[node].logged.push((zxid, txn.clone()));
    }

    /// A session ends by expiry only when its leader has heard nothing of it for its whole timeout.
    fn expiry(&mut self, node: usize, txn: &Bytes, now_ms: u64) {
        let Ok(txn) = Txn::decode(txn.clone()) else {
            return self.fail("txn", format!("n{} proposes what does not decode", node + 1));
        };
        if !matches!(txn.body, TxnBody::CloseSession { .. }) || txn.header.cxid != 0 {
            return;
        }
        let session = txn.header.session;
        let Some(timeout_ms) = self.model.session_timeout_ms(session) else { return };
        let view = &self.nodes[node];
        let heard_ms = view.heard_ms.get(&session).copied().unwrap_or(0).max(view.leads_since_ms);
        if now_ms < heard_ms + timeout_ms as u64 {
            let what = format!(
                "n{} expires {session} {} ms after it was heard, its timeout is {timeout_ms} ms",
                node + 1,
                now_ms - heard_ms
            );
            self.fail("early expiry", what);
        }
    }

    /// A group commit is done: these writes are durable now. `reloaded` is what a truncation left.
    pub(crate) fn durable(&mut self, node: usize, op: &PersistOp, reloaded: Option<Zxid>) {
        let view = &mut self.nodes[node];
        match op {
            PersistOp::Append { zxid, txn } => view.durable.push((*zxid, txn.clone())),
            PersistOp::Truncate { .. } => {
                let last = reloaded.unwrap_or(Zxid::ZERO);
                view.durable.retain(|(zxid, _)| *zxid <= last);
            }
            PersistOp::InstallSnapshot { zxid, .. } => {
                if let Some(at) = view.installing.iter().position(|(at, _)| at == zxid) {
                    let (_, history) = view.installing.remove(at);
                    view.durable = history.iter().filter(|(at, _)| at <= zxid).cloned().collect();
                    view.lost.clear();
                    view.lost_logged.clear();
                }
            }
            // What a start finds then is judged there.
            PersistOp::Whole => {}
            PersistOp::AcceptedEpoch(epoch) => view.accepted = *epoch,
            PersistOp::CurrentEpoch(epoch) => {
                view.current = *epoch;
                // A server takes part in the epoch it has promised, in no older one and in no newer one. An observer's
                // promise is counted by nobody: it may go further.
                let is_kept = if node < self.voters {
                    view.current == view.accepted
                } else {
                    view.current <= view.accepted
                };
                if !is_kept {
                    let what =
                        format!("n{}: currentEpoch {epoch}, acceptedEpoch {}", node + 1, view.accepted);
                    self.fail("I1 epochs", what);
                }
            }
        }
    }

    /// A write that changes history was handed to the disk: a crash now leaves one of two states.
    pub(crate) fn unsure(&mut self, node: usize, is_unsure: bool) {
        self.nodes[node].unsure = is_unsure;
    }

    /// A truncation has replaced the replica's tree.
    pub(crate) fn reloads(&mut self, node: usize, last: Zxid) {
        let view = &mut self.nodes[node];
        view.logged.retain(|(zxid, _)| *zxid <= last);
        view.verified = view.verified.min(view.logged.len());
    }

    /// A process starts from what its disk holds: nothing durable may be missing.
    pub(crate) fn recovers(&mut self, node: usize, recovered: &Recovered, excused: bool) {
        let last = recovered.tree.last_zxid();
        let may_vote = recovered.may_vote;
        let view = &mut self.nodes[node];
        // After a bad read it counts again.
        let known = if view.durable.is_empty() { &view.lost } else { &view.durable };
        let durable = known.last().map_or(Zxid::ZERO, |(zxid, _)| *zxid);
        let (accepted, current) = (recovered.accepted_epoch, recovered.current_epoch);
        let forgot = (last < durable && !view.unsure && may_vote)
            .then(|| format!("n{} starts with {last}, {durable} was durable", node + 1));
        let went_back = (accepted < view.accepted || current < view.current).then(|| {
            format!(
                "n{}: acceptedEpoch {accepted} after {}, currentEpoch {current} after {}",
                node + 1,
                view.accepted,
                view.current
            )
        });
        (view.accepted, view.current) = (accepted, current);
        let (logged_end, durable_end) = (view.logged.last().map(|e| e.0), view.durable.last().map(|e| e.0));
        let history = view.choose(last, &recovered.tail);
        if recovered.wound.is_some() && view.lost.is_empty() {
            view.lost = std::mem::take(&mut view.durable);
            view.lost_logged = std::mem::take(&mut view.logged);
        }
        if recovered.may_vote && history.is_some() {
            view.lost.clear();
            view.lost_logged.clear();
        }
        view.unsure = false;
        view.installing.clear();
        view.incoming = None;
        view.logged = history.clone().unwrap_or_default();
        view.durable = view.logged.clone();
        (view.verified, view.role, view.last_zxid) = (0, None, Zxid::ZERO);
        view.heard_ms.clear();
        if excused && (history.is_some() || !may_vote) {
            return;
        }
        // A crash may leave a sync half done, and that is marked; it never leaves what looks like damage.
        if let Some(wound) =
            recovered.wound.as_ref().filter(|wound| !matches!(wound, Refusal::Unsynced { .. }))
        {
            self.fail("durability", format!("n{} finds damage nobody did: {wound}", node + 1));
        }
        if let Some(what) = forgot {
            self.fail("durability", what);
        }
        if let Some(what) = went_back {
            self.fail("epoch monotone", what);
        }
        if history.is_none() && may_vote {
            let tail = (recovered.tail.first().map(|e| e.0), recovered.tail.last().map(|e| e.0));
            let what = format!(
                "n{} starts with {last} and a log ({tail:?}) that it never wrote ({logged_end:?}, {durable_end:?})",
                node + 1
            );
            self.fail("durability", what);
        }
    }

    /// A packet leaves for another server: what it promises must be on disk (I1, I2, I3).
    pub(crate) fn promises(&mut self, node: usize, kind: i32, zxid: Zxid) {
        const ACK: i32 = 3;
        const LEADERINFO: i32 = 17;
        const ACKEPOCH: i32 = 18;
        let view = &self.nodes[node];
        let durable = view.durable.last().map_or(Zxid::ZERO, |(zxid, _)| *zxid);
        let broken = match kind {
            ACK if zxid.is_epoch_start() => {
                let initial = view.logged.iter().rev().find(|(logged, _)| *logged < zxid);
                view.current < zxid.epoch() || initial.is_some_and(|(logged, _)| durable < *logged)
            }
            ACK => durable < zxid,
            LEADERINFO => view.accepted < zxid.epoch(),
            // Its zxid is the learner's last; the epoch it accepted is durable or it was told before.
            ACKEPOCH => zxid > durable && !zxid.is_epoch_start(),
            _ => false,
        };
        if broken {
            let what = format!(
                "n{} sends packet {kind} for {zxid}; durable are {durable}, epochs {} and {}",
                node + 1,
                view.accepted,
                view.current
            );
            self.fail("I3 ack before fsync", what);
        }
    }

    /// Looks at a server after a step.
    pub(crate) fn stepped(&mut self, node: usize, sid: ServerId, replica: &Replica, now_ms: u64) {
        let role = replica.zab().map(|zab| *zab.role());
        let last = replica.last_zxid();
        let view = &mut self.nodes[node];
        let became = view.role != role;
        if !became && last == view.last_zxid {
            return;
        }
        view.role = role;
        view.last_zxid = last;
        if became {
            view.heard_ms.clear();
            view.leads_since_ms = now_ms;
        }
        if !replica.settled() {
            return;
        }
        let known = self.committed.len();
        self.agree(node, last);
        self.reaches(node, last);
        let leads = role == Some(Role::Leading { serving: true });
        if became && leads {
            let epoch = replica.epoch();
            let leader = *self.leaders.entry(epoch).or_insert(sid);
            if leader != sid {
                self.fail("one leader per epoch", format!("{epoch} was led by {leader}, now by {sid}"));
            }
            // One that was slow to establish itself may find a later leader at work: it commits nothing.
            let verified = self.nodes[node].verified;
            if verified < known && self.committed[verified].0.epoch() < epoch {
                let missing = self.committed[verified].0;
                let what = format!("{sid} leads without {missing}, which is committed");
                self.fail("leader completeness", what);
            }
        }
        let digest = replica.tree().digest();
        let first = *self.digests.entry(last).or_insert(digest);
        if first != digest {
            let what = format!("n{} has digest {digest:x} at {last}, another had {first:x}", node + 1);
            self.fail("digest", what);
        }
        if replica.stats().digest_mismatches > 0 {
            self.fail("digest", format!("n{} differs from its leader's digest by {last}", node + 1));
        }
    }

    /// A serving server has applied everything up to `last`: that is committed, and the same everywhere.
    pub(super) fn agree(&mut self, node: usize, last: Zxid) {
        loop {
            let view = &self.nodes[node];
            let at = view.verified;
            let Some((zxid, txn)) = view.logged.get(at).filter(|(zxid, _)| *zxid <= last).cloned() else {
                break;
            };
            match self.committed.get(at) {
                Some((known, known_txn)) if *known == zxid && *known_txn == txn => {}
                Some((known, _)) => {
                    let what = format!("n{} applied {zxid} where {known} is committed", node + 1);
                    return self.fail("log agreement", what);
                }
                None => self.commit(node, zxid, txn),
            }
            self.nodes[node].verified += 1;
        }
    }

    fn reaches(&mut self, node: usize, last: Zxid) {
        if !last.is_epoch_start() && self.nodes[node].verified > 0 {
            let reached = self.nodes[node].logged[self.nodes[node].verified - 1].0;
            if reached != last {
                let what = format!("n{} says {last}, its log leads to {reached}", node + 1);
                self.fail("log agreement", what);
            }
        }
    }

    fn commit(&mut self, node: usize, zxid: Zxid, txn: Bytes) {
        let at = self.committed.len();
        let is_it = |entry: Option<&(Zxid, Bytes)>| entry.is_some_and(|(z, t)| *z == zxid && *t == txn);
        let has = |view: &&NodeView| is_it(view.durable.get(at)) || is_it(view.lost.get(at));
        let holders = self.nodes[..self.voters].iter().filter(has).count();
        if holders * 2 <= self.voters {
            let ends: Vec<_> =
                self.nodes.iter().map(|view| view.durable.last().map(|(zxid, _)| *zxid)).collect();
            let what = format!(
                "n{} applied {zxid}, which {holders} of {} voters have on disk; the disks end at {ends:?}",
                node + 1,
                self.voters
            );
            self.fail("quorum durability", what);
        }
        if self.last_committed() >= zxid {
            let what = format!("{zxid} is committed after {}", self.last_committed());
            return self.fail("total order", what);
        }
        self.committed.push((zxid, txn.clone()));
        match Txn::decode(txn) {
            Ok(txn) => self.model_applies(&txn),
            Err(error) => self.fail("txn", format!("{zxid} does not decode: {error}")),
        }
    }

    /// Integrity: every transaction comes from a request, once, and those of a session in their order.
    fn model_applies(&mut self, txn: &Txn) {
        let (session, cxid, zxid) = (txn.header.session, txn.header.cxid, txn.header.zxid);
        let request = match self.asked.get_mut(&(session, cxid)) {
            Some(asked) => {
                if let Some(before) = asked.committed_at.replace(zxid) {
                    let what = format!("cxid {cxid} of {session} is {before} and {zxid}");
                    return self.fail("at most once", what);
                }
                Some(asked.request.clone())
            }
            None if cxid == 0 => None,
            None => return self.fail("integrity", format!("{zxid}: {session} never sent cxid {cxid}")),
        };
        // What a session sent through a server it has left may come late: it is refused, and has no order.
        if cxid != 0 && !model::is_stale(&txn.body) {
            let last = self.last_cxid.insert(session, cxid).unwrap_or(0);
            if last >= cxid {
                let what = format!("{zxid}: cxid {cxid} of {session} comes after {last}: {:?}", txn.body);
                return self.fail("session order", what);
            }
        }
        if let Err(what) = self.model.apply(txn, request.as_ref()) {
            self.fail("state machine", format!("{zxid}: {what}"));
        }
    }

    /// The history behind a snapshot of this server's tree as it is now.
    pub(crate) fn history(&self, node: usize, last: Zxid) -> Rc<History> {
        Rc::new(self.nodes[node].logged.iter().filter(|(zxid, _)| *zxid <= last).cloned().collect())
    }

    /// At the end every server holds exactly what the model holds.
    pub(crate) fn equals_model(&mut self, node: usize, replica: &Replica) {
        let tree = replica.tree();
        let mut wrong = None;
        for (path, znode) in self.model.nodes() {
            let found = tree.stat(path);
            // The config node is each server's own (quorum §1.3).
            if found != Some(znode.stat()) && !path.starts_with("/zookeeper") {
                wrong = Some(format!("{path}: {found:?} instead of {:?}", znode.stat()));
                break;
            }
            let data = tree.get_data(path, &[]).ok().and_then(|(data, _)| data.map(<[u8]>::to_vec));
            if data != znode.data.as_ref().map(|data| data.to_vec()) {
                wrong = Some(format!("{path}: data differs"));
                break;
            }
            let perms =
                tree.get_acl(path, &[]).map(|(list, _)| list.iter().fold(0, |perms, acl| perms | acl.perms));
            if perms != Ok(znode.perms) && !path.starts_with("/zookeeper") {
                wrong = Some(format!("{path}: may {perms:?} instead of {}", znode.perms));
                break;
            }
        }
        let sessions: Vec<SessionId> = tree.sessions().map(|(session, _)| session).collect();
        let expected: Vec<SessionId> = self.model.sessions().collect();
        if sessions != expected {
            wrong = Some(format!("sessions {sessions:?} instead of {expected:?}"));
        }
        if let Some(what) = wrong {
            self.fail("final state", format!("n{} at {}: {what}", node + 1, replica.last_zxid()));
        }
    }
}

impl NodeView {
    /// Which of the histories that this disk may hold explains what was read from it.
    fn choose(&self, last: Zxid, tail: &[(Zxid, Bytes)]) -> Option<History> {
        let installed = self.installing.iter().rev().map(|(zxid, history)| (Some(*zxid), &**history));
        let own = [&self.logged, &self.durable, &self.lost_logged, &self.lost].map(|history| (None, history));
        let mut likely = None;
        for (exactly, history) in installed.chain(own) {
            if exactly.is_some_and(|zxid| zxid != last && tail.is_empty()) {
                continue;
            }
            let upto: History = history.iter().filter(|(zxid, _)| *zxid <= last).cloned().collect();
            let reaches = upto.last().map_or(Zxid::ZERO, |(zxid, _)| *zxid);
            match tail.last() {
                Some((end, _)) if upto.ends_with(tail) && reaches == *end => return Some(upto),
                Some(_) => {}
                None if reaches == last => return Some(upto),
                // A state named after an epoch's start has no transaction of that name.
                None => likely = likely.filter(|first: &History| !first.is_empty()).or(Some(upto)),
            }
        }
        likely
    }
}
