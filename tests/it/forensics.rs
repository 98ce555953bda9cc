//! Who deleted what, asked of the files of servers that run: ours under load, and the reference's, whose own tools read
//! the same. Looking changes nothing and disturbs nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::apache::Kind;
use crate::ensemble::{Ensemble, SOON, Writer, kazoo};
use crate::run::{Ended, ZKOPS, eventually, run};

fn zkops(args: &[&str]) -> Ended {
    run(ZKOPS, args, &[])
}

/// Every document that a run writes.
#[track_caller]
fn documents(args: &[&str]) -> Vec<Value> {
    let ended = zkops(&[args, &["--json"]].concat()).ok();
    ended.stdout.lines().map(|line| serde_json::from_str(line).expect("one document a line")).collect()
}

/// What `tests/kazoo/deletes.py` did: path, cause, session.
#[track_caller]
fn deletes(address: &str, root: &str) -> Vec<(String, String, String)> {
    let output = kazoo("deletes.py").args([address, root]).output().expect("python is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = |line: &str| {
        let mut words = line.split(' ').map(str::to_owned);
        Some((words.next()?, words.next()?, words.next()?))
    };
    text.lines().filter_map(words).collect()
}

/// The logs of a server say of each who it was, once they have it.
fn assert_told(dir: &str, deletes: &[(String, String, String)]) {
    assert_eq!(deletes.len(), 5, "{deletes:?}");
    for (path, how, session) in deletes {
        eventually(&format!("who deleted {path}"), SOON, || {
            let told = documents(&["txnlog", "who", dir, path]);
            let who = told.last().filter(|last| last["event"] == "who").cloned().unwrap_or_default();
            let found = (&who["exists"], &who["deleted"]["how"], &who["deleted"]["session"]);
            match found == (&Value::from(false), &Value::from(how.as_str()), &Value::from(session.as_str())) {
                true => Ok(()),
                false => Err(format!("{who}")),
            }
        });
        // The same by the filters.
        let mut found = documents(&["txnlog", dir, "--path", path, "--op", "delete"]);
        found.retain(|told| told["event"] == "txn");
        assert_eq!(
            found.last().map(|txn| &txn["session"]),
            Some(&Value::from(session.as_str())),
            "{path}: {found:?}"
        );
    }
}

/// Every file below a directory: its content, and when that changed.
fn state(dir: &Path) -> BTreeMap<PathBuf, (std::time::SystemTime, Vec<u8>)> {
    let entries = std::fs::read_dir(dir.join("version-2")).expect("it is there");
    let file = |path: PathBuf| {
        let changed = path.metadata().and_then(|meta| meta.modified()).expect("it is there");
        let content = std::fs::read(&path).expect("it can be read");
        (path, (changed, content))
    };
    entries.map(|entry| file(entry.expect("it can be listed").path())).collect()
}

#[test]
fn who_deleted_a_znode_is_told_by_the_logs_of_servers_at_work() {
    let mut ensemble = Ensemble::new(3, 0, "snapCount=200");
    (1..=3).for_each(|n| ensemble.start(n));
    ensemble.await_serving();
    let mut command = kazoo("writer.py");
    command.arg(ensemble.addresses()).arg("/w");
    let mut writer = Writer::start(command);
    let deletes = deletes(&ensemble.address(1), "/gone");
    for n in 1..=3 {
        let dir = ensemble.data(n).display().to_string();
        assert_told(&dir, &deletes);
        // While they are written to, rolled and purged, nothing looks damaged.
        for _ in 0..5 {
            writer.await_acks(100);
            zkops(&["txnlog", "check", &dir]).ok().says("sound");
            zkops(&["snapshot", "check", &dir]).ok();
            zkops(&["snapshot", &dir, "--path", "/gone"]).ok();
        }
        zkops(&["txnlog", "who", &ensemble.config(n).display().to_string(), "/gone/expired"])
            .ok()
            .says("/gone/expired was deleted")
            .says("which expired")
            .says("opened at server 1");
    }
    println!("under {}", writer.finish());

    // Nobody writes any more; what looks leaves everything as it is.
    (1..=3).for_each(|n| assert!(ensemble.mode(n).is_some(), "server {n} serves"));
    let dir = ensemble.data(2).display().to_string();
    let (mut before, mut looks) = (state(&ensemble.data(2)), 0);
    eventually("the server is idle", SOON, || {
        let now = state(&ensemble.data(2));
        looks = if now == before { looks + 1 } else { 0 };
        before = now;
        if looks == 10 { Ok(()) } else { Err(looks) }
    });
    for args in [
        &["txnlog", &dir][..],
        &["txnlog", "check", &dir],
        &["txnlog", "who", &dir, "/gone/plain"],
        &["snapshot", &dir],
        &["snapshot", "check", &dir],
        &["snapshot", &dir, "--sizes"],
        &["snapshot", "search", &dir, "gone"],
        &["snapshot", "compare", &dir, &dir],
    ] {
        zkops(args).ok();
    }
    assert_eq!(state(&ensemble.data(2)).keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    assert!(state(&ensemble.data(2)) == before, "looking has changed a file");

    // A reader who has enough is no failure, and says nothing.
    let head = format!("{ZKOPS} txnlog {dir} | head -2");
    let head = run("bash", &["-o", "pipefail", "-c", &head], &[]).ok();
    assert_eq!((head.stdout.lines().count(), head.stderr.as_str()), (2, ""), "{head}");
}

#[test]
fn containers_and_time_to_live_end_by_the_leaders_hand() {
    let extra = "extendedTypesEnabled=true\nznode.container.checkIntervalMs=200";
    let mut ensemble = Ensemble::new(1, 0, extra);
    ensemble.start(1);
    ensemble.await_serving();
    let typed = "create -c /box\ncreate /box/in it\ndelete /box/in\ncreate -t 300 /brief b\n";
    let address = ensemble.address(1);
    crate::run::run_with_stdin(ZKOPS, &["cli", "-server", &address], &[], typed).ok();
    let dir = ensemble.data(1).display().to_string();
    for (path, how) in [("/box", "container_empty"), ("/brief", "ttl_over")] {
        eventually(how, SOON, || {
            let who = documents(&["txnlog", "who", &dir, path]).pop().unwrap_or_default();
            if who["deleted"]["how"] == how { Ok(()) } else { Err(who) }
        });
    }
    zkops(&["txnlog", "who", &dir, "/brief"]).ok().says("its time to live was over");
}

/// As servers before 3.6 wrote them: whose an ephemeral was is known by its create, or by a snapshot.
#[test]
fn ephemerals_that_no_end_of_a_session_lists_are_told_by_their_creates() {
    let mut ensemble = Ensemble::new(1, 0, "closeSessionTxn.enabled=false\nsnapCount=20");
    ensemble.start(1);
    ensemble.await_serving();
    let deletes = deletes(&ensemble.address(1), "/gone");
    let dir = ensemble.data(1).display().to_string();
    assert_told(&dir, &deletes);
    let found = documents(&["txnlog", &dir, "--path", "/gone/expired", "--op", "delete"]);
    assert_eq!(found.last().map(|txn| &txn["inferred"]), Some(&Value::from(true)), "{found:?}");
}

/// What the reference's own tool prints of a log: session, cxid, zxid and kind of each.
fn toolkit(log: &Path) -> Vec<[String; 4]> {
    let classes =
        ["zookeeper", "slf4j-simple", "commons-cli"].map(|jar| format!("/usr/share/java/{jar}.jar"));
    let output = Command::new("java")
        .args([
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Dfile.encoding=UTF-8",
            "-cp",
            &classes.join(":"),
        ])
        .arg("org.apache.zookeeper.server.persistence.TxnLogToolkit")
        .arg(log)
        .output()
        .expect("java is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = |line: &str| {
        let (_, line) = line.split_once(" session ")?;
        let mut words = line.split(' ');
        let (session, cxid, zxid) = (words.next()?, words.nth(1)?, words.nth(1)?);
        Some([session, cxid, zxid, words.next()?].map(str::to_owned))
    };
    text.lines().filter_map(line).collect()
}

#[test]
fn a_directory_of_the_reference_reads_as_its_own_tools_read_it() {
    let mut ensemble = Ensemble::new(1, 0, "maxSessionTimeout=600000\nsnapCount=100");
    Kind::Apache.start(&mut ensemble, 1);
    ensemble.await_serving();
    let filled = kazoo("fill.py").args([&ensemble.address(1), "/filled"]).output().expect("python is there");
    assert!(filled.status.success(), "{}", String::from_utf8_lossy(&filled.stderr));
    let deletes = deletes(&ensemble.address(1), "/gone");
    let dir = ensemble.data(1).display().to_string();
    assert_told(&dir, &deletes);
    zkops(&["txnlog", "check", &dir]).ok().says("sound");
    ensemble.kill(1);

    let read = documents(&["txnlog", &dir]);
    let hex = |number: &Value| format!("0x{:x}", number.as_i64().unwrap_or_default());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let ours: Vec<_> = read
        .iter()
        .map(|txn| [text(&txn["session"]), hex(&txn["cxid"]), text(&txn["zxid"]), text(&txn["op"])])
        .collect();
    let files: BTreeSet<_> = read.iter().map(|txn| text(&txn["file"])).collect();
    assert!(files.len() > 2, "several logs");
    let theirs: Vec<_> = {
        let mut files: Vec<_> = files.iter().collect();
        // In the order that they were read in.
        files.sort_by_key(|file| read.iter().position(|txn| txn["file"] == file.as_str()));
        files.into_iter().flat_map(|file| toolkit(Path::new(file))).collect()
    };
    assert_eq!(ours, theirs);
    assert!(ours.len() > 600, "{} transactions", ours.len());

    // What is in the newest snapshot was there when it was written, with the data that kazoo wrote.
    let znodes = documents(&["snapshot", &dir, "--path", "/filled", "--data"]);
    let znodes: BTreeMap<_, _> = znodes.iter().map(|znode| (text(&znode["path"]), znode)).collect();
    assert_eq!(znodes["/filled/many/0001"]["data"], "x");
    assert_eq!(znodes["/filled/many/0001"]["acl"], "world:anyone:cdrwa");
    zkops(&["snapshot", "check", &dir]).ok();
    zkops(&["snapshot", "compare", &dir, &dir]).ok().says("same");

    // Damage is passed over, and nobody takes what is left for all there is.
    let damaged = ensemble.data(1).join("damaged");
    let mut bytes = std::fs::read(read[0]["file"].as_str().expect("a path")).expect("it can be read");
    bytes[200] ^= 1;
    std::fs::write(&damaged, bytes).expect("the directory is ours");
    let damaged = damaged.display().to_string();
    for args in [&["txnlog", &damaged][..], &["txnlog", "who", &damaged, "/gone/plain"]] {
        zkops(args).expect(9).says("damaged at byte").says("passed over");
    }
    let out = ensemble.data(1).join("beginning").display().to_string();
    zkops(&["txnlog", "chop", &damaged, "--to-zxid", "0xffff", "--out", &out]).expect(9).says("--to-zxid 0x");
}
