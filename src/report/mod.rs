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

use std::io::{ErrorKind, IsTerminal, Write};
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
    /// What became of stdout.
    stdout: Arc<Mutex<Stdout>>,
    voice: Arc<Mutex<Voice>>,
}

/// Where results go.
#[derive(Debug, Default)]
enum Stdout {
    #[default]
    Good,
    /// Whoever read it has gone away, which is theirs to do.
    Unread,
    /// What was to be said there is lost; why.
    Lost(String),
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
        Report { style, colour, redraws, stdout: Arc::default(), voice: Arc::new(Mutex::new(voice)) }
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
                self.printed(writeln!(out, "{}", json::line(&event)));
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
        self.printed(written);
    }

    /// Nobody gets to read what is written to stdout any more: what has no end of its own may end.
    pub fn is_unread(&self) -> bool {
        !matches!(*self.stdout(), Stdout::Good)
    }

    /// Stdout is a terminal, where what was shown can be erased.
    pub fn redraws(&self) -> bool {
        self.redraws
    }

    /// What became of a result that was written to stdout.
    pub fn printed(&self, written: std::io::Result<()>) {
        let Err(why) = written.and_then(|()| std::io::stdout().flush()) else { return };
        let mut stdout = self.stdout();
        if matches!(*stdout, Stdout::Good) {
            *stdout = match why.kind() {
                ErrorKind::BrokenPipe => Stdout::Unread,
                _ => Stdout::Lost(why.to_string()),
            };
        }
    }

    /// The exit code of a run that would end with `code`: an answer that was lost is said on stderr, and is no success.
    pub fn ending(&self, code: u8) -> u8 {
        self.pause();
        let lost = match &*self.stdout() {
            Stdout::Good | Stdout::Unread => return code,
            Stdout::Lost(why) => format!("the answer could not be written to stdout: {why}"),
        };
        self.told(&Failure::new(Exit::Failed, lost).state("what the command did before is done"));
        if code == Exit::Done as u8 { Exit::Failed as u8 } else { code }
    }

    /// The result for machines, one line on stdout, its keys in alphabetical order. Says nothing without `--json`.
    pub fn value(&self, value: &impl Serialize) {
        if !self.style.json {
            return;
        }
        if let Voice::Json(out) = &mut *self.voice() {
            let written = writeln!(out, "{}", json::value(value));
            self.printed(written);
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
        }
        // Where that was lost, people get to see it at least.
        if !self.style.json || matches!(*self.stdout(), Stdout::Lost(_)) {
            self.told(failure);
        }
    }

    /// For people, on stderr.
    fn told(&self, failure: &Failure) {
        self.pause();
        let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let _gone = write!(std::io::stderr().lock(), "{}", failure.text(colour));
    }

    /// Takes the bars off the terminal: before a result, or the end.
    pub fn pause(&self) {
        if let Voice::Bars(bars) = &mut *self.voice() {
            bars.pause();
        }
    }

    /// What a person says to `question`, who has the terminal alone meanwhile: what happens is shown behind it.
    pub fn asked<T>(&self, question: impl FnOnce() -> T) -> T {
        if let Voice::Bars(bars) = &mut *self.voice() {
            bars.ask();
        }
        let answer = question();
        if let Voice::Bars(bars) = &mut *self.voice() {
            bars.answered();
        }
        answer
    }

    fn stdout(&self) -> std::sync::MutexGuard<'_, Stdout> {
        self.stdout.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn voice(&self) -> std::sync::MutexGuard<'_, Voice> {
        self.voice.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn to(style: Style, out: Box<dyn Write + Send>) -> Report {
        let voice = if style.json { Voice::Json(out) } else { Voice::Plain(out) };
        let voice = Arc::new(Mutex::new(voice));
        Report { style, colour: false, redraws: false, stdout: Arc::default(), voice }
    }
}
