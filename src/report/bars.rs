//! A line per host on a terminal, redrawn in place; what is finished scrolls away above. While a person is asked nothing
//! is drawn, and nothing is lost.

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
    /// What happened since a person is asked; `None`: nobody is.
    held: Option<Vec<Event>>,
}

impl Bars {
    pub(super) fn new() -> Bars {
        Bars { all: MultiProgress::new(), hosts: BTreeMap::new(), gate: None, held: None }
    }

    pub(super) fn event(&mut self, event: &Event) {
        match &mut self.held {
            Some(held) => hold(held, event),
            None => self.draw(event),
        }
    }

    /// From now on the terminal is the question's.
    pub(super) fn ask(&mut self) {
        self.clear();
        self.held.get_or_insert_default();
    }

    /// The answer is there: what happened meanwhile is shown.
    pub(super) fn answered(&mut self) {
        for event in self.held.take().unwrap_or_default() {
            self.draw(&event);
        }
    }

    /// Before a result, or the end: no bar is left, and no line is lost.
    pub(super) fn pause(&mut self) {
        self.answered();
        self.clear();
    }

    fn draw(&mut self, event: &Event) {
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
    fn clear(&mut self) {
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

/// Of what is redrawn in place the last is enough: however long the answer takes, this stays small.
fn hold(held: &mut Vec<Event>, event: &Event) {
    let place = |event: &Event| match event {
        Event::Host { member, .. } => Some((0, member.clone())),
        Event::Upload { member, .. } => Some((1, member.clone())),
        Event::Waiting { gate, .. } => Some((2, gate.clone())),
        _ => None,
    };
    if let Some(same) = place(event) {
        held.retain(|other| place(other).as_ref() != Some(&same));
    }
    held.push(event.clone());
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A bar that is drawn stands in the line that a person types in.
    #[test]
    fn nothing_is_drawn_while_somebody_is_asked() {
        let doing = |member: &str, doing: &str| Event::Host { member: member.into(), doing: doing.into() };
        let mut bars = Bars::new();
        bars.event(&doing("node-1", "connecting"));
        assert_eq!(bars.hosts.len(), 1);
        bars.ask();
        for _ in 0..1_000 {
            bars.event(&doing("node-1", "looking"));
            bars.event(&doing("node-2", "looking"));
            bars.event(&Event::Waiting { gate: "ready".into(), missing: "node-2".into() });
        }
        bars.event(&Event::Note { text: "worth knowing".into() });
        assert!(bars.hosts.is_empty() && bars.gate.is_none(), "it is drawn over the question");
        assert_eq!(bars.held.as_ref().map(Vec::len), Some(4), "nothing is lost, and progress is kept once");
        bars.answered();
        assert!(bars.hosts.len() == 2 && bars.gate.is_some(), "it goes on where it was");
        bars.ask();
        bars.event(&doing("node-1", "looking"));
        bars.pause();
        assert!(
            bars.hosts.is_empty() && bars.held.is_none(),
            "an end that comes first leaves nothing behind"
        );
    }
}
