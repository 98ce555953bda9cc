//! A server without systemd: our supervisor, started here as a process of its own session, and
//! found again through its pid file. What the supervisor itself does is in `supervise`.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::Instant;

use super::description;
use super::pid_file::{Exit, Status, lock_file};
use super::records::{Active, DaemonSpec, ServiceReport, ServiceState, Verb};
use crate::operator::host::failure::{At, Failure, Kind};
use crate::operator::host::files::{dirs, durable, paths};
use crate::operator::host::machine::process::Identity;

pub(crate) fn install(spec_file: &Path, daemon: &DaemonSpec) -> Result<ServiceReport, Failure> {
    for path in [&daemon.exec, &daemon.pid_file, &daemon.log_file] {
        paths::absolute(path)?;
    }
    let put = description::write(spec_file, daemon)?;
    let done = if put.changed { vec![format!("wrote {}", spec_file.display())] } else { Vec::new() };
    Ok(ServiceReport { changed: put.changed, done, state: state(spec_file, Some(daemon)) })
}

pub(crate) async fn call(
    spec_file: &Path,
    verb: Verb,
    supervisor: &[OsString],
    deadline: Instant,
) -> Result<ServiceReport, Failure> {
    let spec = match description::read(spec_file) {
        Ok(spec) => Some(spec),
        Err(failure) if failure.kind == Kind::NotFound => None,
        Err(failure) => return Err(failure),
    };
    let mut done = Vec::new();
    match (verb, &spec) {
        (Verb::State, _) | (Verb::Enable | Verb::Disable | Verb::Stop | Verb::Remove, None) => {}
        // There is nothing to tell at boot; whoever asks what may be started here reads it.
        (Verb::Enable | Verb::Disable, Some(spec)) => {
            let disable = verb == Verb::Disable;
            if description::mark(spec_file, disable)?.changed {
                done.push(format!("{} {}", if disable { "disabled" } else { "enabled" }, spec.name));
            }
        }
        (Verb::Start | Verb::Restart, None) => {
            return Err(Failure::new(
                "start the daemon of",
                spec_file.display(),
                Kind::NotFound,
                "not installed",
            ));
        }
        (Verb::Start, Some(spec)) => start(spec, spec_file, supervisor, deadline, &mut done).await?,
        (Verb::Restart, Some(spec)) => {
            stop(spec, deadline, &mut done).await?;
            start(spec, spec_file, supervisor, deadline, &mut done).await?;
        }
        (Verb::Stop, Some(spec)) => stop(spec, deadline, &mut done).await?,
        (Verb::Remove, Some(spec)) => {
            stop(spec, deadline, &mut done).await?;
            fs::remove_file(spec_file).at("remove", spec_file)?;
            durable::sync_dir(paths::parent(spec_file)?)?;
            done.push(format!("removed {}", spec_file.display()));
            // Only a lock's name: nothing is lost if it stays.
            let _ = fs::remove_file(lock_file(spec));
            return Ok(ServiceReport { changed: true, done, state: state(spec_file, None) });
        }
    }
    Ok(ServiceReport { changed: !done.is_empty(), done, state: state(spec_file, spec.as_ref()) })
}

async fn start(
    spec: &DaemonSpec,
    spec_file: &Path,
    supervisor: &[OsString],
    deadline: Instant,
    done: &mut Vec<String>,
) -> Result<(), Failure> {
    if let Some(status) = Status::read(&spec.pid_file).filter(|status| status.supervisor.alive()) {
        if status.server.is_some_and(|server| server.alive()) {
            return Ok(());
        }
        // It waits before the next attempt: whoever asks to start means now.
        stop(spec, deadline, done).await?;
    }
    let (program, args) = supervisor
        .split_first()
        .ok_or_else(|| Failure::invalid("start", &spec.name, "no program to supervise it with"))?;
    for file in [&spec.pid_file, &spec.log_file] {
        dirs::create_missing(paths::parent(file)?)?;
    }
    let log =
        fs::OpenOptions::new().create(true).append(true).open(&spec.log_file).at("open", &spec.log_file)?;
    let errors = log.try_clone().at("open", &spec.log_file)?;
    // Its own session, so that it outlives ours; the supervisor calls setsid itself, since to call
    // it here, between fork and exec, would need `unsafe`.
    let mut child = tokio::process::Command::new(program)
        .args(args)
        .arg(spec_file)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .kill_on_drop(false)
        .spawn()
        .at("start", Path::new(program))?;
    let pid = child.id().map(u32::cast_signed);
    let patience = deadline.min(Instant::now() + START_PATIENCE);
    loop {
        // Looked at before the file: what it wrote before it ended is seen.
        let ended = child.try_wait().at("watch", Path::new(program))?;
        let status = Status::read(&spec.pid_file).filter(|status| Some(status.supervisor.pid) == pid);
        if status.is_some_and(|status| status.server.is_some() || status.last_exit.is_some()) {
            done.push(format!("started {}", spec.name));
            return Ok(());
        }
        let hint = format!("the end of {} has the reason", spec.log_file.display());
        if let Some(ended) = ended {
            let why = format!("its supervisor ended at once ({ended})");
            return Err(Failure::new("start", &spec.name, Kind::CommandFailed, why).hint(hint));
        }
        if Instant::now() > patience {
            let why = "its supervisor did not report in time";
            return Err(Failure::new("start", &spec.name, Kind::Timeout, why).hint(hint));
        }
        tokio::time::sleep(POLL).await;
    }
}

/// TERM to the supervisor, which passes it on and waits; KILL to both when the time is over.
async fn stop(spec: &DaemonSpec, deadline: Instant, done: &mut Vec<String>) -> Result<(), Failure> {
    let Some(status) = Status::read(&spec.pid_file) else { return Ok(()) };
    let denied = |error: std::io::Error| Failure::io("stop", &spec.name, &error);
    let everybody: Vec<&Identity> = std::iter::once(&status.supervisor).chain(&status.server).collect();
    if everybody.iter().any(|one| one.alive()) {
        let polite = Duration::from_millis(spec.stop_timeout_ms) + STOP_MARGIN;
        let until = (Instant::now() + polite).min(deadline - STOP_MARGIN.min(deadline - Instant::now()));
        // A server whose supervisor was killed gets it directly.
        if !status.supervisor.signal(Signal::TERM).map_err(denied)? {
            signal(status.server.as_ref(), Signal::TERM).map_err(denied)?;
        }
        if !gone(&everybody, until).await {
            // The supervisor first: it would start another server. It may have done so already.
            signal(Some(&status.supervisor), Signal::KILL).map_err(denied)?;
            signal(status.server.as_ref(), Signal::KILL).map_err(denied)?;
            let newest = Status::read(&spec.pid_file).and_then(|status| status.server);
            signal(newest.as_ref(), Signal::KILL).map_err(denied)?;
            if !gone(&everybody, deadline).await {
                let why = "it is still there after KILL: its disk or network file system hangs";
                return Err(Failure::new("stop", &spec.name, Kind::Timeout, why));
            }
            done.push(format!("killed {}: it did not stop in time", spec.name));
        } else {
            done.push(format!("stopped {}", spec.name));
        }
    }
    match fs::remove_file(&spec.pid_file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::io("remove", spec.pid_file.display(), &error))
        }
        _ => Ok(()),
    }
}

fn signal(to: Option<&Identity>, signal: Signal) -> std::io::Result<bool> {
    to.map_or(Ok(false), |identity| identity.signal(signal))
}

async fn gone(all: &[&Identity], until: Instant) -> bool {
    loop {
        if !all.iter().any(|one| one.alive()) {
            return true;
        }
        if Instant::now() >= until {
            return false;
        }
        tokio::time::sleep(POLL).await;
    }
}

fn state(spec_file: &Path, spec: Option<&DaemonSpec>) -> ServiceState {
    let mut state = ServiceState {
        sub: "stopped".into(),
        installed: spec.is_some(),
        // What could be read a moment ago and cannot now is nobody's to start.
        enabled: spec.is_some() && description::is_disabled(spec_file).is_ok_and(|disabled| !disabled),
        ..ServiceState::default()
    };
    let mut notes = vec!["no init system keeps it: after a restart of the host run `zkops start`"];
    if let Some(status) = spec.and_then(|spec| Status::read(&spec.pid_file)) {
        let server = status.server.as_ref().filter(|server| server.alive());
        let supervised = status.supervisor.alive();
        (state.active, state.sub) = match (server, supervised) {
            (Some(_), true) => (Active::Running, "running".into()),
            (Some(_), false) => {
                notes.push(
                    "its supervisor was killed: nobody restarts it after a crash; `zkops start` adopts it",
                );
                (Active::Running, "running unsupervised".into())
            }
            (None, true) => (Active::Failed, "waiting to restart".into()),
            (None, false) if status.last_exit == Some(Exit::Status(0)) => (Active::Stopped, "exited".into()),
            (None, false) => (Active::Failed, "dead".into()),
        };
        state.main_pid = server.map(|server| server.pid);
        state.since_ms = Some(status.since_ms);
        state.restarts = status.restarts;
        state.result = match &status.last_exit {
            None | Some(Exit::Status(0)) => "success".into(),
            Some(Exit::Status(_)) => "exit-code".into(),
            Some(Exit::Signal(_)) => "signal".into(),
            Some(Exit::NotStarted(why)) => format!("not started: {why}"),
            Some(Exit::Unknown) => "unknown".into(),
        };
        match status.last_exit {
            Some(Exit::Status(code)) => state.exit_status = Some(code),
            Some(Exit::Signal(signal)) => state.exit_signal = Some(signal),
            _ => {}
        }
    }
    state.note = Some(notes.join("; "));
    state
}

/// How often a condition is looked at while waiting for it.
const POLL: Duration = Duration::from_millis(20);
/// From its start until the supervisor has written its pid file.
const START_PATIENCE: Duration = Duration::from_secs(10);
/// For the supervisor to end after its server has.
const STOP_MARGIN: Duration = Duration::from_secs(3);
