//! The walkthrough's shell transcript, typed against three hosts: old forms, old outputs.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use crate::lab::Lab;
use crate::run::ZKOPS;

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

/// The README's first ten minutes, typed on three bare hosts as they stand there: every command ends as it says, and
/// says what is shown, but for numbers.
#[test]
fn the_readmes_commands_do_what_it_shows() {
    let lab = Lab::up(3);
    let ssh = lab.home().join(".ssh");
    std::fs::create_dir(&ssh).expect("the home is new");
    for (from, to) in [("id", "id_ed25519"), ("id.pub", "id_ed25519.pub"), ("known_hosts", "known_hosts")] {
        std::fs::copy(lab.dir().join(from), ssh.join(to)).expect("the lab has keys");
    }
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(readme).expect("it is there");
    let typed = typed(&readme);
    assert!(typed.len() >= 10, "{typed:?}");
    let program = Path::new(ZKOPS).parent().expect("it is in a directory").display().to_string();
    for Typed { command, exit, shown } in typed {
        // What the README tells of: a host that is down, until all of it is to end.
        if command.contains("--without node-3") {
            lab.lab(&["kill", "node-3"]).ok();
            lab.node_that_is("leader");
        }
        if command.contains("zkops destroy") {
            lab.lab(&["start", "node-3"]).ok();
        }
        let line = format!("cd '{}'; PATH='{program}':$PATH; {command}", lab.home().display());
        let ended = lab.ctl(&["sh", "-c", &line]).expect(exit);
        let said: BTreeSet<String> = ended.all().lines().map(without_numbers).collect();
        for line in &shown {
            assert!(said.contains(&without_numbers(line)), "README shows {line:?}: {ended}");
        }
    }
}

/// A command of the README, the exit code that its comment tells, and the lines shown below it.
#[derive(Debug)]
struct Typed {
    command: String,
    exit: i32,
    shown: Vec<String>,
}

/// Everything behind a `$` in the section of the first ten minutes.
fn typed(readme: &str) -> Vec<Typed> {
    let section = readme.lines().skip_while(|line| *line != "## Ten minutes").skip(1);
    let mut typed: Vec<Typed> = Vec::new();
    let mut fenced = false;
    for line in section.take_while(|line| !line.starts_with("## ")) {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| fenced) {
            let (command, exit) = command.split_once("   # exit ").unwrap_or((command, "0"));
            let exit = exit.parse().expect("an exit code");
            typed.push(Typed { command: command.to_owned(), exit, shown: Vec::new() });
        } else if fenced && !line.is_empty() {
            typed.last_mut().expect("output stands below a command").shown.push(line.to_owned());
        }
    }
    typed
}

/// A line as it is on any day, on any machine, whoever leads: words, and `#` for what differs.
fn without_numbers(line: &str) -> String {
    let word = |word: &str| match word {
        // Who leads is the ensemble's business; a leader has no lag and knows no follower's row.
        "leader" | "follower" | "-" => "#".to_owned(),
        "Mon" | "Tue" | "Wed" | "Thu" | "Fri" | "Sat" | "Sun" => "#".to_owned(),
        "Jan" | "Feb" | "Mar" | "Apr" | "May" | "Jun" | "Jul" | "Aug" | "Sep" | "Oct" | "Nov" | "Dec" => {
            "#".to_owned()
        }
        path if path.ends_with("/.ssh/id_ed25519") => "#".to_owned(),
        // `1m 2s` is as good a time as `12s`.
        other
            if other.chars().all(|c| c.is_ascii_hexdigit() || "x:.sm".contains(c))
                && other.contains(|c: char| c.is_ascii_digit()) =>
        {
            "#".to_owned()
        }
        other => {
            let mut shown = String::new();
            for c in other.chars() {
                let digit = c.is_ascii_digit();
                if !(digit && shown.ends_with('#')) {
                    shown.push(if digit { '#' } else { c });
                }
            }
            shown
        }
    };
    let words: Vec<String> = line.split_whitespace().map(word).collect();
    words.join(" ")
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
