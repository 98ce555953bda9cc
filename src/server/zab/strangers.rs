//! What is told of callers that are turned away: whoever comes, and however often, costs one line a minute.
//!
//! It turns nobody away; `door` and `mesh` do.

use super::Output;

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
        if now_ms < self.quiet_until_ms {
            self.untold += 1;
            return;
        }
        let text = match std::mem::take(&mut self.untold) {
            0 => what.to_owned(),
            untold => format!("{what}; {untold} more were turned away since the last such line"),
        };
        self.quiet_until_ms = now_ms + PAUSE_MS;
        out.push(Output::Note(text));
    }
}

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
}
