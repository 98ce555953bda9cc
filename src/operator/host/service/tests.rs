//! Servers that stay up: a shell script in the part of the server, kept by the real supervisor
//! in a process of its own; and systemd's answers as text.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::io::duplex;

use super::pid_file::{Exit, Status};
use super::records::{
    Active, DaemonSpec, Definition, InstallService, LogSource, Manager, Restart, ServerKind, Service,
    ServiceCall, ServiceReport, Verb,
};
use super::supervise::{self, supervise};
use super::{servers, systemd};
use crate::operator::host::agent::answers::Settings;
use crate::operator::host::agent::link::Link;
use crate::operator::host::agent::serve::serve_with;
use crate::operator::host::agent::tests::lock;
use crate::operator::host::failure::Kind;
use crate::operator::host::machine::process::Identity;

/// The supervisor is a process of its own. In a test it is this very binary, told to run this one
/// test with the description's path as a further argument; without one there is nothing to run.
#[tokio::test]
async fn acts_as_supervisor() {
    match std::env::args().find(|arg| arg.ends_with(SPEC_NAME)) {
        Some(spec) => supervise(Path::new(&spec)).await.unwrap(),
        None => {
            let missing = supervise(Path::new("/nowhere/spec.json")).await;
            assert_eq!(missing.unwrap_err().kind, Kind::NotFound);
        }
    }
}

/// One server in a directory of its own; whatever is left of it is killed at the end.
struct Fixture {
    dir: tempfile::TempDir,
    link: Link,
    spec: DaemonSpec,
}

impl Fixture {
    /// `script` is the server, as a shell sees it.
    fn new(script: &str, change: impl FnOnce(&mut DaemonSpec)) -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let args = vec!["-c".to_string(), script.to_string()];
        let mut spec = DaemonSpec::new("server", "/bin/sh", args, dir.path());
        spec.env = [("DIR".to_string(), dir.path().display().to_string())].into();
        spec.restart_delay_ms = 10;
        spec.restart_delay_max_ms = 50;
        change(&mut spec);
        let (ours, theirs) = duplex(64 << 10);
        let exe = std::env::current_exe().unwrap();
        let settings = Settings {
            supervisor: vec![exe.into_os_string(), SUPERVISOR.into(), "--exact".into(), "--nocapture".into()],
            state_dir: dir.path().to_path_buf(),
        };
        let (read, write) = tokio::io::split(theirs);
        tokio::spawn(serve_with(read, write, settings));
        let (read, write) = tokio::io::split(ours);
        let link = Link::new(read, write);
        link.hold(Some(lock()));
        Fixture { link, spec, dir }
    }

    fn spec_file(&self) -> PathBuf {
        self.dir.path().join(SPEC_NAME)
    }

    fn service(&self) -> Service {
        Service { name: "server".into(), manager: Manager::Daemon { spec: self.spec_file(), older: None } }
    }

    async fn install(&self) -> ServiceReport {
        let definition = Definition::Daemon(Box::new(self.spec.clone()));
        *self.link.install_service(InstallService { service: self.service(), definition }).await.unwrap()
    }

    async fn call(&self, verb: Verb) -> ServiceReport {
        *self.link.service(ServiceCall { service: self.service(), verb }).await.unwrap()
    }

    fn status(&self) -> Option<Status> {
        Status::read(&self.spec.pid_file)
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.spec.log_file).unwrap_or_default()
    }

    /// Waits until the state is as wanted; says what it was instead.
    async fn until(&self, what: &str, wanted: impl Fn(&ServiceReport) -> bool) -> ServiceReport {
        let begun = Instant::now();
        loop {
            let report = self.call(Verb::State).await;
            if wanted(&report) {
                return report;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "not {what}: {report:?}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if let Some(status) = self.status() {
            for one in std::iter::once(&status.supervisor).chain(&status.server) {
                let _ = one.signal(rustix::process::Signal::KILL);
            }
        }
    }
}

/// Its member moved away: whoever asks what may be started here is told, until it is enabled again.
#[tokio::test]
async fn a_daemon_that_was_disabled_says_so_until_it_is_enabled() {
    let fixture = Fixture::new(STEADY, |_| {});
    assert!(!fixture.call(Verb::Disable).await.state.enabled, "there is none");
    assert!(fixture.install().await.state.enabled);
    assert!(!fixture.call(Verb::Enable).await.changed);
    let disabled = fixture.call(Verb::Disable).await;
    assert!(disabled.changed && !disabled.state.enabled && disabled.state.installed, "{disabled:?}");
    assert!(!fixture.call(Verb::Disable).await.changed, "the same again is no change");
    assert!(!fixture.install().await.state.enabled, "a definition is no leave to start");
    assert!(!fixture.call(Verb::State).await.state.enabled);
    let enabled = fixture.call(Verb::Enable).await;
    assert!(enabled.changed && enabled.state.enabled, "{enabled:?}");
    assert!(fixture.call(Verb::State).await.state.enabled);
}

#[tokio::test]
async fn a_daemon_is_installed_started_and_stopped_once_each() {
    let fixture = Fixture::new(STEADY, |_| {});
    assert!(fixture.install().await.changed);
    assert!(!fixture.install().await.changed, "the same again is no change");
    let started = fixture.call(Verb::Start).await;
    assert!(started.changed);
    assert_eq!(started.state.active, Active::Running, "{started:?}");
    let pid = started.state.main_pid.unwrap();
    assert!(!started.state.survives_reboot && started.state.note.is_some(), "and that is said");
    let again = fixture.call(Verb::Start).await;
    assert_eq!((again.changed, again.state.main_pid), (false, Some(pid)));
    let supervisor = fixture.status().unwrap().supervisor;
    assert_eq!(
        rustix::process::getsid(rustix::process::Pid::from_raw(pid)).unwrap().as_raw_nonzero().get(),
        supervisor.pid
    );
    let stopped = fixture.call(Verb::Stop).await;
    assert!(stopped.changed);
    assert_eq!((stopped.state.active, stopped.state.main_pid), (Active::Stopped, None));
    assert!(!supervisor.alive() && Identity::of(pid).is_none());
    assert!(fixture.log().contains("told to go"), "TERM came through: {}", fixture.log());
    assert!(!fixture.spec.pid_file.exists());
    assert!(!fixture.call(Verb::Stop).await.changed);
}

#[tokio::test]
async fn a_crashed_server_is_started_again() {
    let fixture = Fixture::new(STEADY, |_| {});
    fixture.install().await;
    let first = fixture.call(Verb::Start).await.state.main_pid.unwrap();
    assert!(Identity::of(first).unwrap().signal(rustix::process::Signal::KILL).unwrap());
    let back =
        fixture.until("back", |r| r.state.active == Active::Running && r.state.main_pid != Some(first)).await;
    assert_eq!((back.state.restarts, back.state.exit_signal), (1, Some(9)));
    assert_eq!(back.state.result, "signal");
    fixture.call(Verb::Stop).await;
}

#[tokio::test]
async fn one_that_keeps_crashing_is_seen_as_failed_with_its_status() {
    let fixture = Fixture::new("echo no good; exit 7", |spec| {
        spec.restart_delay_ms = 60_000;
        spec.restart_delay_max_ms = 60_000;
    });
    fixture.install().await;
    fixture.call(Verb::Start).await;
    // Dead already, and its supervisor has just not said so yet: that is no answer.
    let failed = fixture.until("failed", |report| report.state.exit_status.is_some()).await;
    assert_eq!((failed.state.exit_status, failed.state.result.as_str()), (Some(7), "exit-code"));
    assert_eq!(failed.state.active, Active::Failed);
    let source = LogSource::File { path: fixture.spec.log_file.clone() };
    let tail = fixture.link.log_tail(source, 50).await.unwrap();
    assert!(tail.lines.iter().any(|line| line == "no good"), "{tail:?}");
    // Start now, and do not wait for the delay: it is tried at once.
    assert!(fixture.call(Verb::Start).await.changed);
    assert!(fixture.call(Verb::Stop).await.changed, "even while it waits");
}

#[tokio::test]
async fn a_wished_exit_is_respected() {
    let fixture = Fixture::new("exit 0", |_| {});
    fixture.install().await;
    fixture.call(Verb::Start).await;
    let ended = fixture.until("ended", |report| report.state.sub == "exited").await;
    assert_eq!((ended.state.active, ended.state.exit_status), (Active::Stopped, Some(0)));
    assert!(!fixture.status().unwrap().supervisor.alive());
    let fixture = Fixture::new("exit 0", |spec| spec.restart = Restart::Always);
    fixture.install().await;
    fixture.call(Verb::Start).await;
    fixture.until("restarted", |report| report.state.restarts > 1).await;
    fixture.call(Verb::Stop).await;
}

#[tokio::test]
async fn a_program_that_cannot_be_started_is_said() {
    let fixture = Fixture::new("", |spec| spec.exec = "/nowhere/zkops".into());
    fixture.install().await;
    let report = fixture.call(Verb::Start).await;
    assert_eq!(report.state.active, Active::Failed);
    assert!(report.state.result.contains("/nowhere/zkops"), "{report:?}");
    fixture.call(Verb::Stop).await;
}

#[tokio::test]
async fn one_that_ignores_term_is_killed_in_time() {
    let fixture = Fixture::new("trap '' TERM; echo up; while :; do sleep 0.05; done", |spec| {
        spec.stop_timeout_ms = 100
    });
    fixture.install().await;
    let pid = fixture.call(Verb::Start).await.state.main_pid.unwrap();
    let stopped = fixture.call(Verb::Stop).await;
    assert!(stopped.changed && Identity::of(pid).is_none(), "{stopped:?}");
}

#[tokio::test]
async fn a_server_whose_supervisor_was_killed_is_adopted_not_restarted() {
    let fixture = Fixture::new(STEADY, |_| {});
    fixture.install().await;
    let pid = fixture.call(Verb::Start).await.state.main_pid.unwrap();
    let supervisor = fixture.status().unwrap().supervisor;
    supervisor.signal(rustix::process::Signal::KILL).unwrap();
    let alone = fixture.until("alone", |report| report.state.sub == "running unsupervised").await;
    assert_eq!((alone.state.active, alone.state.main_pid), (Active::Running, Some(pid)));
    let adopted = fixture.call(Verb::Start).await;
    assert_eq!((adopted.changed, adopted.state.main_pid), (true, Some(pid)), "{adopted:?}");
    assert_ne!(fixture.status().unwrap().supervisor, supervisor);
    // And it is kept up again.
    Identity::of(pid).unwrap().signal(rustix::process::Signal::KILL).unwrap();
    fixture.until("back", |r| r.state.active == Active::Running && r.state.main_pid != Some(pid)).await;
    fixture.call(Verb::Stop).await;
}

#[tokio::test]
async fn a_recycled_pid_is_never_taken_for_the_server() {
    let fixture = Fixture::new(STEADY, |_| {});
    fixture.install().await;
    // The pid file of an earlier boot: its pids belong to others now, here to this test itself.
    let me = Identity::of(i32::try_from(std::process::id()).unwrap()).unwrap();
    let earlier = Identity { start_ticks: me.start_ticks + 1, ..me.clone() };
    let another_boot = Identity { boot_id: "another".into(), ..me.clone() };
    for stale in [earlier, another_boot] {
        assert!(me.alive() && !stale.alive());
        assert!(!stale.signal(rustix::process::Signal::TERM).unwrap(), "nobody is signalled");
        let status = Status {
            supervisor: stale.clone(),
            server: Some(stale),
            since_ms: 0,
            restarts: 0,
            last_exit: None,
        };
        fs::write(&fixture.spec.pid_file, status.render().unwrap()).unwrap();
        assert_eq!(fixture.call(Verb::State).await.state.active, Active::Failed, "it was there and is not");
        assert!(!fixture.call(Verb::Stop).await.changed, "nothing to stop");
        assert!(me.alive());
    }
    let text = "4242\nnot ours\n";
    fs::write(&fixture.spec.pid_file, text).unwrap();
    assert_eq!(fixture.call(Verb::State).await.state.active, Active::Stopped);
    assert!(fixture.call(Verb::Start).await.changed);
    fixture.call(Verb::Stop).await;
}

#[tokio::test]
async fn restart_takes_a_new_process_and_remove_forgets_it() {
    let fixture = Fixture::new(STEADY, |_| {});
    fixture.install().await;
    let first = fixture.call(Verb::Start).await.state.main_pid;
    let second = fixture.call(Verb::Restart).await;
    assert!(second.changed && second.state.main_pid.is_some() && second.state.main_pid != first);
    let removed = fixture.call(Verb::Remove).await;
    assert!(removed.changed && !removed.state.installed);
    assert!(!fixture.spec_file().exists());
    assert!(!fixture.call(Verb::Remove).await.changed);
    let gone = fixture.link.service(ServiceCall { service: fixture.service(), verb: Verb::Start }).await;
    assert_eq!(gone.unwrap_err().kind(), Some(Kind::NotFound));
}

#[tokio::test]
async fn a_second_supervisor_of_the_same_server_gives_way() {
    let fixture = Fixture::new(STEADY, |_| {});
    fixture.install().await;
    fixture.call(Verb::Start).await;
    let exe = std::env::current_exe().unwrap();
    let second = tokio::process::Command::new(exe)
        .args([SUPERVISOR, "--exact"])
        .arg(fixture.spec_file())
        .output()
        .await
        .unwrap();
    assert!(!second.status.success());
    assert_eq!(fixture.call(Verb::State).await.state.active, Active::Running);
    fixture.call(Verb::Stop).await;
}

#[tokio::test]
async fn names_and_definitions_are_checked() {
    let fixture = Fixture::new(STEADY, |_| {});
    for name in ["", "-x", "../x", "a b", "a/b", "a;b"] {
        let service = Service { name: name.into(), manager: Manager::Systemd };
        let call = fixture.link.service(ServiceCall { service, verb: Verb::State }).await;
        assert_eq!(call.unwrap_err().kind(), Some(Kind::Invalid), "{name:?}");
    }
    let mixed = InstallService {
        service: fixture.service(),
        definition: Definition::Unit("# managed by zkops".into()),
    };
    assert_eq!(fixture.link.install_service(mixed).await.unwrap_err().kind(), Some(Kind::Invalid));
    let service = Service { name: "zk".into(), manager: Manager::Systemd };
    let anonymous = InstallService { service, definition: Definition::Unit("[Service]\n".into()) };
    assert_eq!(fixture.link.install_service(anonymous).await.unwrap_err().kind(), Some(Kind::Invalid));
}

#[test]
fn the_log_is_bounded_and_the_newest_old_one_is_first() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("server.log");
    supervise::rotate(&log, 10, 3).unwrap();
    for round in 1..=5 {
        fs::write(&log, format!("round {round}, longer than ten bytes")).unwrap();
        supervise::rotate(&log, 10, 3).unwrap();
        assert_eq!(fs::metadata(&log).unwrap().len(), 0);
    }
    let read = |number: u32| fs::read_to_string(dir.path().join(format!("server.log.{number}"))).unwrap();
    assert!(
        read(1).starts_with("round 5") && read(2).starts_with("round 4") && read(3).starts_with("round 3")
    );
    assert!(!dir.path().join("server.log.4").exists());
    fs::write(&log, "short").unwrap();
    supervise::rotate(&log, 10, 3).unwrap();
    assert_eq!(fs::read_to_string(&log).unwrap(), "short");
}

#[test]
fn a_pid_file_is_a_pid_and_then_json() {
    let identity = Identity { pid: 77, start_ticks: 5, boot_id: "b".into() };
    let status = Status {
        supervisor: identity,
        server: None,
        since_ms: 1,
        restarts: 2,
        last_exit: Some(Exit::Signal(9)),
    };
    let text = status.render().unwrap();
    assert!(text.starts_with("77\n{"));
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("pid"), text).unwrap();
    assert_eq!(Status::read(&dir.path().join("pid")), Some(status));
}

#[test]
fn systemd_states() {
    let running = "MainPID=812\nNRestarts=2\nExecMainCode=0\nExecMainStatus=0\nLoadState=loaded\nActiveState=active\n\
                   SubState=running\nResult=success\nUnitFileState=enabled\nNeedDaemonReload=no\n\
                   StateChangeTimestampMonotonic=5000000\n";
    let shown = systemd::parse(running, 1_000_000, 65_000);
    let state = shown.state;
    assert_eq!((state.active, state.main_pid, state.restarts), (Active::Running, Some(812), 2));
    assert!(state.installed && state.enabled && state.survives_reboot && !shown.needs_reload);
    assert_eq!((state.since_ms, state.exit_status), (Some(1_000_000 - 60_000), None));
    let check = |change: &[(&str, &str)], active: Active| {
        let text = change.iter().fold(running.to_string(), |text, (from, to)| text.replace(from, to));
        let state = systemd::parse(&text, 0, 0).state;
        assert_eq!(state.active, active, "{change:?}");
        state
    };
    let crashing = [
        ("=active", "=activating"),
        ("SubState=running", "SubState=auto-restart"),
        ("Code=0", "Code=1"),
        ("MainStatus=0", "MainStatus=7"),
        ("Result=success", "Result=exit-code"),
    ];
    let state = check(&crashing, Active::Failed);
    assert_eq!((state.exit_status, state.result.as_str()), (Some(7), "exit-code"));
    let killed = check(
        &[("=active", "=failed"), ("Code=0", "Code=2"), ("MainStatus=0", "MainStatus=9")],
        Active::Failed,
    );
    assert_eq!((killed.exit_status, killed.exit_signal), (None, Some(9)));
    check(&[("=active", "=activating"), ("SubState=running", "SubState=start")], Active::Starting);
    check(&[("=active", "=deactivating")], Active::Stopping);
    let absent =
        check(&[("=active", "=inactive"), ("=loaded", "=not-found"), ("=enabled", "=")], Active::Stopped);
    assert!(!absent.installed && !absent.enabled);
    assert!(systemd::parse(&running.replace("Reload=no", "Reload=yes"), 0, 0).needs_reload);
}

#[test]
fn servers_are_told_by_their_command_lines() {
    let classify = |line: &str| {
        let words: Vec<String> = line.split(' ').map(str::to_string).collect();
        servers::classify(&words).map(|(kind, config)| (kind, config.map(str::to_string)))
    };
    let zkops = |config: &str| Some((ServerKind::Zkops, Some(config.to_string())));
    assert_eq!(classify("/export/server/zkops server /export/conf/zoo.cfg"), zkops("/export/conf/zoo.cfg"));
    assert_eq!(classify("zkops -v server zoo.cfg -Dzookeeper.x=1"), zkops("zoo.cfg"));
    assert_eq!(classify("zkops server"), Some((ServerKind::Zkops, None)));
    assert_eq!(classify("zkops deploy server.yml"), None);
    assert_eq!(classify("zkops host --supervise x"), None);
    assert_eq!(classify("vim zkops server zoo.cfg"), None);
    let java = "java -Dx=y -cp a.jar:b.jar org.apache.zookeeper.server.quorum.QuorumPeerMain /etc/zoo.cfg";
    assert_eq!(classify(java), Some((ServerKind::Java, Some("/etc/zoo.cfg".into()))));
    assert_eq!(classify(""), None);
    let dirs = servers::data_dirs("tickTime=2000\ndataDir=/a\n#dataDir=/b\n dataLogDir = /c \n");
    assert_eq!(dirs, [PathBuf::from("/a"), "/c".into()]);
}

/// Found among the arguments when this test binary is started as a supervisor.
const SPEC_NAME: &str = "server.daemon.json";
/// The test below that is a supervisor, by the name that this test binary knows it by.
const SUPERVISOR: &str = "operator::host::service::tests::acts_as_supervisor";
/// Stays until it is told to go, and says so.
const STEADY: &str = "trap 'echo told to go; exit 0' TERM; echo up; while :; do sleep 0.05; done";
