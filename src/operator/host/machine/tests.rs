//! This very machine, and the texts that describe any.

use super::facts;
use super::process::Stat;
use super::records::Process;
use crate::operator::host::agent::tests::host;
use crate::operator::host::files::look;

#[tokio::test]
async fn facts_of_this_very_machine() {
    let dir = tempfile::tempdir().unwrap();
    let facts = host(dir.path()).facts().await.unwrap();
    assert_eq!(facts.arch, std::env::consts::ARCH);
    assert!(facts.memory_total_bytes > facts.memory_available_bytes && facts.memory_available_bytes > 0);
    assert!(facts.cpus > 0 && facts.uptime_ms > 0 && !facts.hostname.is_empty() && !facts.os.id.is_empty());
    assert!(facts.nofile_soft.is_some());
}

#[test]
fn a_process_started_between_two_files_by_the_clock_of_both() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let written_ms = |name: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, "").expect("the directory is ours");
        let time = path.metadata().and_then(|file| file.modified()).expect("the file has a time");
        time.duration_since(std::time::UNIX_EPOCH).expect("it is after 1970").as_millis() as i64
    };
    let before = written_ms("before");
    let mut child =
        std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().expect("cat is there");
    let after = written_ms("after");
    let seen = Process::read(child.id() as i32).expect("it waits for input");
    drop(child.stdin.take());
    child.wait().expect("our own child can be waited for");
    // Ticks and the uptime come in hundredths of a second.
    let started = seen.started_ms.expect("this host says it");
    assert!((before - 20..=after + 20).contains(&started), "{before} {started} {after}");
}

#[tokio::test]
async fn the_running_binary_is_told_with_its_hash() {
    let dir = tempfile::tempdir().unwrap();
    let binary = host(dir.path()).binary().await.unwrap();
    let path = std::env::current_exe().unwrap();
    assert_eq!(binary.path, path);
    assert_eq!((binary.sha256, binary.bytes), look::hash(&path).unwrap());
}

#[test]
fn os_release_and_meminfo() {
    let os = facts::os(
        "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID='12'\nID=debian\nID_LIKE=x\n",
    );
    assert_eq!((os.id.as_str(), os.version.as_str(), os.name.as_str()), ("debian", "12", "Debian GNU/Linux"));
    assert_eq!(facts::os("").id, "");
    let memory = "MemTotal:       24576000 kB\nMemAvailable:   1000 kB\nBad: x kB\n";
    assert_eq!(facts::meminfo(memory, "MemTotal"), 24_576_000 * 1024);
    assert_eq!((facts::meminfo(memory, "Bad"), facts::meminfo(memory, "None")), (0, 0));
}

#[test]
fn a_process_name_may_hold_anything() {
    let tail = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 8 18 9000 20 77 22";
    let stat = Stat::parse(&format!("42 (evil) R 1 (x) {tail}")).unwrap();
    assert_eq!(stat.comm, "evil) R 1 (x");
    assert_eq!((stat.state, stat.threads, stat.start_ticks, stat.rss_pages), ('S', 8, 9000, 77));
    assert!(Stat::parse("").is_none() && Stat::parse("1 (x) S 1").is_none());
}
