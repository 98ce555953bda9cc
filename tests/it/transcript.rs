//! The walkthrough's shell transcript, typed against three hosts: old forms, old outputs.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use crate::lab::Lab;

/// What the shell answers to each line, the stat block's times left out. `""` is no output.
const TRANSCRIPT: [(&str, &[&str]); 17] = [
    ("create /hellozk 123", &["Created /hellozk"]),
    ("ls /", &["[hellozk, zookeeper]"]),
    ("create -e /zktemp 123456", &["Created /zktemp"]),
    ("create -s /a 12abcd", &["Created /a0000000002"]),
    ("ls /", &["[a0000000002, hellozk, zktemp, zookeeper]"]),
    ("create -s /hellozk/a 56789", &["Created /hellozk/a0000000000"]),
    (
        "ls /hellozk/",
        &["Command failed: java.lang.IllegalArgumentException: Path must not end with / character"],
    ),
    ("ls /hellozk/a", &["Node does not exist: /hellozk/a"]),
    ("ls /hellozk", &["[a0000000000]"]),
    (
        "get /",
        &[
            "",
            "cZxid = 0x0",
            "cversion = 2",
            "dataVersion = 0",
            "aclVersion = 0",
            "ephemeralOwner = 0x0",
            "dataLength = 0",
            "numChildren = 4",
        ],
    ),
    ("ls2 /", &["[a0000000002, hellozk, zktemp, zookeeper]", "cZxid = 0x0", "numChildren = 4"]),
    ("get /hellozk", &["123", "cversion = 1", "dataVersion = 0", "dataLength = 3", "numChildren = 1"]),
    ("set /hellozk 123456", &["cversion = 1", "dataVersion = 1", "dataLength = 6", "numChildren = 1"]),
    ("delete /hellozk", &["Node not empty: /hellozk"]),
    ("rmr /hellozk", &[""]),
    ("ls /", &["[a0000000002, zktemp, zookeeper]"]),
    ("create /w 123", &["Created /w"]),
];

#[test]
fn the_walkthroughs_shell_session_gives_the_same_answers() {
    let lab = Lab::up(3);
    let inventory = lab.inventory("");
    lab.zkops(&["deploy", &inventory]).ok();

    // The canary of deploy is gone, so the counters start where the transcript's do.
    let mut typed = String::new();
    for (line, _) in TRANSCRIPT {
        typed += line;
        typed.push('\n');
    }
    let said = lab.cli(3, &typed);
    let mut rest = said.as_str();
    for (line, answers) in TRANSCRIPT {
        for answer in answers.iter().filter(|answer| !answer.is_empty()) {
            let found = rest.lines().position(|said| said == *answer);
            let Some(at) = found else {
                panic!("after `{line}` the shell does not say {answer:?}:\n{rest}\n\nall of it:\n{said}")
            };
            let skipped: usize = rest.lines().take(at + 1).map(|line| line.len() + 1).sum();
            rest = &rest[skipped.min(rest.len())..];
        }
    }

    watch_fires_on_one_client_when_another_writes(&lab);
}

fn watch_fires_on_one_client_when_another_writes(lab: &Lab) {
    let mut watching = lab
        .zkops_command(&["cli", "-server", &format!("{}:2181", Lab::ip(3))])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("zkops is built");
    let mut typing = watching.stdin.take().expect("stdin is piped");
    let stdout = watching.stdout.take().expect("stdout is piped");
    let (said, lines) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = said.send(line);
        }
    });
    let await_line = |wanted: &str| loop {
        match lines.recv_timeout(Duration::from_secs(30)) {
            Ok(line) if line.contains(wanted) => return line,
            Ok(_) => {}
            Err(error) => panic!("the watching shell does not say {wanted:?}: {error}"),
        }
    };
    writeln!(typing, "get /w watch").expect("the shell reads");
    await_line("123");
    lab.cli(1, "set /w abcdefg123456\n");
    let event = await_line("WatchedEvent state:SyncConnected type:NodeDataChanged");
    assert_eq!(event, "WatchedEvent state:SyncConnected type:NodeDataChanged path:/w");
    writeln!(typing, "quit").expect("the shell reads");
    drop(typing);
    watching.wait().expect("our own child can be waited for");
    reader.join().expect("the reader does not panic");
}
