//! This machine as a target: commands, streams, bootstrap and uploads without a server; and
//! the parts that are pure: classification of failures, clocks, deadlines.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::lab::{eventually, soon};
use crate::operator::transport::binary::{LocalBinary, Machine, gzip};
use crate::operator::transport::bootstrap::{
    Bootstrapped, Install, noexec_mount, not_running, wrote_nothing,
};
use crate::operator::transport::clock::{Answer, offset};
use crate::operator::transport::connection::Connection;
use crate::operator::transport::error::{Error, Fault};
use crate::operator::transport::exec::quote;
use crate::operator::transport::patience::HumanTime;
use crate::operator::transport::status::Status;
use crate::operator::transport::target::{Escalation, LocalTarget};

fn here() -> Connection {
    Connection::local(&LocalTarget { name: "node-1".into(), escalation: Escalation::None })
}

/// Names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn fault(error: Error) -> Fault {
    match error {
        Error::Install { fault, .. } => fault,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn commands_run_as_over_ssh() {
    let output = here().exec("cat; echo err >&2; exit 3", "in", soon()).await.unwrap();
    assert_eq!((output.status.clone(), output.stdout_text().as_str()), (Status::Code(3), "in"));
    assert_eq!(output.stderr_text(), "err\n");
    let killed = here().exec("kill -TERM $$", "", soon()).await.unwrap();
    assert_eq!(killed.status, Status::Signal("TERM".into()));
    let unread = here().exec("exit 7", vec![0u8; 1 << 20], soon()).await.unwrap();
    assert_eq!(unread.status, Status::Code(7));
    let big = here().exec("head -c 6000000 /dev/zero", "", soon()).await.unwrap();
    assert!(big.truncated && big.status.success());
}

#[tokio::test]
async fn a_deadline_kills_the_command_and_what_it_started() {
    let dir = tempfile::tempdir().unwrap();
    let pid = dir.path().join("pid");
    let command = format!("sleep 300 & echo $! >{0}.new; mv {0}.new {0}; wait", pid.display());
    let start = Instant::now();
    let connection = here();
    let run = connection.exec(&command, "", start + Duration::from_secs(2));
    let error = timeout_at(soon(), run).await.expect("it ends").unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    let child = fs::read_to_string(pid).unwrap();
    tokio::task::spawn_blocking(move || eventually("the grandchild is gone", || !alive(child.trim())))
        .await
        .unwrap();
}

/// Running; a zombie that nobody reaps is not.
fn alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

#[tokio::test]
async fn what_a_command_leaves_running_on_purpose_lives_on() {
    let output = here().exec("sleep 300 >/dev/null 2>&1 </dev/null & echo $!", "", soon()).await.unwrap();
    let pid = output.stdout_text().trim().to_string();
    assert!(alive(&pid));
    here().exec(&format!("kill {pid}"), "", soon()).await.unwrap().checked("here", "kill").unwrap();
}

#[tokio::test]
async fn a_stream_carries_both_ways_and_dies_when_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let connection = here();
    let mut stream = connection.stream("echo hi >&2; cat; exit 4", soon()).await.unwrap();
    stream.write_all(b"round trip\n").await.unwrap();
    let mut line = [0u8; 11];
    stream.read_exact(&mut line).await.unwrap();
    assert_eq!(&line, b"round trip\n");
    let ending = stream.finish(soon()).await.unwrap();
    assert_eq!((ending.status, ending.stderr.as_str()), (Status::Code(4), "hi\n"));

    let command = format!("echo $$ >{0}/new; mv {0}/new {0}/pid; sleep 300", dir.path().display());
    let stream = connection.stream(&command, soon()).await.unwrap();
    let file = dir.path().join("pid");
    let pid = tokio::task::spawn_blocking(move || {
        eventually("it runs", || file.exists());
        fs::read_to_string(file).unwrap()
    });
    let pid = pid.await.unwrap();
    drop(stream);
    tokio::task::spawn_blocking(move || eventually("it is gone", || !alive(pid.trim()))).await.unwrap();
}

#[test]
fn quoting_survives_a_shell() {
    for word in ["", "plain", "two words", "it's", "$HOME `x` \\", "a\nb", "\"!^", "*?[", "ä"] {
        let line = format!("printf '%s.' {}", quote("node-1", [word, "next"]).unwrap());
        let output = std::process::Command::new("/bin/sh").args(["-c", &line]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{word}.next."));
    }
    assert!(quote("node-1", ["a\0b"]).is_err());
}

/// A copy of `true` as the binary to push.
struct Shelf {
    dir: TempDir,
    binary: LocalBinary,
}

impl Shelf {
    async fn new() -> Shelf {
        Shelf {
            dir: tempfile::tempdir().unwrap(),
            binary: LocalBinary::open(Path::new("/bin/true")).await.unwrap(),
        }
    }

    fn install(&self, path: &str) -> Install {
        Install::at(self.dir.path().join(path).display().to_string())
    }
}

#[tokio::test]
async fn bootstrap_uploads_once_and_then_nothing() {
    let shelf = Shelf::new().await;
    let install = shelf.install("a/b/bin/zkops");
    let seen = Mutex::new(Vec::new());
    let progress = |sent: u64, total: u64| seen.lock().unwrap().push((sent, total));
    let first = here().bootstrap(&shelf.binary, &install, Some(&progress), soon()).await.unwrap();
    let bytes_sent = shelf.binary.compressed().await.unwrap().len() as u64;
    assert_eq!(
        first,
        Bootstrapped { uploaded: true, bytes_sent, path: install.path.clone(), made: first.made.clone() }
    );
    assert_eq!(seen.lock().unwrap().last(), Some(&(bytes_sent, bytes_sent)));
    assert_eq!(fs::read(&install.path).unwrap(), fs::read("/bin/true").unwrap());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(Path::new(&install.path)), 0o755);
    assert_eq!(mode(&shelf.dir.path().join("a/b")), 0o755);
    assert_eq!(names(&shelf.dir.path().join("a/b/bin")), ["zkops"]);

    let second = here().bootstrap(&shelf.binary, &install, None, soon()).await.unwrap();
    assert_eq!((second.uploaded, second.bytes_sent), (false, 0));
    // A lost x bit is put right without an upload.
    fs::set_permissions(&install.path, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(!here().bootstrap(&shelf.binary, &install, None, soon()).await.unwrap().uploaded);
    assert_eq!(mode(Path::new(&install.path)), 0o755);
}

#[tokio::test]
async fn the_installed_binary_is_replaced_while_it_runs() {
    let shelf = Shelf::new().await;
    let install = shelf.install("zkops");
    fs::copy(which::which("sleep").unwrap(), &install.path).unwrap();
    let mut running = std::process::Command::new(&install.path).arg("300").spawn().unwrap();
    let replaced = here().bootstrap(&shelf.binary, &install, None, soon()).await;
    let still = running.try_wait().unwrap().is_none();
    running.kill().unwrap();
    running.wait().unwrap();
    assert!(replaced.unwrap().uploaded && still);
}

#[tokio::test]
async fn a_binary_that_does_not_run_never_replaces_one_that_does() {
    let dir = tempfile::tempdir().unwrap();
    let binary = LocalBinary::open(Path::new("/bin/false")).await.unwrap();
    let path = dir.path().join("new/bin/zkops");
    let install = Install::at(path.display().to_string());
    let error = here().bootstrap(&binary, &install, None, soon()).await.unwrap_err();
    assert_eq!(fault(error), Fault::DoesNotRun { status: Status::Code(1) });
    // Folders made in vain are gone as well.
    assert!(names(dir.path()).is_empty());

    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "old").unwrap();
    here().bootstrap(&binary, &install, None, soon()).await.unwrap_err();
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(names(path.parent().unwrap()), ["zkops"]);
}

#[tokio::test]
async fn another_machine_is_noticed_before_anything_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let mut elf = fs::read("/bin/true").unwrap();
    let foreign = if cfg!(target_arch = "x86_64") { Machine(183) } else { Machine(62) };
    elf[18..20].copy_from_slice(&foreign.0.to_le_bytes());
    fs::write(dir.path().join("foreign"), elf).unwrap();
    let binary = LocalBinary::open(&dir.path().join("foreign")).await.unwrap();
    let install = Install::at(dir.path().join("bin/zkops").display().to_string());
    let error = here().bootstrap(&binary, &install, None, soon()).await.unwrap_err();
    let theirs = std::env::consts::ARCH.into();
    assert_eq!(fault(error), Fault::WrongArchitecture { theirs, ours: foreign.name().into() });
    assert!(!dir.path().join("bin").exists());

    fs::write(dir.path().join("text"), "#!/bin/sh\n").unwrap();
    let error = LocalBinary::open(&dir.path().join("text")).await.unwrap_err().to_string();
    assert!(error.contains("no ELF header"), "{error}");
}

#[tokio::test]
async fn what_killed_operators_left_is_cleaned_up() {
    let shelf = Shelf::new().await;
    let install = shelf.install("zkops");
    let own = std::process::id();
    // A process that is gone, one that is something else now, and a name that is not ours.
    for name in ["zkops.tmp.999999999".to_string(), format!("zkops.tmp.{own}"), "zkops.tmp.keep".to_string()]
    {
        fs::write(shelf.dir.path().join(name), "half").unwrap();
    }
    here().bootstrap(&shelf.binary, &install, None, soon()).await.unwrap();
    assert_eq!(names(shelf.dir.path()), ["zkops", "zkops.tmp.keep"]);
}

#[tokio::test]
async fn an_upload_that_is_still_running_keeps_its_file() {
    let shelf = Shelf::new().await;
    let install = shelf.install("zkops");
    // Fed nothing yet: it waits for its input.
    let script = "trap : TERM; echo > \"$1\".tmp.$$; read -r _; rm \"$1\".tmp.$$";
    let mut other = std::process::Command::new("/bin/sh")
        .args(["-c", script, "zkops-push", &install.path])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let theirs = format!("zkops.tmp.{}", other.id());
    let file = shelf.dir.path().join(&theirs);
    tokio::task::spawn_blocking(move || eventually("the other upload runs", || file.exists())).await.unwrap();
    let done = here().bootstrap(&shelf.binary, &install, None, soon()).await;
    let left = names(shelf.dir.path());
    drop(other.stdin.take());
    other.wait().unwrap();
    done.unwrap();
    assert_eq!(left, ["zkops".to_string(), theirs]);
}

#[tokio::test]
async fn uploads_are_verified_and_get_their_mode() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("etc/it's a file");
    let at = path.display().to_string();
    let content = b"tickTime=2000\n";
    let sha256 = "d6d1e91d6c8d1a4ae2ddb0a3bd6e6f9a";
    let error = here().upload(gzip(content).unwrap(), &at, 0o640, sha256, soon()).await.unwrap_err();
    let Fault::Damaged { expected, found } = fault(error) else { panic!("not Damaged") };
    assert_eq!(&*expected, sha256);
    assert!(names(dir.path()).is_empty());
    here().upload(gzip(content).unwrap(), &at, 0o640, &found, soon()).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), content);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);

    let cut = gzip(&[7u8; 100_000]).unwrap();
    let cut = cut.slice(..cut.len() / 2);
    let error = here().upload(cut, &at, 0o640, &found, soon()).await.unwrap_err();
    assert!(matches!(fault(error), Fault::Damaged { .. }));
    assert_eq!(fs::read(&path).unwrap(), content);
    assert_eq!(names(path.parent().unwrap()).len(), 1);
}

#[tokio::test]
async fn paths_that_are_something_else_are_refused() {
    let shelf = Shelf::new().await;
    let folder = shelf.install("zkops");
    fs::create_dir(&folder.path).unwrap();
    let error = here().bootstrap(&shelf.binary, &folder, None, soon()).await.unwrap_err();
    assert_eq!(fault(error), Fault::WrongKind);
    fs::write(shelf.dir.path().join("file"), "").unwrap();
    let error =
        here().bootstrap(&shelf.binary, &shelf.install("file/bin/zkops"), None, soon()).await.unwrap_err();
    assert_eq!(fault(error), Fault::WrongKind);
    assert_eq!(names(shelf.dir.path()), ["file", "zkops"]);
    for path in ["bin/zkops", "/", "/a/..", ""] {
        let error = here().bootstrap(&shelf.binary, &Install::at(path), None, soon()).await.unwrap_err();
        assert!(matches!(error, Error::Setting { .. }), "{path}: {error}");
    }
}

#[tokio::test]
async fn the_running_program_can_be_pushed() {
    let binary = LocalBinary::current().await.unwrap();
    assert_eq!(binary.machine().name(), std::env::consts::ARCH);
    assert_eq!(binary.path(), std::env::current_exe().unwrap());
    assert_eq!(binary.sha256().len(), 64);
}

#[test]
fn tools_words_become_faults() {
    let check = |stderr: &str| wrote_nothing(stderr);
    assert_eq!(check("gzip: stdout: No space left on device"), Some(Fault::DiskFull));
    assert_eq!(check("mkdir: cannot create directory '/x': Disk quota exceeded"), Some(Fault::DiskFull));
    assert_eq!(check("sh: 1: cannot create /x: Read-only file system"), Some(Fault::ReadOnly));
    assert_eq!(check("mkdir: can't create directory '/x': Permission denied"), Some(Fault::NotWritable));
    assert_eq!(check("mkdir: cannot create directory '/x/y': Not a directory"), Some(Fault::WrongKind));
    assert_eq!(check("gzip: stdin: unexpected end of file"), None);
}

#[test]
fn a_proof_that_fails_is_told_apart() {
    let mounts = "machine=x86_64\nmounts:\n/dev/a / ext4 rw 0 0\ntmpfs /opt tmpfs rw,noexec 0 0\n";
    let check = |path: &str, code, stderr: &str| not_running(path, "aarch64", code, stderr, mounts);
    let noexec = Fault::NoExec { mount: "/opt is mounted noexec".into() };
    assert_eq!(check("/opt/bin/zkops", 126, "sh: 1: /opt/bin/zkops.tmp.1: Permission denied"), noexec);
    // The same words elsewhere: a security module, not the mount.
    let denied = check("/srv/zkops", 126, "sh: 1: /srv/zkops.tmp.1: Permission denied");
    assert_eq!(denied, Fault::DoesNotRun { status: Status::Code(126) });
    let foreign = Fault::WrongArchitecture { theirs: "x86_64".into(), ours: "aarch64".into() };
    assert_eq!(check("/srv/zkops", 126, "cannot execute binary file: Exec format error"), foreign);
    assert_eq!(check("/srv/zkops", 127, "/srv/zkops: 1: \u{7f}ELF: not found"), foreign);
    assert_eq!(check("/srv/zkops", 139, ""), Fault::DoesNotRun { status: Status::Code(139) });
}

#[test]
fn the_longest_and_latest_mount_decides() {
    let table = "a / x rw,noexec 0 0\nb /opt x rw 0 0\nc /opt/data x noexec 0 0\nd /opt/data x rw 0 0\n";
    assert_eq!(noexec_mount("/opt/bin/z", table), None);
    assert_eq!(noexec_mount("/opt/data/z", table), None);
    assert_eq!(noexec_mount("/optical/z", table).as_deref(), Some("/ is mounted noexec"));
    assert_eq!(noexec_mount("/opt/z", ""), None);
}

#[test]
fn machine_names_and_numbers() {
    assert_eq!(Machine::of_uname("x86_64"), Some(Machine(62)));
    assert_eq!(Machine::of_uname("arm64"), Machine::of_uname("aarch64"));
    assert_eq!(Machine::of_uname("vax"), None);
    assert_eq!(Machine(9999).name(), "ELF machine 9999");
    let mut header = [0u8; 20];
    assert_eq!(Machine::of_elf(&header), None);
    header[..4].copy_from_slice(b"\x7fELF");
    (header[5], header[19]) = (2, 22);
    assert_eq!(Machine::of_elf(&header), Some(Machine(22)));
    assert_eq!(Machine::of_elf(b"\x7fELF"), None);
}

#[tokio::test]
async fn this_machines_clock_is_right_within_the_bound() {
    let clock = here().clock_offset(soon()).await.unwrap();
    assert!(clock.bound_ms > 0.0 && clock.bound_ms < 1000.0, "{clock:?}");
    assert!(clock.offset_ms.abs() <= clock.bound_ms, "{clock:?}");
}

#[test]
fn dates_with_and_without_nanoseconds() {
    let at = |line: &str| {
        let asked = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_000);
        let measured = offset(Answer::parse(line)?, asked, Duration::from_millis(10))?;
        Some((measured.offset_ms.round() as i64, measured.bound_ms.round() as i64))
    };
    assert_eq!(at("1700000000005000000"), Some((0, 5)));
    assert_eq!(at("1700000090005000000\r"), Some((90_000, 5)));
    assert_eq!(at("1699999990005000000"), Some((-10_000, 5)));
    for seconds in ["1700000000", "1700000000N", "1700000000%N"] {
        assert_eq!(at(seconds), Some((495, 505)));
    }
    for nonsense in ["", "date: bad", "17000000005x", "99999999999999999999999"] {
        assert_eq!(at(nonsense), None, "{nonsense}");
    }
}

#[tokio::test]
async fn deadlines_stand_still_while_a_human_is_asked() {
    let human = HumanTime::new();
    let step = Duration::from_millis(400);
    let patience = human.patience("node-1", Instant::now() + step);
    let work = async { human.asking(tokio::time::sleep(2 * step)).await };
    patience.bound("asking", work).await.unwrap();
    assert!(patience.left() > Duration::ZERO);
    let error = patience.bound("idling", std::future::pending::<()>()).await.unwrap_err();
    assert!(matches!(&error, Error::Timeout { doing, .. } if doing == "idling"), "{error}");
    // An abandoned question ends the pause as well.
    let _ = tokio::time::timeout(step / 4, human.asking(std::future::pending::<()>())).await;
    let patience = human.patience("node-1", Instant::now() + step / 4);
    patience.bound("idling", std::future::pending::<()>()).await.unwrap_err();
}
