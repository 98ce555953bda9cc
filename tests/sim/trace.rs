//! What a run says of itself: a running hash of everything that happens, always, and lines for people when they
//! are wanted. The same seed gives the same hash, or the simulation is not deterministic.

use std::collections::VecDeque;

/// Lines kept for the report of a failure.
const LINES_MAX: usize = 400;

pub(crate) struct Trace {
    hash: u64,
    lines: Option<VecDeque<String>>,
    /// Print every line as it comes.
    loud: bool,
}

impl Trace {
    pub(crate) fn new(keep: bool, loud: bool) -> Trace {
        Trace { hash: 0xcbf2_9ce4_8422_2325, lines: keep.then(VecDeque::new), loud }
    }

    pub(crate) fn mix(&mut self, number: u64) {
        self.hash = (self.hash ^ number).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// Adds a line, made only when somebody wants it.
    pub(crate) fn say(&mut self, now_us: u64, line: impl FnOnce() -> String) {
        let Some(lines) = &mut self.lines else { return };
        let line = format!("{:>12.3} ms  {}", now_us as f64 / 1000.0, line());
        if self.loud {
            println!("{line}");
        }
        lines.push_back(line);
        if lines.len() > LINES_MAX {
            lines.pop_front();
        }
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default().into()
    }
}
