//! What people and machines get to see: events while something happens, tables and results at
//! the end, and the block that closes every failure. The only place that prints; it knows
//! nothing of clusters, plans or hosts.
//!
//! - [`event`]: what can happen, as a closed enum
//! - [`failure`]: what happened / state now / do next / undo, and the exit codes
//! - [`table`]: rows with tones, drawn as text
//! - `bars`, `plain`, `json`: the three ways an event is shown
//!
//! Results go to stdout, progress and failures to stderr; with `--json` everything is one JSON
//! document a line on stdout.

mod bars;
pub mod event;
pub mod failure;
mod json;
mod plain;
pub mod table;

#[cfg(test)]
mod tests;

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

pub use event::{Event, Sink};
pub use failure::{Evidence, Exit, Failure};
pub use table::{Cell, Table, Tone};

/// How the user wants to be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    pub json: bool,
    /// Steps that change nothing are told too.
    pub verbose: bool,
}

/// Where events and results go. Clones share one voice.
#[derive(Clone)]
pub struct Report {
    style: Style,
    /// Colours on stdout; progress has its own terminal.
    colour: bool,
    /// Stdout is a terminal: what was shown can be erased.
    redraws: bool,
    /// Whoever read stdout has gone away.
    unread: Arc<AtomicBool>,
    voice: Arc<Mutex<Voice>>,
}

/// Chosen once, when the program starts.
enum Voice {
    /// A bar per host, redrawn in place.
    Bars(bars::Bars),
    /// One line an event.
    Plain(Box<dyn Write + Send>),
    /// One JSON document an event.
    Json(Box<dyn Write + Send>),
}

impl Report {
    /// Bars on a terminal, plain lines elsewhere, JSON when asked for.
    pub fn new(style: Style) -> Report {
        let voice = if style.json {
            Voice::Json(Box::new(std::io::stdout()))
        } else if std::io::stderr().is_terminal() {
            Voice::Bars(bars::Bars::new())
        } else {
            Voice::Plain(Box::new(std::io::stderr()))
        };
        let redraws = std::io::stdout().is_terminal();
        let colour = redraws && std::env::var_os("NO_COLOR").is_none();
        Report { style, colour, redraws, unread: Arc::default(), voice: Arc::new(Mutex::new(voice)) }
    }

    pub fn style(&self) -> Style {
        self.style
    }

    /// Shows an event. Whoever reads may have gone away: that ends nothing that is under way.
    pub fn event(&self, event: Event) {
        if event.is_detail() && !self.style.verbose && !self.style.json {
            return;
        }
        match &mut *self.voice() {
            Voice::Bars(bars) => bars.event(&event),
            Voice::Plain(out) => {
                if let Some(line) = plain::line(&event) {
                    let _gone = writeln!(out, "{line}");
                }
            }
            Voice::Json(out) => {
                let _gone = writeln!(out, "{}", json::line(&event));
            }
        }
    }

    /// This voice, for those who only tell what happens.
    pub fn sink(&self) -> Sink {
        let report = self.clone();
        Sink::new(move |event| report.event(event))
    }

    /// The result for people, on stdout. Says nothing with `--json`.
    pub fn text(&self, text: &str) {
        if self.style.json {
            return;
        }
        self.pause();
        let mut out = std::io::stdout().lock();
        let written =
            write!(out, "{text}").and_then(|()| if text.ends_with('\n') { Ok(()) } else { writeln!(out) });
        self.noted(written.and_then(|()| out.flush()));
    }

    /// Nobody reads stdout any more: what has no end of its own may end.
    pub fn is_unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }

    /// Stdout is a terminal, where what was shown can be erased.
    pub fn redraws(&self) -> bool {
        self.redraws
    }

    fn noted(&self, written: std::io::Result<()>) {
        if written.is_err() {
            self.unread.store(true, Ordering::Relaxed);
        }
    }

    /// The result for machines, one line on stdout, its keys in alphabetical order. Says nothing without `--json`.
    pub fn value(&self, value: &impl Serialize) {
        if !self.style.json {
            return;
        }
        if let Voice::Json(out) = &mut *self.voice() {
            let written = writeln!(out, "{}", json::value(value));
            self.noted(written.and_then(|()| out.flush()));
        }
    }

    /// A table as this terminal shows it.
    pub fn table(&self, table: &Table) -> String {
        table.draw(self.colour)
    }

    /// A failure: what happened, the state now, what to do next, how to undo.
    pub fn failure(&self, failure: &Failure) {
        if self.style.json {
            self.value(&failure.document());
            return;
        }
        self.pause();
        let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let _gone = write!(std::io::stderr().lock(), "{}", failure.text(colour));
    }

    /// Takes the bars off the terminal: before a result, a question, or the end.
    pub fn pause(&self) {
        if let Voice::Bars(bars) = &mut *self.voice() {
            bars.clear();
        }
    }

    fn voice(&self) -> std::sync::MutexGuard<'_, Voice> {
        self.voice.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn to(style: Style, out: Box<dyn Write + Send>) -> Report {
        let voice = if style.json { Voice::Json(out) } else { Voice::Plain(out) };
        let voice = Arc::new(Mutex::new(voice));
        Report { style, colour: false, redraws: false, unread: Arc::default(), voice }
    }
}
