//! What the program says: documents for machines as `docs/json.md` has them, questions before what nobody would do by
//! accident, inventories made of a few words, help that is true.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::lab::Lab;
use crate::local::Local;
use crate::run::{Ended, ZKOPS, run};
use crate::terminal::Terminal;

/// Fields of every document and of what stands in it, by path, from the tables of `docs/json.md`.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json.md");
    let text = std::fs::read_to_string(path).expect("it is there");
    let codes = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let name = cells.next()?.trim_matches('`').to_owned();
        Some((name, codes(cells.next()?).into_iter().collect()))
    };
    text.lines().filter_map(row).collect()
}

/// Every object of `value`, with the path that the table calls it by.
fn objects(path: &str, value: &Value, found: &mut Vec<(String, BTreeSet<String>)>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| objects(&format!("{path}[]"), item, found)),
        Value::Object(fields) => {
            let keys = fields.keys().filter(|key| *key != "event").cloned().collect();
            found.push((path.to_owned(), keys));
            // The two values that are a word, or a word with its reason.
            let plain = |key: &&String| !["outcome", "key"].contains(&key.as_str());
            fields
                .iter()
                .filter(|(key, _)| plain(key))
                .for_each(|(key, value)| objects(&format!("{path}.{key}"), value, found));
        }
        _ => {}
    }
}

#[test]
fn every_verb_writes_the_documents_that_are_documented() {
    let local = Local::new();
    let inventory = local.inventory();
    let man = local.home().join("man").display().to_string();
    let table = documented();
    let mut seen = BTreeSet::new();
    let mut say = |args: &[&str], code: i32| {
        let ended = local.zkops(&[args, &["--json"]].concat()).expect(code);
        let mut last = Value::Null;
        for line in ended.stdout.lines() {
            last = serde_json::from_str(line).unwrap_or_else(|why| panic!("{why} in {line}: {ended}"));
            let event = last["event"].as_str().unwrap_or_else(|| panic!("{line} has no event")).to_owned();
            let mut found = Vec::new();
            objects(&event, &last, &mut found);
            for (path, keys) in found {
                assert_eq!(table.get(&path), Some(&keys), "{path} in {line}");
                seen.insert(path);
            }
        }
        assert_ne!(last, Value::Null, "it says nothing: {ended}");
        last
    };

    assert_eq!(say(&["init", "root@10.0.0.1", "root@10.0.0.2", "root@10.0.0.3"], 0)["cluster"], "zookeeper");
    assert_eq!(say(&["plan", &inventory], 8)["pending"], true);
    assert_eq!(say(&["check", &inventory], 0)["fit"], true);
    assert_eq!(say(&["status", &inventory], 7)["known"], false);
    assert_eq!(say(&["ssh-setup", &inventory], 0)["hosts"][0]["key"], "not_needed");
    assert_eq!(say(&["deploy", &inventory], 0)["event"], "ready");
    assert_eq!(say(&["status"], 0)["healthy"], true);
    assert!(say(&["logs", "node-1"], 0)["text"].is_string());
    assert_eq!(say(&["ok-to-stop", "3"], 0)["members"][0], "node-3");
    assert_eq!(say(&["stop", "node-3"], 0)["verb"], "stop");
    assert_eq!(say(&["ok-to-stop", "node-2"], 4)["failure"]["exit"], "refused");
    assert_eq!(say(&["ok-to-stop", "node-3"], 0)["members"][0], "node-3");
    assert_eq!(say(&["start"], 0)["verb"], "start");
    assert_eq!(say(&["restart", "node-1"], 0)["verb"], "restart");
    assert_eq!(say(&["repair", "node-1"], 0)["event"], "repaired");
    assert_eq!(say(&["stop"], 2)["exit_code"], 2);
    assert_eq!(
        say(&["destroy", "--data", "--yes"], 2)["failure"]["next"][0],
        "say yes beforehand: --cluster trial"
    );
    assert_eq!(say(&["destroy", "--data", "--cluster", "trial"], 0)["verb"], "destroy");
    for args in [
        &["version"][..],
        &["schema"],
        &["completions", "bash"],
        &["man"],
        &["man", "--out", &man],
        &["deploy", "--help"],
    ] {
        say(args, 0);
    }
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/apache-3.8");
    let (data, copy) = (data.display().to_string(), local.home().join("copy").display().to_string());
    let log = format!("{data}/version-2/log.1");
    assert_eq!(say(&["txnlog", &data], 0)["event"], "txn");
    assert_eq!(say(&["txnlog", &data, "--path", "/orders", "--data"], 0)["op"], "multi");
    assert_eq!(say(&["txnlog", "who", &data, "/live"], 0)["deleted"]["how"], "session_expired");
    say(&["txnlog", "who", &data, "/orders"], 0);
    assert_eq!(say(&["txnlog", "who", &data, "/zookeeper"], 0)["origin"]["mode"], "persistent");
    assert_eq!(say(&["txnlog", "check", &data], 0)["sound"], true);
    assert_eq!(say(&["txnlog", "check", &format!("{data}/version-2/log.1b")], 0)["event"], "log_check");
    assert_eq!(say(&["txnlog", "chop", &log, "--to-zxid", "0x9", "--out", &copy], 0)["txns"], 9);
    assert_eq!(say(&["txnlog", "chop", &log, "--to-zxid", "0x9", "--out", &copy], 2)["event"], "failure");
    // A bit of it is flipped.
    let mut bytes = std::fs::read(&copy).expect("it was written");
    let last = bytes.len() - 20;
    bytes[last] ^= 1;
    std::fs::write(&copy, bytes).expect("it is ours");
    let judged = say(&["txnlog", "check", &copy], 9);
    assert_eq!((&judged["sound"], &judged["findings"][0]["level"]), (&false.into(), &"damage".into()));
    assert_eq!(say(&["snapshot", &data, "--sessions", "--stat"], 0)["event"], "znode");
    assert_eq!(
        say(&["snapshot", &format!("{data}/version-2/snapshot.1a.gz"), "--sessions"], 0)["event"],
        "znode"
    );
    assert_eq!(say(&["snapshot", &data, "--sizes"], 0)["subtrees"][0]["path"], "/");
    assert_eq!(say(&["snapshot", "check", &data], 0)["state"], "whole");
    let old = format!("{data}/version-2/snapshot.0");
    assert_eq!(say(&["snapshot", "compare", &old, &data], 8)["same"], false);
    let newer = format!("{data}/version-2/snapshot.1a.gz");
    assert_eq!(say(&["snapshot", "compare", &newer, &data], 8)["event"], "compared");
    let mistake = say(&["deploy", "--dryrun", "x.yml"], 2);
    assert_eq!(mistake["failure"]["exit"], "usage");
    assert_eq!(say(&["fly"], 2)["failure"]["what"], "unrecognized subcommand 'fly'");

    let unseen: Vec<&String> = table.keys().filter(|path| !seen.contains(*path)).collect();
    // Whether a gate is shut for a moment is the machine's business.
    assert!(unseen.iter().all(|path| *path == "waiting"), "no verb was seen to write {unseen:?}");
}

#[test]
fn monitoring_gets_a_line_or_metrics_and_never_a_zero_for_what_is_not_known() {
    let local = Local::deployed();
    let line = local.zkops(&["status", "--nagios"]).ok();
    assert!(line.stdout.starts_with("ZKOPS OK - trial: healthy: 1 leader + 2 followers in sync"), "{line}");
    line.says("'in_sync'=3;;;0;3 'spare'=1;;;0;");
    let metrics = |ended: &Ended| -> BTreeMap<String, f64> {
        let samples = ended.stdout.lines().filter(|line| !line.starts_with('#'));
        let sample = |line: &str| {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line} is no sample"));
            (name.to_owned(), value.parse().unwrap_or_else(|why| panic!("{why} in {line}")))
        };
        samples.map(sample).collect()
    };
    let of = |name: &str, n: usize| format!("zkops_member_{name}{{cluster=\"trial\",member=\"node-{n}\"}}");
    let page = metrics(&local.zkops(&["status", "--prometheus"]).ok());
    assert_eq!(page["zkops_ensemble_state{cluster=\"trial\",state=\"healthy\"}"], 1.0);
    assert_eq!((1..=3).map(|n| page[&of("leads", n)]).sum::<f64>(), 1.0, "{page:?}");
    assert!(page[&of("commit_seconds", 1)] > 0.0, "{page:?}");

    local.zkops(&["stop", "node-3"]).ok();
    let line = local.zkops(&["status", "--nagios"]).expect(1);
    assert!(line.stdout.starts_with("ZKOPS WARNING - trial: "), "{line}");
    line.says("next: zkops start node-3");
    let page = metrics(&local.zkops(&["status", "--prometheus"]).expect(9));
    assert_eq!((page[&of("in_sync", 3)], page.get(&of("lag_transactions", 3))), (0.0, None), "{page:?}");
    local.zkops(&["stop", "--all"]).ok();
    local.zkops(&["status", "--nagios"]).expect(2).says("ZKOPS CRITICAL - trial: unhealthy: no quorum");
    let lost = local.zkops(&["status", "-i", "/nowhere.yml", "--nagios"]).expect(3);
    assert!(lost.stdout.starts_with("ZKOPS UNKNOWN - ") && lost.stdout.contains("/nowhere.yml"), "{lost}");
    let lost = local.zkops(&["status", "-i", "/nowhere.yml", "--prometheus"]).expect(2);
    assert_eq!(metrics(&lost), BTreeMap::from([("zkops_look_failed".to_owned(), 1.0)]));
    local.zkops(&["status", "--nagios", "--watch"]).expect(2).says("cannot be used");
}

#[test]
fn logs_of_all_members_are_told_in_one_order() {
    let local = Local::deployed();
    let all = local.zkops(&["logs"]).ok();
    for said in ["node-1", "node-2", "node-3", "leading since zxid", "in sync at zxid"] {
        all.says(said);
    }
    let times: Vec<&str> = all.stdout.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(times.len() > 6 && times.is_sorted(), "{all}");
    let one = local.zkops(&["logs", "node-2", "-n", "1"]).ok();
    assert!(one.stdout.lines().count() == 1 && one.stdout.contains(" node-2 "), "{one}");
    let young = local.zkops(&["logs", "--since", "0s"]).ok();
    assert_eq!(young.stdout, "", "{young}");
    local.zkops(&["logs", "-n", "0"]).expect(2);
    local.zkops(&["logs", "node-9"]).expect(2).says("node-9");

    // Whoever follows is told what is written from then on.
    let home = local.home().display().to_string();
    let follow = format!(
        "export HOME={home} XDG_STATE_HOME={home}; timeout 60 {ZKOPS} logs -n 1 --follow >{home}/followed & \
         until grep -q . {home}/followed; do sleep 0.1; done; {ZKOPS} restart node-1 >/dev/null 2>&1; \
         for i in $(seq 500); do grep -q 'node-1 .*data loaded' {home}/followed && break; sleep 0.1; done; \
         kill $!; wait $!; cat {home}/followed"
    );
    let followed = run("bash", &["-c", &follow], &[]).ok();
    followed.says("data loaded");
    let lines: Vec<&str> = followed.stdout.lines().collect();
    assert!(lines.iter().enumerate().all(|(at, line)| !lines[..at].contains(line)), "told twice: {followed}");
}

#[test]
fn what_stops_or_ends_an_ensemble_is_asked_for() {
    let local = Local::deployed();
    local.zkops(&["stop"]).expect(2).says("stop all of trial?").says("--all");
    local.zkops(&["destroy", "--yes", "--data"]).expect(2).says("--cluster trial");
    local.zkops(&["destroy", "--cluster", "trail", "--data"]).expect(2).says("not of \"trail\"");
    let no = local.terminal(&["stop"]);
    no.await_text("stop all of trial?");
    no.text("n");
    no.ends(1);
    local.zkops(&["status"]).ok();
    let yes = local.terminal(&["stop"]);
    yes.await_text("stop all of trial?");
    yes.text("y");
    yes.ends(0);
    local.zkops(&["status"]).expect(9);
    // It is there again with a word that names nobody, and stops unasked where that is said.
    local.zkops(&["start"]).ok();
    local.zkops(&["stop", "--all"]).ok();
}

#[test]
fn an_inventory_is_made_of_words_and_of_answers() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let at = home.path().display().to_string();
    let env = [("HOME", at.as_str()), ("XDG_STATE_HOME", &at)];
    let zkops = |args: &[&str]| -> Ended { run(ZKOPS, args, &env) };
    let out = home.path().join("orders.yml").display().to_string();
    let hosts = ["root@192.0.2.1", "root@192.0.2.2", "ops@192.0.2.3:2222"];
    let init = |args: &[&str]| zkops(&[&["init"], &hosts[..], args].concat());
    init(&["-o", &out]).ok().says("orders with 3 members").says("zkops deploy");
    let first = std::fs::read_to_string(&out).expect("it was written");
    assert!(
        first.contains("cluster: orders ") && first.contains("user: ops, sudo: /usr/bin/sudo, port: 2222"),
        "{first}"
    );
    init(&["-o", &out, "--name", "other"]).expect(2).says("is there already").says("--force");
    assert_eq!(std::fs::read_to_string(&out).expect("it is there"), first);
    init(&["-o", &out, "--name", "other", "--force"]).ok();
    zkops(&["init"]).expect(2).says("which hosts?");
    zkops(&["init", "root@"]).expect(2).says("[user@]host[:port]");
    // A name that cannot be is refused before anything else is looked at, or asked.
    zkops(&["init", "--name", "a b"]).expect(2).says("letters, digits");
    init(&["-o", &out, "--name", ".x"]).expect(2).says("letters, digits");
    // A verb that reads it gets as far as the hosts, which nobody has.
    zkops(&["plan", &out, "--timeout", "1s"]).expect(7);

    let command = format!("{ZKOPS} init -o {out}");
    let asked = Terminal::start(&command, &env);
    asked.await_text("hosts, each as");
    asked.line("192.0.2.1 192.0.2.2, 192.0.2.3");
    asked.await_text("name of the cluster [orders]");
    asked.line("my orders");
    asked.await_text("letters, digits");
    asked.keys(&["Enter"]);
    asked.await_text("ssh user [root]");
    asked.line("ops");
    asked.await_text("client, quorum and election port [2181 2888 3888]");
    asked.line("12181 12888 13888");
    asked.await_text("data directory [/export/data/zkdata]");
    asked.keys(&["Enter"]);
    asked.await_text("replace it?");
    asked.text("y");
    asked.ends(0);
    let made = std::fs::read_to_string(&out).expect("it was written");
    for line in [
        "ssh: { user: ops, sudo: /usr/bin/sudo }",
        "ports: { client: 12181, quorum: 12888, election: 13888 }",
    ] {
        assert!(made.contains(line), "{line}:\n{made}");
    }
}

#[test]
fn watched_from_a_pipe_an_ensemble_is_told_in_plain_lines_and_left_as_it_is() {
    let local = Local::deployed();
    local.zkops(&["status"]).ok();
    let zxids = |looked: &Ended| -> BTreeSet<String> {
        let words = looked.stdout.split_whitespace();
        words.filter(|word| word.starts_with("0x")).map(str::to_owned).collect()
    };
    let home = local.home().display().to_string();
    let command = format!(
        "HOME={home} XDG_STATE_HOME={home} timeout 20 {ZKOPS} status --watch --interval 100ms | head -40"
    );
    // Nobody reads after forty lines: then it ends by itself, before its time is over.
    let watched = run("bash", &["-o", "pipefail", "-c", &command], &[]).ok();
    assert!(!watched.stdout.contains(['\u{1b}', '\r']), "{watched}");
    assert!(watched.stdout.matches(" UTC\n").count() >= 5, "each look tells its time: {watched}");
    watched.says("healthy: 1 leader + 2 followers in sync");
    // What closing the first look's sessions left behind may be seen once; looks themselves leave nothing.
    assert!(zxids(&watched).len() <= 2, "a look changes nothing: {watched}");
}

/// One of three hosts is down for days.
#[test]
fn a_dead_host_does_not_paralyse_the_rest() {
    let lab = Lab::up(3);
    let inventory = lab.inventory("");
    lab.lab(&["kill", "node-3"]).ok();
    lab.zkops(&["deploy", &inventory]).expect(7).says("node-3");
    let deployed = lab.zkops(&["deploy", &inventory, "--without", "node-3"]).ok();
    deployed
        .says("orders is ready")
        .says("2 in sync")
        .says("node-3 was left out; when its host is back: zkops deploy");
    let journal =
        lab.on(1, "cat /export/server/zkops/var/journal* /export/server/zkops/*journal* 2>/dev/null").stdout;
    assert!(journal.contains("--without node-3"), "the journal says so: {journal}");
    lab.zkops(&["deploy", &inventory, "--without", "3"]).ok().says("nothing to do");
    lab.zkops(&["plan", "--without", "node-3", &inventory]).ok();
    // Two of three can spare nobody, and one of three is no quorum.
    lab.zkops(&["restart", "--without", "node-3"]).expect(4);
    lab.zkops(&["deploy", &inventory, "--without", "node-2,node-3"]).expect(4).says("1 of 3 voters");
    assert_eq!(lab.zkops(&["start", "--without", "node-7"]).code, 2);
    lab.zkops(&["status"]).expect(9).says("node-3 was left out of deploy");

    lab.lab(&["start", "node-3"]).ok();
    lab.zkops(&["deploy", &inventory]).ok().says("3 in sync");
    let status = lab.zkops(&["status"]).ok();
    assert!(!status.all().contains("left out"), "it is done: {status}");

    lab.lab(&["fill", "node-2"]).ok();
    lab.zkops(&["status"]).ok().says("note: node-2 has ").says("its server stops");
    lab.lab(&["unfill", "node-2"]).ok();

    lab.lab(&["kill", "node-1"]).ok();
    let gone = lab.zkops(&["destroy", "--yes", "--without", "node-1"]).ok();
    gone.says("orders is gone").says("node-1 was left out; when its host is back: zkops destroy");
    lab.lab(&["start", "node-1"]).ok();
    lab.zkops(&["destroy", "--yes", &inventory]).ok();
    assert_eq!(lab.on(1, "ls /etc/systemd/system | grep zkops").stdout, "");
}

/// An answer that nobody gets is no success; a reader who has enough is no failure.
#[test]
fn an_answer_that_cannot_be_written_is_said() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let at = home.path().display().to_string();
    let env = [("HOME", at.as_str()), ("XDG_STATE_HOME", &at)];
    let lost = "the answer could not be written to stdout: No space left on device";
    for words in [
        "--help",
        "--version",
        "help deploy",
        "version",
        "man",
        "completions bash",
        "init root@192.0.2.1 root@192.0.2.2 root@192.0.2.3",
        "version --json",
        "help --json",
    ] {
        let full = run("bash", &["-c", &format!("{ZKOPS} {words} >/dev/full")], &env).expect(1);
        full.says(lost);
        let enough = format!("{ZKOPS} {words} | head -c 1");
        let enough = run("bash", &["-o", "pipefail", "-c", &enough], &env).ok();
        assert_eq!(enough.stderr, "", "{enough}");
    }
    // What failed anyway says so, too, and keeps its exit code.
    let both = run("bash", &["-c", &format!("{ZKOPS} status --json >/dev/full")], &env).expect(2);
    both.says(lost).says("nothing is deployed from this machine");
}

/// Completions are words of their own shells, pages are read by the reader of pages.
#[test]
fn shells_and_the_reader_of_manuals_take_what_is_made_for_them() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let bash = run(ZKOPS, &["completions", "bash"], &[]).ok().stdout;
    let path = dir.path().join("zkops.bash");
    std::fs::write(&path, bash).expect("the directory is ours");
    let ask = format!(
        ". {}; COMP_WORDS=(zkops stat); COMP_CWORD=1; _zkops zkops stat zkops; echo \"${{COMPREPLY[@]}}\"",
        path.display()
    );
    run("bash", &["-c", &ask], &[]).ok().says("status");
    run(ZKOPS, &["completions", "klingon"], &[]).expect(2).says("bash");
    let pages = dir.path().join("pages").display().to_string();
    run(ZKOPS, &["man", "--out", &pages], &[]).ok();
    let page = std::fs::read_to_string(format!("{pages}/zkops-deploy.1")).expect("it was written");
    assert!(page.contains(".TH zkops-deploy 1") && page.contains("zkops deploy orders.yml"), "{page}");
}
