//! The reference beside us: Debian's Apache ZooKeeper 3.8.0 as real processes. Data directories change hands,
//! ensembles are mixed, a server is replaced under load and back again, and whoever fell behind catches up
//! with a leader of the other kind. Nothing here looks inside either server: clients, logs and files decide.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::ensemble::{Ensemble, SOON, Writer, kazoo};
use crate::run::eventually;

/// Whose program a server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Ours,
    Apache,
}
use Kind::{Apache, Ours};

/// Sessions outlive the change of a server; many small logs and snapshots.
const EXTRA: &str = "maxSessionTimeout=600000\nsnapCount=100";

const JARS: &str = "/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-simple.jar";

impl Kind {
    fn other(self) -> Kind {
        match self {
            Ours => Apache,
            Apache => Ours,
        }
    }

    pub(crate) fn start(self, ensemble: &mut Ensemble, n: usize) {
        match self {
            Ours => ensemble.start(n),
            Apache => {
                let command = apache(&ensemble.config(n));
                ensemble.start_as(n, command);
            }
        }
    }
}

/// The reference's server on one zoo.cfg, small and quick to start, with its log on stderr.
fn apache(config: &Path) -> Command {
    assert!(
        Path::new("/usr/share/java/zookeeper.jar").exists(),
        "Apache ZooKeeper is missing: run the tests with tests/run, which installs libzookeeper-java"
    );
    // What it takes from its command line alone.
    let text = std::fs::read_to_string(config).expect("the directory is ours");
    let value = |key| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let mut command = Command::new("java");
    command.args(value("jute.maxbuffer").map(|len| format!("-Djute.maxbuffer={len}")));
    command
        .arg(format!("-Xmx{}", value("heap.of.the.reference").unwrap_or("256m")))
        .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"])
        // Digests cover path bytes in the platform's charset (disk-format D13).
        .args(["-Dfile.encoding=UTF-8", "-Dzookeeper.admin.enableServer=false"])
        .args(["-Dorg.slf4j.simpleLogger.showDateTime=true", "-cp", JARS])
        // It tells of the truncation of a learner at this level only.
        .arg("-Dorg.slf4j.simpleLogger.log.org.apache.zookeeper.server.quorum.LearnerHandler=debug")
        .arg("org.apache.zookeeper.server.quorum.QuorumPeerMain")
        .arg(config);
    command
}

/// A quorum of `kinds`, each a voter, where the last one leads and the first joined last; with `extra` lines
/// in every zoo.cfg. An observer of another kind may follow.
pub(crate) fn formed(kinds: &[Kind], observer: Option<Kind>, extra: &str) -> Ensemble {
    let voters = kinds.len();
    let mut ensemble =
        Ensemble::new(voters + usize::from(observer.is_some()), observer.is_some().into(), extra);
    // Of two empty servers the higher id wins, and who comes later finds a leader.
    let majority = voters / 2 + 1;
    let (late, first) = kinds.split_at(voters - majority);
    for (kind, n) in first.iter().zip(late.len() + 1..) {
        kind.start(&mut ensemble, n);
    }
    ensemble.await_serving();
    assert_eq!(ensemble.leader(), voters, "the highest id leads");
    for (kind, n) in late.iter().chain(observer.iter()).zip((1..=late.len()).chain([voters + 1])) {
        kind.start(&mut ensemble, n);
    }
    ensemble.await_serving();
    ensemble
}

/// A kazoo script's output; panics unless it ended well.
#[track_caller]
fn python(script: &str, args: &[&str]) -> String {
    let output = kazoo(script).args(args).output().expect("python is there");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script} {args:?}: {out}\n{err}");
    out.into_owned()
}

fn writer(ensemble: &Ensemble, path: &str) -> Writer {
    let mut command = kazoo("writer.py");
    command.arg(ensemble.addresses()).arg(path);
    Writer::start(command)
}

/// So many acknowledged writes.
fn written(ensemble: &Ensemble, n: usize, path: &str, count: usize) {
    let mut command = kazoo("writer.py");
    command.arg(ensemble.address(n)).arg(path);
    let mut writer = Writer::start(command);
    writer.await_acks(count);
    writer.finish();
}

/// Every server shows the same nodes, data, stats and ACLs; none found a digest that differs.
#[track_caller]
pub(crate) fn assert_same_everywhere(ensemble: &Ensemble, servers: &[usize]) {
    let dump = |n: &usize| python("dump.py", &[&ensemble.address(*n)]);
    let expected = dump(&servers[0]);
    assert!(expected.lines().count() > 2, "nothing was compared");
    for n in &servers[1..] {
        assert_same(&expected, &dump(n), &format!("server {} and server {n}", servers[0]));
    }
    servers.iter().for_each(|n| assert_digests_match(ensemble, *n));
}

#[track_caller]
fn assert_same(before: &str, after: &str, what: &str) {
    let differing: Vec<_> =
        before.lines().zip(after.lines()).filter(|(one, two)| one != two).take(5).collect();
    let lines = (before.lines().count(), after.lines().count());
    let shorten = |(one, two): &(&str, &str)| format!("{}\n{}", tail(one), tail(two));
    assert!(
        differing.is_empty() && lines.0 == lines.1,
        "{what} differ ({lines:?} nodes):\n{}",
        differing.iter().map(shorten).collect::<Vec<_>>().join("\n")
    );
}

/// A dump's line without most of its data.
fn tail(line: &str) -> String {
    line.split(' ').map(|word| word.get(..80).unwrap_or(word)).collect::<Vec<_>>().join(" ")
}

/// Every transaction carries the digest of the tree it must leave behind. A tree that differs goes on
/// differing; but the reference, when it loses its leader, replays its log into the tree that its commit stage
/// is still working on (ZOOKEEPER-4712), and finds the last of those transactions at odds with it.
#[track_caller]
fn assert_digests_match(ensemble: &Ensemble, n: usize) {
    let found = mismatches(ensemble, n);
    if found > 0 {
        let log = log(ensemble, n);
        let said: Vec<&str> = log.lines().filter(|line| line.to_lowercase().contains("digest")).collect();
        let said = said.join("\n");
        assert!(
            log.contains("CommitProcessor exited loop!"),
            "server {n} found digests that differ:\n{said}"
        );
        written(ensemble, n, &format!("/digests-{n}-{found}"), 20);
        assert_eq!(mismatches(ensemble, n), found, "server {n} goes on finding digests that differ:\n{said}");
    }
}

#[track_caller]
fn mismatches(ensemble: &Ensemble, n: usize) -> u64 {
    let text = ensemble.ask(n, "mntr").unwrap_or_default();
    let count = text.lines().find_map(|line| line.strip_prefix("zk_digest_mismatches_count\t"));
    count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("server {n}: {text}"))
}

fn log(ensemble: &Ensemble, n: usize) -> String {
    std::fs::read_to_string(ensemble.log(n)).expect("the log is ours")
}

/// What the reference complains of, but for words that stand in its log in every ensemble.
fn complaints(ensemble: &Ensemble, n: usize) -> Vec<String> {
    let log = log(ensemble, n);
    let usual = |line: &&str| !USUAL.iter().any(|words| line.contains(words));
    let loud = |line: &&str| line.contains(" WARN ") || line.contains(" ERROR ");
    log.lines().filter(loud).filter(usual).map(str::to_owned).collect()
}

const USUAL: &[&str] = &[
    "maxCnxns is not configured",
    // The first transaction of an epoch.
    "00000001 expected",
    // A snapCount far below what anyone would set.
    "Too busy to snap",
    // A client that left without closing.
    "NIOServerCnxn - Unexpected exception",
    // The others were not there yet, or both dialled and one connection stays (quorum Q6).
    "QuorumCnxManager - ",
    // The leader's quorum port was not open yet.
    "Learner - Unexpected exception, tries=0",
    // The servers' list decides, as with ours.
    "Peer type from servers list (OBSERVER) doesn't match peerType (PARTICIPANT)",
];

#[track_caller]
fn files(dir: &Path, prefix: &str) -> usize {
    let entries = std::fs::read_dir(dir.join("version-2")).expect("the directory is ours");
    entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix)).count()
}

// --- one data directory, two implementations

/// Fills a server of kind `first`, and hands its directory back and forth, killed each time.
fn directory_changes_hands(first: Kind) {
    let mut ensemble = Ensemble::new(1, 0, EXTRA);
    first.start(&mut ensemble, 1);
    ensemble.await_serving();
    let mut kind = first;
    for turn in 0..3 {
        let root = format!("/turn-{turn}");
        let opened = python("fill.py", &[&ensemble.address(1), &root]);
        let before = python("dump.py", &[&ensemble.address(1)]);
        assert!(files(&ensemble.data(1), "log.") > 1, "more than one log");
        assert!(files(&ensemble.data(1), "snapshot.") > 1, "more than one snapshot");
        ensemble.kill(1);
        kind = kind.other();
        kind.start(&mut ensemble, 1);
        ensemble.await_serving();
        let after = python("dump.py", &[&ensemble.address(1)]);
        assert_same(&before, &after, &format!("turn {turn}, to {kind:?}: before and after"));
        assert_digests_match(&ensemble, 1);
        let (session, password) = opened.trim().split_once(' ').expect("an id and a password");
        python("session.py", &[&ensemble.address(1), &format!("{root}/here"), session, password]);
    }
}

#[test]
fn a_directory_of_the_reference_loads_here_and_goes_back() {
    directory_changes_hands(Apache);
}

#[test]
fn a_directory_of_ours_loads_in_the_reference_and_comes_back() {
    directory_changes_hands(Ours);
}

// --- mixed ensembles

/// Clients of every server, sessions that move, equal state; then the leader is killed and the rest goes on.
fn ensemble_holds(kinds: &[Kind], observer: Option<Kind>) {
    let mut ensemble = formed(kinds, observer, EXTRA);
    let all: Vec<usize> = (1..=kinds.len() + usize::from(observer.is_some())).collect();
    for (one, other) in all.iter().zip(all.iter().cycle().skip(1)) {
        python("recipes.py", &[&format!("{},{}", ensemble.address(*one), ensemble.address(*other))]);
    }
    let mut session = python("session.py", &[&ensemble.address(1), "/moves"]);
    for n in all.iter().rev().chain(&all) {
        let (id, password) = session.trim().split_once(' ').expect("an id and a password");
        let (id, password) = (id.to_owned(), password.to_owned());
        session = python("session.py", &[&ensemble.address(*n), "/moves", &id, &password]);
    }
    python("fill.py", &[&ensemble.address(1), "/filled"]);
    assert_same_everywhere(&ensemble, &all);
    let kind_of = |n: usize| kinds.get(n - 1).copied().or(observer).expect("a server of this ensemble");
    for n in all.iter().copied().filter(|n| kind_of(*n) == Apache) {
        assert_eq!(complaints(&ensemble, n), Vec::<String>::new(), "server {n}");
    }

    let leader = kinds.len();
    ensemble.kill(leader);
    ensemble.await_serving();
    python("recipes.py", &[&format!("{},{}", ensemble.address(1), ensemble.address(2))]);
    kind_of(leader).start(&mut ensemble, leader);
    ensemble.await_serving();
    python("recipes.py", &[&format!("{},{}", ensemble.address(leader), ensemble.address(1))]);
    assert_same_everywhere(&ensemble, &all);
}

#[test]
fn the_reference_itself_passes() {
    ensemble_holds(&[Apache, Apache, Apache], None);
}

#[test]
fn ours_joins_two_of_the_reference() {
    ensemble_holds(&[Ours, Apache, Apache], None);
}

#[test]
fn ours_makes_the_quorum_under_a_leader_of_the_reference() {
    ensemble_holds(&[Apache, Ours, Apache], None);
}

#[test]
fn ours_leads_two_of_the_reference() {
    ensemble_holds(&[Apache, Apache, Ours], None);
}

#[test]
fn ours_observes_the_reference() {
    ensemble_holds(&[Apache, Apache, Apache], Some(Ours));
}

#[test]
fn the_reference_observes_ours() {
    ensemble_holds(&[Ours, Ours, Ours], Some(Apache));
}

// --- replacement

#[test]
fn three_servers_are_replaced_one_by_one_under_load_and_back_again() {
    let mut ensemble = formed(&[Apache, Apache, Apache], None, EXTRA);
    let mut writer = writer(&ensemble, "/w");
    for kind in [Ours, Apache] {
        for n in 1..=3 {
            writer.await_acks(50);
            ensemble.stop(n);
            writer.await_acks(50);
            kind.start(&mut ensemble, n);
            ensemble.await_serving();
        }
        writer.await_acks(50);
        (1..=3).for_each(|n| assert_digests_match(&ensemble, n));
    }
    println!("replaced and back: {}", writer.finish());
    assert_same_everywhere(&ensemble, &[1, 2, 3]);
}

#[test]
fn a_mixed_ensemble_loses_nothing_when_each_is_killed_in_turn_under_load() {
    let kinds = [Ours, Apache, Ours];
    let mut ensemble = formed(&kinds, None, EXTRA);
    let mut writer = writer(&ensemble, "/w");
    // The leader of the day is among them each time round.
    for n in [3, 1, 2, 3] {
        writer.await_acks(50);
        ensemble.kill(n);
        writer.await_acks(50);
        kinds[n - 1].start(&mut ensemble, n);
        ensemble.await_serving();
    }
    println!("mixed, each killed in turn: {}", writer.finish());
    assert_same_everywhere(&ensemble, &[1, 2, 3]);
}

// --- falling behind

/// What a server that comes back is sent, in the words of the reference's leader and of its learner.
enum Sync {
    Diff,
    Snap,
    /// Its tail was never committed: cut, or replaced by a whole snapshot.
    Cut,
}

impl Sync {
    fn words(&self) -> &'static [&'static str] {
        match self {
            Sync::Diff => &["Sending DIFF", "Getting a diff from the leader"],
            Sync::Snap => &["Sending snapshot", "Getting a snapshot from leader"],
            Sync::Cut => &[
                "Sending TRUNC",
                "Sending snapshot",
                "Truncating log to get in sync",
                "Getting a snapshot from leader",
            ],
        }
    }
}

/// Server 1 was away; it comes back to a leader of the other kind, which brings it up in the way of `sync`.
fn catches_up(kinds: &[Kind; 3], extra: &str, sync: &Sync, meanwhile: impl Fn(&Ensemble)) {
    let mut ensemble = formed(kinds, None, &format!("{EXTRA}\n{extra}"));
    written(&ensemble, 1, "/before", 20);
    ensemble.kill(1);
    meanwhile(&ensemble);
    let witness = if kinds[0] == Apache { 1 } else { 3 };
    let seen = log(&ensemble, witness).len();
    kinds[0].start(&mut ensemble, 1);
    ensemble.await_serving();
    assert_synced_by(&ensemble, witness, seen, sync);
    assert_same_everywhere(&ensemble, &[1, 2, 3]);
    // What it was given is on its disk, too.
    ensemble.kill(1);
    kinds[0].start(&mut ensemble, 1);
    ensemble.await_serving();
    assert_same_everywhere(&ensemble, &[1, 2, 3]);
}

#[track_caller]
fn assert_synced_by(ensemble: &Ensemble, witness: usize, seen: usize, sync: &Sync) {
    let log = log(ensemble, witness)[seen..].to_owned();
    assert!(sync.words().iter().any(|words| log.contains(words)), "not {:?}: {log}", sync.words());
}

fn few(ensemble: &Ensemble) {
    written(ensemble, 3, "/few", 30);
}

fn many(ensemble: &Ensemble) {
    python("fill.py", &[&ensemble.address(3), "/many"]);
}

/// Too many for the leader's memory of commits, and its logs on disk are not to be used.
const NO_DISK_DIFF: &str = "snapshotSizeFactor=-1";

#[test]
fn ours_a_little_behind_gets_the_difference() {
    catches_up(&[Ours, Apache, Apache], "", &Sync::Diff, few);
}

#[test]
fn ours_far_behind_gets_a_snapshot() {
    catches_up(&[Ours, Apache, Apache], NO_DISK_DIFF, &Sync::Snap, many);
}

#[test]
fn the_reference_a_little_behind_gets_the_difference_from_us() {
    catches_up(&[Apache, Ours, Ours], "", &Sync::Diff, few);
}

#[test]
fn the_reference_far_behind_gets_a_snapshot_from_us() {
    catches_up(&[Apache, Ours, Ours], NO_DISK_DIFF, &Sync::Snap, many);
}

/// Leader 3 logs what nobody else saw, dies, and comes back to the others; those may have gone on meanwhile.
fn loses_its_uncommitted_tail(kinds: &[Kind; 3], meanwhile: impl Fn(&Ensemble)) {
    let mut ensemble = formed(kinds, None, EXTRA);
    written(&ensemble, 1, "/before", 20);
    let mut unheard = kazoo("tail.py");
    unheard.args([&ensemble.address(3), "/before", "20"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut unheard = unheard.spawn().expect("python is there");
    let mut ready = String::new();
    BufReader::new(unheard.stdout.take().expect("stdout is piped")).read_line(&mut ready).expect("text");
    assert_eq!(ready, "ready\n");
    // Frozen, not dead: the leader goes on proposing, and nothing of it is ever read.
    [1, 2].iter().for_each(|n| ensemble.freeze(*n));
    let mut stdin = unheard.stdin.take().expect("stdin is piped");
    stdin.write_all(b"go\n").expect("the client reads");
    eventually("the leader logs the tail", SOON, || {
        logged(&ensemble.data(3), b"/before/tail-0019").then_some(()).ok_or("not yet")
    });
    (1..=3).rev().for_each(|n| ensemble.kill(n));
    drop(stdin);
    unheard.wait().expect("our own child can be waited for");
    [2, 1].iter().for_each(|n| kinds[n - 1].start(&mut ensemble, *n));
    ensemble.await_serving();
    meanwhile(&ensemble);
    let witness = if kinds[2] == Apache { 3 } else { ensemble.leader() };
    let seen = log(&ensemble, witness).len();
    kinds[2].start(&mut ensemble, 3);
    ensemble.await_serving();
    assert_synced_by(&ensemble, witness, seen, &Sync::Cut);
    for again in [true, false] {
        assert_same_everywhere(&ensemble, &[1, 2, 3]);
        let dump = python("dump.py", &[&ensemble.address(3)]);
        assert!(!dump.contains("tail-"), "a write that was given up is back: {dump}");
        if again {
            ensemble.kill(3);
            kinds[2].start(&mut ensemble, 3);
            ensemble.await_serving();
        }
    }
}

fn logged(data: &Path, text: &[u8]) -> bool {
    let entries = std::fs::read_dir(data.join("version-2")).expect("the directory is ours");
    let logs = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with("log."));
    logs.flat_map(|entry| std::fs::read(entry.path()))
        .any(|bytes| bytes.windows(text.len()).any(|at| at == text))
}

#[test]
fn ours_with_an_uncommitted_tail_cuts_it_for_a_leader_of_the_reference() {
    loses_its_uncommitted_tail(&[Apache, Apache, Ours], |_| ());
}

#[test]
fn ours_with_an_uncommitted_tail_joins_a_later_epoch_of_the_reference() {
    loses_its_uncommitted_tail(&[Apache, Apache, Ours], |ensemble| written(ensemble, 1, "/later", 20));
}

#[test]
fn the_reference_with_an_uncommitted_tail_loses_it_under_our_leader() {
    loses_its_uncommitted_tail(&[Ours, Ours, Apache], |_| ());
}

#[test]
fn the_reference_with_an_uncommitted_tail_joins_our_later_epoch() {
    loses_its_uncommitted_tail(&[Ours, Ours, Apache], |ensemble| written(ensemble, 1, "/later", 20));
}
