//! Commands as both ways of reaching a host see them: how a command line is built, what comes
//! back, and a running command as a byte stream. Runs nothing itself.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::error::Error;
use super::patience::bound;
use super::status::Status;
use super::target::Escalation;

/// A finished command. Each stream is cut at [`OUTPUT_MAX`] bytes; the command still ran to its end.
#[derive(Debug, Clone)]
pub struct ExecOutput {
    pub status: Status,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// Output beyond the limit was dropped.
    pub truncated: bool,
}

impl ExecOutput {
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub(super) fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// The output of a command that had to succeed.
    ///
    /// # Errors
    /// [`Error::Command`] with the end of its stderr.
    pub fn checked(self, host: &str, command: &str) -> Result<ExecOutput, Error> {
        if self.status.success() {
            return Ok(self);
        }
        Err(Error::Command {
            host: host.to_string(),
            command: command.to_string(),
            stderr: last_lines(&self.stderr_text()),
            status: self.status,
        })
    }
}

/// Bytes kept of each of stdout and stderr.
pub(super) const OUTPUT_MAX: usize = 4 << 20;

/// Collects a stream up to [`OUTPUT_MAX`].
#[derive(Debug, Default)]
pub(super) struct Capture {
    pub(super) bytes: Vec<u8>,
    pub(super) truncated: bool,
}

impl Capture {
    pub(super) fn push(&mut self, data: &[u8]) {
        let room = OUTPUT_MAX - self.bytes.len();
        self.truncated |= data.len() > room;
        self.bytes.extend_from_slice(&data[..data.len().min(room)]);
    }

    /// Reads to the end, so that the command never blocks on a full pipe.
    pub(super) async fn drain(mut self, mut from: impl AsyncRead + Unpin) -> io::Result<Capture> {
        let mut buffer = vec![0u8; 64 << 10];
        loop {
            match from.read(&mut buffer).await? {
                0 => return Ok(self),
                n => self.push(&buffer[..n]),
            }
        }
    }
}

/// The last [`TAIL_MAX`] bytes of stderr, shared with whoever wants to explain a failure.
#[derive(Debug, Clone, Default)]
pub(super) struct Tail(Arc<Mutex<VecDeque<u8>>>);

impl Tail {
    pub(super) fn push(&self, data: &[u8]) {
        let mut tail = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let data = &data[data.len().saturating_sub(TAIL_MAX)..];
        let excess = (tail.len() + data.len()).saturating_sub(TAIL_MAX);
        tail.drain(..excess);
        tail.extend(data);
    }

    fn text(&self) -> String {
        let mut tail = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(tail.make_contiguous()).into_owned()
    }
}

/// A running command: reading gives its stdout, writing feeds its stdin, `shutdown` closes its
/// stdin. Dropping it ends the command (its channel is closed; a local child is killed).
///
/// Keep reading while writing: the connection's other channels wait for a reader that does not.
pub struct Stream {
    pub(super) host: String,
    pub(super) command: String,
    pub(super) reader: Pin<Box<dyn AsyncRead + Send>>,
    pub(super) writer: Pin<Box<dyn AsyncWrite + Send>>,
    pub(super) stderr: Tail,
    pub(super) ended: oneshot::Receiver<Result<Status, Error>>,
    /// Dropped with the stream: tells the task that carries it to end the command.
    pub(super) _alive: oneshot::Sender<()>,
}

impl Stream {
    /// What the command has said on stderr lately, for error messages.
    pub(super) fn stderr_tail(&self) -> String {
        self.stderr.text()
    }

    /// Closes stdin, drops what is left of stdout and waits for the command to end.
    ///
    /// # Errors
    /// [`Error::Timeout`]; [`Error::Lost`] if the connection went away first.
    pub async fn finish(mut self, deadline: Instant) -> Result<Ending, Error> {
        let doing = format!("waiting for `{}` to end", self.command);
        let host = self.host.clone();
        let end = async {
            // A command that has already ended cannot have its stdin closed any more.
            let _ = self.writer.shutdown().await;
            let mut sink = tokio::io::sink();
            let _ = tokio::io::copy(&mut self.reader, &mut sink).await;
            match (&mut self.ended).await {
                Ok(status) => status,
                Err(_) => Err(Error::Lost {
                    host: self.host.clone(),
                    doing: doing.clone(),
                    why: "its connection was closed".to_string(),
                }),
            }
        };
        let status = bound(&host, &doing, deadline, end).await??;
        Ok(Ending { status, stderr: self.stderr.text() })
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("host", &self.host).field("command", &self.command).finish()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.reader.as_mut().poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.writer.as_mut().poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer.as_mut().poll_shutdown(cx)
    }
}

/// How a [`Stream`] ended.
#[derive(Debug, Clone)]
pub struct Ending {
    pub status: Status,
    /// The end of stderr.
    pub stderr: String,
}

/// What goes to a command's stdin, with a watcher of its progress.
pub(super) struct Stdin<'a> {
    /// Goes before all else, and counts for nothing.
    pub(super) first: Option<Bytes>,
    pub(super) bytes: Bytes,
    /// Called with the number of bytes handed over so far.
    pub(super) progress: Option<&'a (dyn Fn(u64) + Send + Sync)>,
}

impl From<Bytes> for Stdin<'_> {
    fn from(bytes: Bytes) -> Self {
        Stdin { first: None, bytes, progress: None }
    }
}

impl Stdin<'_> {
    /// Pieces of [`CHUNK`] bytes; nothing is copied.
    pub(super) fn chunks(&self) -> impl Iterator<Item = Bytes> + '_ {
        (0..self.bytes.len()).step_by(CHUNK).map(|at| self.bytes.slice(at..self.bytes.len().min(at + CHUNK)))
    }

    pub(super) fn sent(&self, total: usize) {
        if let Some(progress) = self.progress {
            progress(total as u64);
        }
    }
}

/// The end of a text, as evidence in a message.
pub(super) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(LINES_MAX)..].join("\n")
}

/// A command for messages: one line, not too long.
pub(super) fn brief(command: &str) -> String {
    let line = command.trim().lines().next().unwrap_or_default();
    match line.char_indices().nth(COMMAND_SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_string(),
    }
}

/// `sh -c` for a command line of the caller's.
pub(super) fn shell(command: &str) -> Vec<String> {
    vec!["/bin/sh".into(), "-c".into(), command.into()]
}

/// The same words with the rights they need. A password is read from stdin, always: what sudo may remember of an
/// earlier one would leave the line to the command. LC_ALL makes sudo's refusal readable for us; `env`
/// sets it because the login shell may be one that has no `NAME=value command`.
pub(super) fn escalated(escalation: &Escalation, password: bool, words: Vec<String>) -> Vec<String> {
    let Escalation::Sudo { path } = escalation else { return words };
    let how: &[&str] = if password { &["-k", "-S", "-p", "", "--"] } else { &["-n", "--"] };
    let before = ["env", "LC_ALL=C", path].into_iter().chain(how.iter().copied()).map(str::to_string);
    before.chain(words).collect()
}

/// One line that any shell splits back into exactly these words.
///
/// # Errors
/// [`Error::Setting`] for a word with a NUL byte, which no command line can carry.
pub fn quote<'a>(host: &str, words: impl IntoIterator<Item = &'a str>) -> Result<String, Error> {
    shlex::try_join(words)
        .map_err(|e| Error::setting(host, "a command line", format!("{e}; a path or name holds a NUL byte")))
}

/// Sudo's own complaint, when it is sudo that failed and not the command.
pub(super) fn sudo_refusal(escalation: &Escalation, output: &ExecOutput) -> Option<String> {
    if *escalation == Escalation::None || output.status != Status::Code(1) {
        return None;
    }
    let stderr = output.stderr_text();
    let refused = |line: &&str| {
        line.starts_with("sudo: ") && SUDO_REFUSALS.iter().any(|refusal| line.contains(refusal))
    };
    stderr.lines().find(refused).map(str::to_string)
}

/// Measured: 32 KiB pieces cost 28 % more, 1 MiB gains nothing.
const CHUNK: usize = 256 << 10;
/// Enough for a panic message with its backtrace.
const TAIL_MAX: usize = 16 << 10;
/// Characters of a command line that a message shows.
const COMMAND_SHOWN_MAX: usize = 100;
/// Lines of evidence that an error message shows.
const LINES_MAX: usize = 20;

/// Only these: sudo also warns (`unable to resolve host`) while it does what it should.
const SUDO_REFUSALS: [&str; 6] = [
    "password is required",
    "terminal is required",
    "must have a tty",
    "incorrect password attempt",
    "no password was provided",
    "incorrect authentication attempt",
];
