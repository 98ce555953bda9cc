//! The same commands on this machine, as child processes. A command that is given up, or whose
//! stream is dropped, is killed with everything it started in its process group.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, Command};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::error::Error;
use super::exec::{Capture, ExecOutput, Stdin, Stream, Tail};
use super::patience::bound;
use super::status::Status;

/// Runs `words` to its end.
pub(super) async fn exec(
    host: &str,
    what: &str,
    words: &[String],
    stdin: Stdin<'_>,
    deadline: Instant,
) -> Result<ExecOutput, Error> {
    let doing = format!("running `{what}`");
    let failed = |e: io::Error| Error::local(host, &doing, e);
    let mut running = Running::spawn(host, what, words)?;
    let (input, stdout, stderr) = running.take_pipes().ok_or_else(|| no_pipes(host, what))?;
    let collect = async {
        let (stdout, stderr) =
            tokio::try_join!(Capture::default().drain(stdout), Capture::default().drain(stderr))?;
        Ok::<_, io::Error>((stdout, stderr))
    };
    let work = async {
        tokio::pin!(collect);
        let output = tokio::select! {
            output = &mut collect => output,
            () = feed(input, &stdin) => collect.await,
        };
        let (stdout, stderr) = output.map_err(failed)?;
        let status = running.wait().await.map_err(failed)?;
        Ok(ExecOutput {
            status: to_status(status),
            truncated: stdout.truncated || stderr.truncated,
            stdout: stdout.bytes,
            stderr: stderr.bytes,
        })
    };
    bound(host, &doing, deadline, work).await?
}

/// Starts `words` and hands its streams over.
pub(super) fn stream(host: &str, what: &str, words: &[String]) -> Result<Stream, Error> {
    let mut running = Running::spawn(host, what, words)?;
    let (input, stdout, stderr) = running.take_pipes().ok_or_else(|| no_pipes(host, what))?;
    let (ended_tx, ended) = oneshot::channel();
    let (alive, dropped) = oneshot::channel();
    let tail = Tail::default();
    // Ends by itself: when the child ends, or as soon as the stream is dropped.
    tokio::spawn(carry(running, stderr, tail.clone(), dropped, ended_tx));
    Ok(Stream {
        host: host.to_string(),
        command: what.to_string(),
        reader: Box::pin(stdout),
        writer: Box::pin(Input(Some(input))),
        stderr: tail,
        ended,
        _alive: alive,
    })
}

async fn carry(
    mut running: Running,
    mut stderr: ChildStderr,
    tail: Tail,
    dropped: oneshot::Receiver<()>,
    ended: oneshot::Sender<Result<Status, Error>>,
) {
    let mut buffer = vec![0u8; 4 << 10];
    let said = async {
        while let Ok(n @ 1..) = stderr.read(&mut buffer).await {
            tail.push(&buffer[..n]);
        }
    };
    tokio::pin!(said);
    let mut silent = false;
    let status = {
        let wait = running.wait();
        tokio::pin!(wait, dropped);
        loop {
            tokio::select! {
                status = &mut wait => break Some(status),
                () = &mut said, if !silent => silent = true,
                _ = &mut dropped => break None,
            }
        }
    };
    // Dropped: `running` goes out of scope here and kills the group.
    let Some(status) = status else { return };
    if !silent {
        // What the child said last is still in the pipe; a grandchild may hold it open for ever.
        let _ = tokio::time::timeout(LAST_WORDS, said).await;
    }
    let outcome = status
        .map(to_status)
        .map_err(|e| Error::local(&running.host, format!("running `{}`", running.what), e));
    let _ = ended.send(outcome);
}

/// A child's stdin that `shutdown` really closes; the pipe itself closes only when dropped.
struct Input(Option<ChildStdin>);

impl Input {
    fn with<T>(
        mut self: Pin<&mut Self>,
        work: impl FnOnce(Pin<&mut ChildStdin>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match &mut self.0 {
            Some(input) => work(Pin::new(input)),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }
}

impl AsyncWrite for Input {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.with(|input| input.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|input| input.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0 = None;
        Poll::Ready(Ok(()))
    }
}

/// A child in a process group of its own; the group is killed if the child is not waited for.
struct Running {
    host: String,
    what: String,
    child: Child,
    group: Option<Pid>,
}

impl Running {
    fn spawn(host: &str, what: &str, words: &[String]) -> Result<Running, Error> {
        let (program, arguments) = words.split_first().ok_or_else(|| no_pipes(host, what))?;
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| Error::local(host, format!("starting `{what}` ({program})"), e))?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(Running { host: host.to_string(), what: what.to_string(), child, group })
    }

    fn take_pipes(&mut self) -> Option<(ChildStdin, tokio::process::ChildStdout, ChildStderr)> {
        Some((self.child.stdin.take()?, self.child.stdout.take()?, self.child.stderr.take()?))
    }

    /// After this the group is left alone: what the command started on purpose may live on.
    async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await?;
        self.group = None;
        Ok(status)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            // It may have ended a moment ago; the child is not reaped yet, so the id is still its own.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// A command that ends without reading its input is not an error; its status says what it thought.
async fn feed(mut input: ChildStdin, stdin: &Stdin<'_>) {
    if let Some(first) = &stdin.first
        && input.write_all(first).await.is_err()
    {
        return;
    }
    let mut sent = 0;
    for chunk in stdin.chunks() {
        if input.write_all(&chunk).await.is_err() {
            return;
        }
        sent += chunk.len();
        stdin.sent(sent);
    }
}

fn to_status(status: ExitStatus) -> Status {
    match (status.code(), status.signal()) {
        (Some(code), _) => Status::Code(code),
        (None, signal) => Status::Signal(signal_name(signal.unwrap_or_default())),
    }
}

/// The names that SSH uses (RFC 4254 §6.10), so that both ways of running report alike.
fn signal_name(number: i32) -> String {
    let name = match number {
        1 => "HUP",
        2 => "INT",
        3 => "QUIT",
        4 => "ILL",
        6 => "ABRT",
        8 => "FPE",
        9 => "KILL",
        10 => "USR1",
        11 => "SEGV",
        13 => "PIPE",
        14 => "ALRM",
        15 => "TERM",
        other => return other.to_string(),
    };
    name.to_string()
}

fn no_pipes(host: &str, what: &str) -> Error {
    Error::local(host, format!("starting `{what}`"), "the child has no streams")
}

/// How long the end of stderr is waited for once the child has ended.
const LAST_WORDS: Duration = Duration::from_millis(200);
