//! Lines on their way out, many at a time.

use crate::report::Report;

pub(super) struct Lines<'a> {
    pub(super) report: &'a Report,
    /// What was not written yet.
    text: String,
    /// How many things were told, for whoever says what it means when there are none.
    pub(super) told: u64,
}

impl<'a> Lines<'a> {
    /// Lines below `head`.
    pub(super) fn below(head: String, report: &'a Report) -> Lines<'a> {
        Lines { report, text: head, told: 0 }
    }

    pub(super) fn put(&mut self, line: &str) {
        self.text += line;
        if self.text.len() > TEXT_LEN {
            self.flush();
        }
    }

    pub(super) fn flush(&mut self) {
        if !self.text.is_empty() {
            self.report.text(&self.text);
            self.text.clear();
        }
    }
}

const TEXT_LEN: usize = 32 * 1024;
