//! What is told of callers that are turned away, and of roles that end again and again: whoever comes, and however
//! often, costs one line a minute.
//!
//! It turns nobody away; `door` and `mesh` do.

use std::collections::BTreeMap;

use super::Output;
use crate::wire::ids::ServerId;

/// Keeps the log short.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    /// Lines wait until then.
    quiet_until_ms: u64,
    untold: u64,
}

impl Strangers {
    /// One more was turned away: a line about this one, with the number of those that had none, or none now.
    pub(super) fn turned_away(&mut self, now_ms: u64, what: &str, out: &mut Vec<Output>) {
        out.extend(self.due(now_ms).map(|untold| match untold {
            0 => Output::Note(what.to_owned()),
            _ => Output::Note(format!("{what}; {untold} more were turned away since the last such line")),
        }));
    }

    /// Whether a line may be written, and how many were not since the last one.
    fn due(&mut self, now_ms: u64) -> Option<u64> {
        if now_ms < self.quiet_until_ms {
            self.untold += 1;
            return None;
        }
        self.quiet_until_ms = now_ms + PAUSE_MS;
        Some(std::mem::take(&mut self.untold))
    }
}

/// Why roles ended: the same again is not told again for a while.
#[derive(Debug, Default)]
pub(super) struct Parted {
    why: String,
    again: Strangers,
}

impl Parted {
    /// A role has ended.
    pub(super) fn tell(&mut self, now_ms: u64, why: &str, out: &mut Vec<Output>) {
        if self.why != why {
            *self = Parted { why: why.to_owned(), again: Strangers::default() };
        }
        out.extend(self.again.due(now_ms).map(|untold| match untold {
            0 => Output::Note(why.to_owned()),
            _ => Output::Note(format!("{why}; so it was {untold} times more since the last such line")),
        }));
    }
}

/// Who came and went: a server that does so again and again, or somebody under its id, is told of so often a minute.
#[derive(Debug, Default)]
pub(super) struct Comings {
    of: BTreeMap<ServerId, (u64, u32)>,
}

impl Comings {
    pub(super) fn tell(&mut self, now_ms: u64, sid: ServerId, what: &str, out: &mut Vec<Output>) {
        // Ids that come once and never again are no reason to remember them.
        self.of.retain(|_, (since_ms, _)| now_ms < *since_ms + PAUSE_MS);
        let (_, told) = self.of.entry(sid).or_insert((now_ms, 0));
        *told += 1;
        match *told {
            ..COMINGS_MAX => out.push(Output::Note(what.to_owned())),
            COMINGS_MAX => {
                out.push(Output::Note(format!("{what}; nothing more of this kind about it for a while")))
            }
            _ => {}
        }
    }
}

/// How often a minute it is told that one server came or went.
const COMINGS_MAX: u32 = 20;
/// Often enough for whoever sets up a server and wonders, rare enough for a log that is kept for months.
const PAUSE_MS: u64 = 60_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_costs_one_line_a_minute_with_its_number() {
        let (mut strangers, mut out) = (Strangers::default(), Vec::new());
        for i in 0..250_000 {
            strangers.turned_away(i, "a caller is turned away", &mut out);
        }
        let note = |more: &str| Output::Note(format!("a caller is turned away{more}"));
        let more = "; 59999 more were turned away since the last such line";
        assert_eq!(out, [note(""), note(more), note(more), note(more), note(more)]);
    }

    #[test]
    fn a_server_that_comes_and_goes_without_end_is_told_of_twenty_times_a_minute() {
        let (mut comings, mut out) = (Comings::default(), Vec::new());
        for at_ms in 0..120_000 {
            comings.tell(at_ms, ServerId(1), "it came", &mut out);
        }
        comings.tell(120_000, ServerId(2), "another one", &mut out);
        let told = |text: &str| out.iter().filter(|line| **line == Output::Note(text.to_owned())).count();
        assert_eq!((told("it came"), out.len()), (38, 41));
        assert_eq!(told("it came; nothing more of this kind about it for a while"), 2);
    }

    #[test]
    fn a_role_that_ends_for_the_same_reason_again_is_told_once_a_minute_and_another_reason_at_once() {
        let (mut parted, mut out) = (Parted::default(), Vec::new());
        for (at_s, why) in [(0, "gone"), (1, "gone"), (2, "silent"), (3, "gone"), (4, "gone"), (63, "gone")] {
            parted.tell(at_s * 1000, why, &mut out);
        }
        let last = "gone; so it was 1 times more since the last such line";
        assert_eq!(out, ["gone", "silent", "gone", last].map(|text| Output::Note(text.to_owned())));
    }
}
