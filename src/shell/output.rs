//! The two streams of the shell, shared between the command that runs and the events that come in
//! between. A stream that is closed ends the shell instead of failing every line.

use std::borrow::Cow;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A handle on the streams; every line is flushed, so that both interleave as they were written.
#[derive(Clone)]
pub(super) struct Out {
    streams: Arc<Mutex<Streams>>,
    terminal: bool,
}

struct Streams {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    broken: bool,
}

impl Out {
    pub(super) fn new(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>, terminal: bool) -> Out {
        Out { streams: Arc::new(Mutex::new(Streams { out, err, broken: false })), terminal }
    }

    /// One line of result.
    pub(super) fn line(&self, text: &str) {
        self.write(self.harmless(text).as_bytes());
    }

    /// A node's bytes and an end of line. A pipe gets them as they are.
    pub(super) fn data(&self, bytes: &[u8]) {
        if self.terminal {
            self.line(&String::from_utf8_lossy(bytes));
        } else {
            self.write(bytes);
        }
    }

    /// One line for stderr.
    pub(super) fn complain(&self, text: &str) {
        let text = self.harmless(text);
        let mut streams = self.lock();
        let written = streams.err.write_all(text.as_bytes()).and_then(|()| streams.err.write_all(b"\n"));
        // Nobody is left to be told that stderr is gone.
        let _ = written.and_then(|()| streams.err.flush());
    }

    /// Nobody reads the results any more.
    pub(super) fn is_broken(&self) -> bool {
        self.lock().broken
    }

    fn write(&self, bytes: &[u8]) {
        let mut streams = self.lock();
        let written = streams.out.write_all(bytes).and_then(|()| streams.out.write_all(b"\n"));
        streams.broken |= written.and_then(|()| streams.out.flush()).is_err();
    }

    /// On a terminal control characters from the ensemble are shown, not obeyed.
    pub(super) fn harmless<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let steers = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
        if self.terminal && text.contains(steers) {
            text.replace(steers, "\u{fffd}").into()
        } else {
            text.into()
        }
    }

    fn lock(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
