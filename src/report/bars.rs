//! A line per host on a terminal, redrawn in place; what is finished scrolls away above.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::event::{Event, StepOutcome};
use super::plain;

pub(super) struct Bars {
    all: MultiProgress,
    hosts: BTreeMap<String, ProgressBar>,
    /// The gate that is waited for, below the hosts.
    gate: Option<ProgressBar>,
}

impl Bars {
    pub(super) fn new() -> Bars {
        Bars { all: MultiProgress::new(), hosts: BTreeMap::new(), gate: None }
    }

    pub(super) fn event(&mut self, event: &Event) {
        match event {
            Event::Phase { .. } => {
                self.clear();
                self.say(event);
            }
            Event::Host { member, doing } => self.host(member).set_message(doing.clone()),
            Event::Upload { member, sent, total } => {
                let bar = self.host(member);
                bar.set_style(upload_style());
                bar.set_length(*total);
                bar.set_position(*sent);
                if sent == total {
                    bar.set_style(style());
                }
            }
            Event::Step { member, what, outcome, .. } => {
                let mark = match outcome {
                    StepOutcome::Changed => "✓",
                    StepOutcome::Noop => "·",
                    StepOutcome::Failed(_) => "✗",
                };
                self.host(member).set_message(format!("{mark} {what}"));
                if let StepOutcome::Failed(_) = outcome {
                    self.say(event);
                }
            }
            Event::Waiting { gate, missing } => {
                let all = &self.all;
                let bar = self.gate.get_or_insert_with(|| spinner(all.add(ProgressBar::no_length())));
                bar.set_message(format!("{gate}: {missing}"));
            }
            Event::Passed { .. } => {
                if let Some(bar) = self.gate.take() {
                    bar.finish_and_clear();
                }
                self.say(event);
            }
            Event::Note { .. } => self.say(event),
        }
    }

    /// Leaves the terminal as if no bar had been there.
    pub(super) fn clear(&mut self) {
        for bar in std::mem::take(&mut self.hosts).into_values().chain(self.gate.take()) {
            bar.finish_and_clear();
        }
    }

    fn say(&self, event: &Event) {
        let Some(line) = plain::line(event) else { return };
        // Without a bar below it the library leaves the cursor in the line, and whatever comes next, a
        // question or a result, is written over it.
        let _gone = match self.hosts.is_empty() && self.gate.is_none() {
            true => writeln!(std::io::stderr().lock(), "{line}"),
            false => self.all.println(line),
        };
    }

    fn host(&mut self, member: &str) -> &ProgressBar {
        let all = &self.all;
        self.hosts.entry(member.to_owned()).or_insert_with(|| {
            let bar = spinner(all.add(ProgressBar::no_length()));
            bar.set_prefix(member.to_owned());
            bar
        })
    }
}

fn spinner(bar: ProgressBar) -> ProgressBar {
    bar.set_style(style());
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

fn style() -> ProgressStyle {
    template("{spinner} {prefix:<12} {wide_msg}")
}

fn upload_style() -> ProgressStyle {
    template("{spinner} {prefix:<12} [{bar:24}] {bytes}/{total_bytes} {msg}")
}

fn template(text: &str) -> ProgressStyle {
    ProgressStyle::with_template(text).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
