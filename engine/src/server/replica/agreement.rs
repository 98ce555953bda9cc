//! Who decides on transactions: the ensemble through `zab`, or a server of its own alone. Both are asked alike and
//! answer alike, with `zab`'s outputs, which wait here until they are acted upon, first said first.
//!
//! It knows neither what a transaction means nor whether anybody is served.

use std::collections::VecDeque;

use bytes::Bytes;

use super::standalone::Standalone;
use super::stats::ProposalSizes;
use crate::server::zab::{ConnId, Input, Output, Packet, PersistId, Zab};
use crate::wire::ids::Zxid;

/// A transaction with the zxid that it was made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proposal {
    pub(super) zxid: Zxid,
    pub(super) txn: Bytes,
}

/// The deciding part of a server, and what it has said.
pub(super) struct Agreement {
    with: With,
    /// Said and not yet acted upon.
    said: VecDeque<Output>,
    /// Empty between two calls; kept for its room.
    heard: Vec<Output>,
    sizes: ProposalSizes,
}

enum With {
    Nobody(Standalone),
    Ensemble(Box<Zab>),
}

impl Agreement {
    pub(super) fn ensemble(zab: Zab) -> Agreement {
        Agreement::new(With::Ensemble(Box::new(zab)))
    }

    /// `last_zxid` is what the disk held.
    pub(super) fn standalone(last_zxid: Zxid) -> Agreement {
        Agreement::new(With::Nobody(Standalone::new(last_zxid)))
    }

    fn new(with: With) -> Agreement {
        Agreement { with, said: VecDeque::new(), heard: Vec::new(), sizes: ProposalSizes::default() }
    }

    pub(super) fn zab(&self) -> Option<&Zab> {
        match &self.with {
            With::Nobody(_) => None,
            With::Ensemble(zab) => Some(zab),
        }
    }

    pub(super) fn is_standalone(&self) -> bool {
        matches!(self.with, With::Nobody(_))
    }

    pub(super) fn sizes(&self) -> &ProposalSizes {
        &self.sizes
    }

    pub(super) fn deadline_ms(&self) -> u64 {
        self.zab().map_or(u64::MAX, Zab::deadline_ms)
    }

    /// Transactions proposed by a server of its own and not yet durable; 0 in an ensemble.
    pub(super) fn undecided(&self) -> usize {
        match &self.with {
            With::Nobody(standalone) => standalone.in_flight(),
            With::Ensemble(_) => 0,
        }
    }

    /// The oldest thing said that nobody has acted upon.
    pub(super) fn next(&mut self) -> Option<Output> {
        self.said.pop_front()
    }

    /// An event of the ensemble; a server of its own has none but [`Input::Persisted`].
    pub(super) fn step(&mut self, now_ms: u64, input: Input) {
        match &mut self.with {
            With::Nobody(standalone) => {
                if let Input::Persisted { id } = input {
                    standalone.persisted(id, |zxid, txn| self.said.push_back(Output::Deliver { zxid, txn }));
                }
            }
            With::Ensemble(zab) => {
                zab.step(now_ms, input, &mut self.heard);
                self.said.extend(self.heard.drain(..));
            }
        }
    }

    /// Everything persisted up to this id is durable.
    pub(super) fn persisted(&mut self, now_ms: u64, id: PersistId) {
        self.step(now_ms, Input::Persisted { id });
    }

    /// The zxid of the next proposal. `None` when there is no serving leader here, or no room for more, or its
    /// counter is used up: then an election follows.
    pub(super) fn next_zxid(&self) -> Option<Zxid> {
        match &self.with {
            With::Nobody(standalone) => Some(standalone.next_zxid()),
            With::Ensemble(zab) => zab.next_zxid(),
        }
    }

    /// Proposes a transaction under [`Agreement::next_zxid`].
    pub(super) fn propose(&mut self, now_ms: u64, proposal: Proposal) {
        let Proposal { zxid, txn } = proposal;
        self.sizes.record(txn.len());
        match &mut self.with {
            With::Nobody(standalone) => self.said.push_back(standalone.propose(zxid, txn)),
            With::Ensemble(_) => self.with_zab(|zab, out| zab.propose(now_ms, zxid, txn, out)),
        }
    }

    /// The zxid up to which a learner's sync waits: what was proposed before it and is not committed.
    pub(super) fn undecided_up_to(&self) -> Zxid {
        self.zab().filter(|zab| zab.has_outstanding()).map_or(Zxid::ZERO, Zab::last_proposed)
    }

    /// Asks a quorum whether it still follows; the round that answers.
    pub(super) fn confirm_leadership(&mut self, now_ms: u64) -> u64 {
        let mut round = 0;
        self.with_zab(|zab, out| round = zab.confirm_leadership(now_ms, out));
        round
    }

    pub(super) fn send_to_leader(&mut self, packet: Packet) {
        self.with_zab(|zab, out| zab.send_to_leader(packet, out));
    }

    pub(super) fn send_to_learner(&mut self, conn: ConnId, packet: Packet) {
        self.with_zab(|zab, out| zab.send_to_learner(conn, packet, out));
    }

    fn with_zab(&mut self, call: impl FnOnce(&mut Zab, &mut Vec<Output>)) {
        let With::Ensemble(zab) = &mut self.with else { return };
        call(zab, &mut self.heard);
        self.said.extend(self.heard.drain(..));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::zab::PersistOp;

    #[test]
    fn a_server_of_its_own_decides_what_is_durable_in_the_order_it_was_proposed() {
        let mut agreement = Agreement::standalone(Zxid(7));
        let txn = |n: u8| Bytes::copy_from_slice(&[n]);
        let mut ids = Vec::new();
        for n in [8, 9, 10] {
            let zxid = agreement.next_zxid().unwrap();
            assert_eq!(zxid, Zxid(n.into()));
            agreement.propose(0, Proposal { zxid, txn: txn(n) });
            let Some(Output::Persist { id, op }) = agreement.next() else { panic!("it is to be written") };
            assert_eq!(op, PersistOp::Append { zxid, txn: txn(n) });
            ids.push(id);
        }
        assert_eq!((agreement.undecided(), agreement.next()), (3, None), "nothing is durable");
        agreement.persisted(0, ids[1]);
        assert_eq!(agreement.next(), Some(Output::Deliver { zxid: Zxid(8), txn: txn(8) }));
        assert_eq!(agreement.next(), Some(Output::Deliver { zxid: Zxid(9), txn: txn(9) }));
        assert_eq!((agreement.undecided(), agreement.next()), (1, None));
    }

    #[test]
    fn a_server_of_its_own_has_no_peers_to_wait_for() {
        let mut agreement = Agreement::standalone(Zxid::ZERO);
        agreement.send_to_leader(Packet::new(crate::server::zab::wire::Kind::PING, Zxid::ZERO));
        agreement.step(5, Input::Tick);
        assert_eq!((agreement.next(), agreement.deadline_ms()), (None, u64::MAX));
        assert_eq!((agreement.confirm_leadership(5), agreement.undecided_up_to()), (0, Zxid::ZERO));
    }
}
