//! `zkops host --supervise SPEC`: keeps one server up where no init system does. It starts the
//! server, starts it again after a crash with growing delays, passes TERM on, rotates the log and
//! keeps the pid file true. One supervisor for a pid file: the kernel's lock on it says so.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::process::{Resource, Rlimit, Signal};
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};
use tokio::time::{Instant, sleep, timeout};

use super::description;
use super::pid_file::{self, Exit, Status};
use super::records::{DaemonSpec, Restart};
use crate::operator::host::failure::{At, Failure, Kind};
use crate::operator::host::files::{dirs, durable};
use crate::operator::host::machine::clock;
use crate::operator::host::machine::process::Identity;

/// Runs until it is told to stop (TERM or INT), or the server ends for good.
///
/// # Errors
/// Before the server is started only: no description, another supervisor, no lock.
pub async fn supervise(spec_file: &Path) -> Result<(), Failure> {
    let spec = description::read(spec_file)?;
    // Fails for a process that leads its group already, which a shell's foreground job does.
    let _ = rustix::process::setsid();
    let _lock = lock(&spec)?;
    raise_open_files();
    // What a server writes is for nobody else; it inherits this.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let failed = |error: io::Error| Failure::io("watch signals for", &spec.name, &error);
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    // The end of a login session must not end us: taken, and not acted upon.
    let _hangup = signal(SignalKind::hangup()).map_err(failed)?;
    let me = Identity::of(rustix::process::getpid().as_raw_nonzero().get()).ok_or_else(|| {
        Failure::new("supervise", &spec.name, Kind::Unsupported, "/proc does not show this very process")
    })?;
    let orphan = Status::read(&spec.pid_file).and_then(|status| status.server).filter(Identity::alive);
    let status =
        Status { supervisor: me, server: orphan, since_ms: clock::wall_ms(), restarts: 0, last_exit: None };
    let mut supervisor = Supervisor { spec, status };
    let stopped = tokio::select! {
        () = supervisor.keep_up() => false,
        () = either(&mut terminate, &mut interrupt) => true,
    };
    if stopped {
        supervisor.stop().await;
    }
    Ok(())
}

struct Supervisor {
    spec: DaemonSpec,
    status: Status,
}

impl Supervisor {
    /// Returns when the server has ended for good. Dropped in the middle it leaves the server
    /// running; `stop` ends that by its identity.
    async fn keep_up(&mut self) {
        let mut delay = Duration::from_millis(self.spec.restart_delay_ms);
        let longest = Duration::from_millis(self.spec.restart_delay_max_ms);
        loop {
            let begun = Instant::now();
            let exit = match self.status.server.clone() {
                Some(orphan) => self.adopt(&orphan).await,
                None => self.run().await,
            };
            self.status.server = None;
            self.status.since_ms = clock::wall_ms();
            self.status.last_exit = Some(exit.clone());
            let again = match self.spec.restart {
                Restart::Always => true,
                Restart::OnFailure => exit != Exit::Status(0),
                Restart::Never => false,
            };
            let again = again && !self.is_final(&exit);
            self.publish();
            if !again {
                self.log(&format!("{} ended ({exit:?}) and is not started again", self.spec.name));
                return;
            }
            if begun.elapsed() >= HEALTHY_AFTER {
                delay = Duration::from_millis(self.spec.restart_delay_ms);
            }
            self.log(&format!("{} ended ({exit:?}); starting it again in {delay:?}", self.spec.name));
            sleep(delay).await;
            delay = (delay * 2).min(longest);
            self.status.restarts = self.status.restarts.saturating_add(1);
        }
    }

    async fn run(&mut self) -> Exit {
        self.rotate();
        let mut child = match self.spawn() {
            Ok(child) => child,
            Err(failure) => return Exit::NotStarted(failure.to_string()),
        };
        // Read before anybody waits for it: even one that ended at once still has its pid.
        self.status.server = child.id().and_then(|pid| Identity::of(pid.cast_signed()));
        self.status.since_ms = clock::wall_ms();
        self.publish();
        loop {
            match timeout(LOG_LOOK, child.wait()).await {
                Ok(Ok(status)) => return exit_of(status),
                Ok(Err(_)) => return Exit::Unknown,
                Err(_) => self.rotate(),
            }
        }
    }

    /// Watches a server that a killed supervisor has left behind: it serves, so it is not restarted.
    async fn adopt(&mut self, orphan: &Identity) -> Exit {
        self.log(&format!(
            "{} (pid {}) was left by an earlier supervisor and is adopted",
            self.spec.name, orphan.pid
        ));
        self.publish();
        let mut looked = Instant::now();
        while orphan.alive() {
            sleep(ADOPTED_LOOK).await;
            if looked.elapsed() >= LOG_LOOK {
                looked = Instant::now();
                self.rotate();
            }
        }
        Exit::Unknown
    }

    fn spawn(&self) -> Result<Child, Failure> {
        let log = self.open_log().at("open", &self.spec.log_file)?;
        let errors = log.try_clone().at("open", &self.spec.log_file)?;
        let mut command = Command::new(&self.spec.exec);
        if let Some(user) = &self.spec.user {
            let (uid, gid) = dirs::resolve(user)?;
            command.uid(uid).gid(gid);
        }
        command
            .args(&self.spec.args)
            .envs(&self.spec.env)
            .current_dir(self.spec.working_dir.as_deref().unwrap_or(Path::new("/")))
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .process_group(0)
            .kill_on_drop(false)
            .spawn()
            .at("start", &self.spec.exec)
    }

    fn is_final(&self, exit: &Exit) -> bool {
        matches!(exit, Exit::Status(code) if self.spec.final_exits.contains(code))
    }

    /// TERM, then KILL; then the pid file goes.
    async fn stop(&mut self) {
        if let Some(server) = self.status.server.take() {
            self.log(&format!("stopping {}", self.spec.name));
            // Not allowed, or gone already: either way the waiting below tells.
            let _ = server.signal(Signal::TERM);
            let until = Instant::now() + Duration::from_millis(self.spec.stop_timeout_ms);
            while server.alive() && Instant::now() < until {
                sleep(Duration::from_millis(10)).await;
            }
            if server.alive() {
                self.log(&format!("{} did not stop in time and is killed", self.spec.name));
                let _ = server.signal(Signal::KILL);
                while server.alive() {
                    sleep(Duration::from_millis(10)).await;
                }
            }
        }
        // It may be gone already; whatever else is wrong, the process it names will not be there.
        let _ = fs::remove_file(&self.spec.pid_file);
    }

    /// Writes the pid file. A full disk must not take the server down, nor leave a pid file that
    /// lies: then the old file's block is written over in place.
    fn publish(&self) {
        let Ok(text) = self.status.render() else { return };
        let Err(failure) = durable::replace(&self.spec.pid_file, text.as_bytes(), 0o644, None) else {
            return;
        };
        let in_place = fs::OpenOptions::new().write(true).open(&self.spec.pid_file).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.set_len(text.len() as u64)
        });
        if in_place.is_err() {
            self.log(&failure.to_string());
        }
    }

    /// A line of ours in the server's log.
    fn log(&self, line: &str) {
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
        // There is nowhere else to complain.
        let _ = self.open_log().and_then(|mut log| writeln!(log, "{now} zkops supervisor: {line}"));
    }

    fn open_log(&self) -> io::Result<fs::File> {
        fs::OpenOptions::new().create(true).append(true).open(&self.spec.log_file)
    }

    fn rotate(&self) {
        if let Err(error) = rotate(&self.spec.log_file, self.spec.log_bytes_max, self.spec.log_keep) {
            self.log(&format!("cannot rotate the log: {error}"));
        }
    }
}

/// Copies the log aside and empties it: the server keeps its descriptor, and goes on logging even
/// when its supervisor is killed. A line written between the two steps is lost.
pub(crate) fn rotate(log: &Path, bytes_max: u64, keep: u32) -> io::Result<()> {
    match fs::metadata(log) {
        Ok(metadata) if metadata.len() > bytes_max => {}
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    let numbered = |number: u32| PathBuf::from(format!("{}.{number}", log.display()));
    for number in (1..keep).rev() {
        match fs::rename(numbered(number), numbered(number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    if keep > 0 {
        fs::copy(log, numbered(1))?;
    }
    fs::OpenOptions::new().write(true).open(log)?.set_len(0)
}

fn lock(spec: &DaemonSpec) -> Result<fs::File, Failure> {
    let path = pid_file::lock_file(spec);
    let file = fs::OpenOptions::new().create(true).append(true).open(&path).at("open", &path)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            Err(Failure::new("supervise", &spec.name, Kind::Busy, "another supervisor keeps it already"))
        }
        Err(errno) => Err(errno).at("lock", &path),
    }
}

/// Each client and each peer is a descriptor: the soft limit of 1024 is raised to what is allowed.
fn raise_open_files() {
    let limits = rustix::process::getrlimit(Resource::Nofile);
    // Not raised is no reason not to serve.
    let _ = rustix::process::setrlimit(
        Resource::Nofile,
        Rlimit { current: limits.maximum, maximum: limits.maximum },
    );
}

fn exit_of(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Status(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Unknown,
    }
}

async fn either(one: &mut Stream, other: &mut Stream) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}

/// A server that ran this long was fine: the next crash starts with the short delay again.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);
/// How often the log's size is looked at.
const LOG_LOOK: Duration = Duration::from_secs(5);
/// How often an adopted server (not our child) is looked at.
const ADOPTED_LOOK: Duration = Duration::from_millis(200);
