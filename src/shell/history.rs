//! The lines typed in this session, with their numbers. What is kept over sessions is the editor's (`input`).

use std::collections::VecDeque;

/// The lines typed so far, numbered from 0; old ones are forgotten, their numbers are not given again.
#[derive(Debug, Default)]
pub(super) struct History {
    lines: VecDeque<String>,
    forgotten: usize,
}

impl History {
    pub(super) fn add(&mut self, line: &str) {
        self.lines.push_back(line.to_owned());
        if self.lines.len() > HISTORY_MAX {
            self.lines.pop_front();
            self.forgotten += 1;
        }
    }

    pub(super) fn replace_last(&mut self, line: &str) {
        if let Some(last) = self.lines.back_mut() {
            line.clone_into(last);
        }
    }

    pub(super) fn get(&self, number: usize) -> Option<&str> {
        self.lines.get(number.checked_sub(self.forgotten)?).map(String::as_str)
    }

    pub(super) fn next_number(&self) -> usize {
        self.forgotten + self.lines.len()
    }

    /// The number of the line being run.
    pub(super) fn last_number(&self) -> usize {
        self.next_number().saturating_sub(1)
    }

    /// The last ones with their numbers, the current one included.
    pub(super) fn recent(&self) -> impl Iterator<Item = (usize, &str)> {
        let from = self.lines.len().saturating_sub(HISTORY_SHOWN);
        self.lines.iter().enumerate().skip(from).map(|(at, line)| (self.forgotten + at, line.as_str()))
    }
}

/// Lines that `history` and `redo` reach back to.
const HISTORY_MAX: usize = 1000;
/// `history` shows this many.
const HISTORY_SHOWN: usize = 11;
