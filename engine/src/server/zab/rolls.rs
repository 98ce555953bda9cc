//! By which list of voters the others go (quorum-protocol §1.3, §2.11). There is no reconfiguration here yet: whoever
//! goes by a list that may decide against this server's is told of and counted for nothing, and what would change the
//! list is refused before it is logged. The right outcome is an outage with its reason, never a loss.
//!
//! What it sees are ids of voters, not versions: the same voters may go by a later config.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::strangers::Strangers;
use super::{Output, bent};
use crate::ensemble::{Membership, Voters};
use crate::wire::ids::{ServerId, Zxid};
use crate::wire::jute::Reader;

/// What is known of the members' lists.
pub(super) struct Rolls {
    ours: Voters,
    /// Our own, as most others send it: nothing to be read again.
    text: Bytes,
    /// What each member said last.
    heard: BTreeMap<ServerId, Roll>,
    /// The reconfiguration that was refused last.
    refused: Zxid,
    told: Strangers,
    /// When members that do not count were answered last.
    answered: BTreeMap<ServerId, u64>,
}

/// One member's list beside ours.
enum Roll {
    Same,
    /// Its majorities and ours always meet.
    Near,
    Foreign(String),
}

impl Rolls {
    pub(super) fn new(membership: &Membership) -> Rolls {
        Rolls {
            ours: membership.into(),
            text: membership.to_string().into(),
            heard: BTreeMap::new(),
            refused: Zxid::NONE,
            told: Strangers::default(),
            answered: BTreeMap::new(),
        }
    }

    /// What a member's notification says of its list. Whether the member counts; that it does not is told.
    pub(super) fn hear(
        &mut self,
        now_ms: u64,
        from: ServerId,
        config: Option<&Bytes>,
        out: &mut Vec<Output>,
    ) -> bool {
        // Old releases say nothing of theirs.
        let roll = config.and_then(|config| self.roll(config));
        if let Some(roll) = roll {
            self.heard.insert(from, roll);
        }
        let Some(why) = self.why_foreign(from) else { return true };
        let line = format!("server {from} is not counted: {why}");
        self.told.turned_away(now_ms, &line, out);
        false
    }

    /// Whether a member that does not count is to hear how things stand here. Two servers that take each other for
    /// outsiders answer whatever the other says (§1.4 rule 3): without a pause they would do so for ever.
    pub(super) fn may_answer(&mut self, now_ms: u64, sid: ServerId) -> bool {
        let is_due = self.answered.get(&sid).is_none_or(|at_ms| now_ms >= at_ms + ANSWER_PAUSE_MS);
        if is_due {
            self.answered.insert(sid, now_ms);
        }
        is_due
    }

    /// Why a member does not count, by what it said last.
    pub(super) fn why_foreign(&self, sid: ServerId) -> Option<&str> {
        match self.heard.get(&sid) {
            Some(Roll::Foreign(why)) if !bent::counts_foreign_votes() => Some(why),
            _ => None,
        }
    }

    /// Whether a member is known to go by the same voters, at whatever version.
    pub(super) fn is_same(&self, sid: ServerId) -> bool {
        matches!(self.heard.get(&sid), Some(Roll::Same))
    }

    /// Why a leader that says this of the ensemble, in NEWLEADER or in a snapshot, is not followed.
    pub(super) fn conflict(&self, config: Option<&Bytes>) -> Option<String> {
        match self.roll(config?)? {
            Roll::Foreign(why) => Some(why),
            _ => None,
        }
    }

    /// Why a transaction must not be logged: it changes who belongs to the ensemble.
    pub(super) fn refusal(&self, zxid: Zxid, txn: &Bytes) -> Option<String> {
        if !reconfigures(txn) || bent::logs_reconfigurations() {
            return None;
        }
        let theirs = proposed(txn).map_or_else(String::new, |theirs| format!(" (to the voters {theirs})"));
        Some(format!(
            "{zxid} reconfigures the ensemble{theirs}, which this server cannot follow: it is not logged and not \
             acknowledged. Finish the change with Apache ZooKeeper in this server's place, or keep the ensemble as it \
             was (this server goes by {})",
            self.ours
        ))
    }

    /// Whether a snapshot may bring this server past a reconfiguration that it refused: once for each.
    pub(super) fn may_step_over(&mut self, zxid: Zxid) -> bool {
        std::mem::replace(&mut self.refused, zxid) != zxid
    }

    /// `None`: nobody is listed.
    fn roll(&self, config: &Bytes) -> Option<Roll> {
        if *config == self.text {
            return Some(Roll::Same);
        }
        let theirs = Voters::read(config)?;
        Some(match self.ours.conflict(&theirs) {
            Some(why) => Roll::Foreign(why),
            None if self.ours.are_same(&theirs) => Roll::Same,
            None => Roll::Near,
        })
    }
}

/// The one thing that is known of a transaction here: whether it is a reconfiguration, by the kind in its header.
fn reconfigures(txn: &[u8]) -> bool {
    txn.get(KIND_AT..KIND_AT + 4) == Some(&RECONFIG.to_be_bytes()[..])
}

/// The list that a reconfiguration would put in force: the data of `/zookeeper/config`.
fn proposed(txn: &Bytes) -> Option<Voters> {
    let mut body = Reader::new(txn.slice(KIND_AT + 4..));
    body.buffer().ok()?;
    Voters::read(&body.buffer().ok()??)
}

/// Often enough for a server that looks, and wonders why nobody counts it.
const ANSWER_PAUSE_MS: u64 = 1000;
/// Behind session, cxid, zxid and time (§3.3).
const KIND_AT: usize = 28;
/// The op code of reconfig.
const RECONFIG: i32 = 16;
