//! What allows more than the mild cure: the proof that a member's data is still damaged after it was started again.
//! There is no other way to one than to look before and after.

use super::facts::{HostFacts, UnitState};
use super::seen::Seen;

/// The server was started on its data, ended by itself, and says again that the data is damaged.
#[derive(Clone, Debug, PartialEq)]
pub struct StillDamaged {
    /// What it said since it was started.
    pub(super) said: Vec<String>,
}

impl StillDamaged {
    /// `before` was seen before this run started it, `now` after it did not come back.
    pub fn proven(before: &HostFacts, now: &HostFacts) -> Option<StillDamaged> {
        let Seen::Is(UnitState::Failed { how, .. }) = &now.unit.state else { return None };
        let said = since(&before.unit.log, &now.unit.log);
        let says = |mark: &&str| said.iter().any(|line| line.contains(mark));
        // It found no leader to take the data from: the way to the others is what must be mended.
        if !how.contains(REFUSED) || says(&UNHEALED) {
            return None;
        }
        // Of a server that ran nobody had read the log: what it says may be older than this start.
        let is_read = !before.unit.runs() || !before.unit.log.is_empty();
        let told = is_read && DAMAGE.iter().any(says);
        let damaged = told || now.data.is_and(|data| !data.damage.is_empty());
        (damaged && !said.is_empty()).then_some(StillDamaged { said })
    }
}

/// The lines of a log that came behind what was seen of it earlier. Each line has its time, so none is taken for an
/// older one.
pub fn since(before: &[String], now: &[String]) -> Vec<String> {
    let seen = before.last().and_then(|last| now.iter().rposition(|line| line == last));
    now[seen.map_or(0, |at| at + 1)..].to_vec()
}

/// How a manager tells the exit code of a server that does not use its data.
const REFUSED: &str = "exit status 3";
/// The server waited for a leader of the others in vain.
const UNHEALED: &str = "The data was not fetched from the other servers";
/// What a server says of data that is not what was written.
const DAMAGE: [&str; 12] = [
    "holds no snapshot",
    "can be loaded, so the state cannot be rebuilt",
    "the txns that only this file holds would be lost",
    "is not a txn log",
    "This is not a write cut short by a crash",
    "txns are missing",
    "which is no epoch",
    "its data is gone",
    "it was the newest txn log when this server last wrote",
    "although txns up to",
    "data is not whole",
    "one of the two is damaged",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Words of another program are only as good as the day they were copied.
    #[test]
    fn the_server_says_what_is_listened_for() {
        let joined = |text: &str| -> String {
            let lines = text.lines().map(|line| line.trim().trim_end_matches('\\'));
            lines.collect::<Vec<_>>().concat()
        };
        let refusals = joined(include_str!("../../../engine/src/server/store/refusal.rs"));
        for mark in DAMAGE {
            assert!(refusals.contains(mark), "no refusal says {mark:?}");
        }
        assert!(joined(include_str!("../../../engine/src/server/process/run.rs")).contains(UNHEALED));
    }

    fn ended(how: &str) -> Seen<UnitState> {
        Seen::Is(UnitState::Failed { how: how.into(), again: false })
    }

    #[test]
    fn only_what_was_said_after_the_start_counts() {
        let lines = |all: &[&str]| all.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        let mut before = HostFacts::default();
        before.unit.log = lines(&["10:01 started", "10:02 txns are missing"]);
        let mut now = before.clone();
        now.unit.state = ended("exit status 3");
        assert_eq!(StillDamaged::proven(&before, &now), None, "nothing was said since");
        now.unit.log.push("10:05 zoo.cfg:3: tickTime is no number".into());
        assert_eq!(StillDamaged::proven(&before, &now), None, "that is no damage");
        now.unit.log.push("10:05 txns are missing".into());
        assert!(StillDamaged::proven(&before, &now).is_some());
        now.unit.state = ended("killed by signal 9");
        assert_eq!(StillDamaged::proven(&before, &now), None, "it did not refuse");
        now.unit.state = ended("exit status 3");
        now.unit.log.push(format!("10:06 {UNHEALED}: server 2 cannot be reached"));
        assert_eq!(StillDamaged::proven(&before, &now), None, "the others were out of reach");
    }
}
