//! Runs a program of the host: found by `which`, with a deadline, `LC_ALL=C`, nothing on stdin and
//! bounded output. It never goes through a shell and never interprets what was printed.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::time::Instant;

use crate::operator::host::failure::{Failure, Kind};

/// What a program that ended has said.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    /// The command as one would type it.
    pub(crate) shown: String,
    /// `None`: ended by a signal.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    pub(crate) fn ok(&self) -> bool {
        self.code == Some(0)
    }

    /// What it complained about, in one line.
    pub(crate) fn complaint(&self) -> String {
        let said = if self.stderr.trim().is_empty() { &self.stdout } else { &self.stderr };
        let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let end = match self.code {
            Some(code) => format!("exit status {code}"),
            None => "killed by a signal".to_string(),
        };
        if lines.is_empty() { end } else { format!("{} ({end})", lines.join("; ")) }
    }

    /// Zero exit status, or a [`Kind::CommandFailed`] with the complaint.
    pub(crate) fn success(self, what: &str) -> Result<Output, Failure> {
        if self.ok() {
            return Ok(self);
        }
        let why = self.complaint();
        Err(Failure::new(what, format!("`{}`", self.shown), Kind::CommandFailed, why))
    }
}

/// The program's path on this host.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    which::which_in(program, Some(search_path()), "/").ok()
}

/// Runs a program to its end; any exit status is an `Ok`.
///
/// # Errors
/// `NotFound` when it is not installed, `Timeout` when it had to be killed.
pub(crate) async fn run(program: &str, args: &[&str], deadline: Instant) -> Result<Output, Failure> {
    let shown = shlex::try_join(std::iter::once(program).chain(args.iter().copied()))
        .unwrap_or_else(|_| program.to_string());
    let fail = |kind, why: String| Failure::new("run", format!("`{shown}`"), kind, why);
    let path = find(program).ok_or_else(|| fail(Kind::NotFound, "not installed on this host".into()))?;
    let mut child = Command::new(path)
        .args(args)
        .env("PATH", search_path())
        .env("LC_ALL", "C")
        .env("LANG", "C")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Failure::io("run", format!("`{shown}`"), &error))?;
    let group = child.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()));
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let all = async { tokio::join!(child.wait(), drain(out), drain(err)) };
    let Ok((status, stdout, stderr)) = tokio::time::timeout_at(deadline, all).await else {
        if let Some(group) = group {
            // Its own group: what it started goes with it. Gone already is as good.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        return Err(fail(Kind::Timeout, "it did not end in time and was killed".into()));
    };
    let status = status.map_err(|error| Failure::io("wait for", format!("`{shown}`"), &error))?;
    Ok(Output { code: status.code(), stdout, stderr, shown })
}

/// Runs a program that must succeed.
pub(crate) async fn must(
    what: &str,
    program: &str,
    args: &[&str],
    deadline: Instant,
) -> Result<Output, Failure> {
    run(program, args, deadline).await?.success(what)
}

/// Reads to the end, keeps the first part. A pipe that is not read would block the program.
async fn drain(pipe: Option<impl AsyncRead + Unpin>) -> String {
    let mut kept = Vec::new();
    if let Some(mut pipe) = pipe {
        // A read error here is a broken pipe of a dead program: what was read is what there is.
        let _ = (&mut pipe).take(OUTPUT_BYTES_MAX).read_to_end(&mut kept).await;
        let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    }
    String::from_utf8_lossy(&kept).into_owned()
}

fn search_path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    if !path.is_empty() {
        path.push(":");
    }
    path.push(SYSTEM_PATH);
    path
}

/// Where system programs live; an ssh command's PATH often lacks the sbin folders.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// A ruleset of thousands of lines fits; more than this is cut off.
const OUTPUT_BYTES_MAX: u64 = 4 << 20;
