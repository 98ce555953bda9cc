//! What can happen while something is carried out. Words and numbers only: whoever emits an
//! event has named members and steps already.

use std::sync::Arc;

use serde::Serialize;

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A stretch of work begins; a terminal shows its title above the bars.
    Phase { title: String },
    /// What is being done on one host just now; replaces what was said of it before.
    Host { member: String, doing: String },
    /// Bytes on their way to a host.
    Upload { member: String, sent: u64, total: u64 },
    /// A step has ended.
    Step { member: String, what: String, outcome: StepOutcome, took_ms: u64 },
    /// A gate is asked; `missing` is what keeps it shut.
    Waiting { gate: String, missing: String },
    /// A gate opened.
    Passed { gate: String, took_ms: u64 },
    /// Worth knowing; nothing stops.
    Note { text: String },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    Changed,
    /// Found done already.
    Noop,
    /// Why it failed; the failure itself is told at the end.
    Failed(String),
}

/// Where events go: to whoever shows, writes or counts them. Clones lead to the same place.
#[derive(Clone)]
pub struct Sink(Arc<dyn Fn(Event) + Send + Sync>);

impl Sink {
    pub fn new(take: impl Fn(Event) + Send + Sync + 'static) -> Sink {
        Sink(Arc::new(take))
    }

    pub fn event(&self, event: Event) {
        (self.0)(event);
    }

    /// Tells a [`Event::Note`].
    pub fn note(&self, text: impl Into<String>) {
        self.event(Event::Note { text: text.into() });
    }
}

impl Event {
    /// Left out unless the user wants to see everything.
    pub(super) fn is_detail(&self) -> bool {
        matches!(self, Event::Step { outcome: StepOutcome::Noop, .. })
    }
}
