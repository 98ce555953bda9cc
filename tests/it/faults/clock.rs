//! Clocks. A time namespace gives a process another monotonic clock; members whose clocks are ages apart, and one that
//! comes back with another, must not notice. The wall clock has no namespace: `tests/lab/walltime.c` stands between a
//! server and the kernel, and steps it under a running process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use zkops::client::{Client, Options};
use zkops::wire::proto::{Acl, CreateMode};

use super::trial::Trial;
use crate::ensemble::{Ensemble, SOON};
use crate::run::{block_on, eventually, run};

const DAY: i64 = 24 * 3600;

/// What comes before a program that sees the machine's monotonic clock shifted by so much.
fn shifted(seconds: u64) -> Vec<String> {
    let seconds = seconds.to_string();
    ["unshare", "--time", "--monotonic", &seconds, "--boottime", &seconds].map(str::to_owned).to_vec()
}

#[test]
fn monotonic_clocks_are_ages_apart_and_jump_at_a_restart() {
    const YEAR: u64 = 365 * DAY as u64;
    let mut trial = Trial::with(3, 51, |_, random| {
        (1..=3).map(|n| (n, shifted(n as u64 * YEAR + random.below(YEAR)))).collect()
    });
    for _ in 0..3 {
        let n = *trial.random.one_of(&trial.members());
        trial.kill(n);
        let shift = trial.random.below(50 * YEAR);
        trial.launch_as(n, shifted(shift));
        trial.start_again(n);
        trial.ensemble.await_serving();
        trial.await_answers(100);
    }
    trial.finish();
}

/// How far the wall clock of one server's processes is off, in seconds.
struct WallClock {
    walltime: PathBuf,
    offset: PathBuf,
}

impl WallClock {
    fn new(ensemble: &Ensemble, n: usize) -> WallClock {
        let data = ensemble.data(n);
        let clock =
            WallClock { walltime: data.with_extension("walltime"), offset: data.with_extension("offset") };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/walltime.c");
        let (program, source) = (clock.walltime.display().to_string(), source.display().to_string());
        run("cc", &["-O2", "-o", &program, &source], &[]).ok();
        clock.step_to(0);
        clock
    }

    /// What comes before the server's program.
    fn launch(&self) -> Vec<String> {
        [&self.walltime, &self.offset].map(|path| path.display().to_string()).to_vec()
    }

    fn step_to(&self, seconds: i64) {
        std::fs::write(&self.offset, seconds.to_ne_bytes()).expect("the directory is ours");
    }
}

#[test]
fn wall_clocks_jump_by_years_under_running_members() {
    let mut clocks = BTreeMap::new();
    let mut trial = Trial::with(3, 52, |ensemble, _| {
        clocks = (1..=3).map(|n| (n, WallClock::new(ensemble, n))).collect();
        clocks.iter().map(|(n, clock)| (*n, clock.launch())).collect()
    });
    let mut offsets = BTreeMap::from([(1, 0), (2, 0), (3, 0)]);
    let mut step = |trial: &mut Trial, n: usize| {
        let days = trial.random.below(7300) as i64 - 3650;
        trial.say(&format!("the wall clock of {n} jumps to {days} days from now"));
        offsets.insert(n, days * DAY);
        clocks[&n].step_to(days * DAY);
        trial.await_answers(60);
        // It has jumped: a write bears the time of the leader, whoever that is.
        eventually("a write is dated by the leader's clock", SOON, || {
            let (leader, dated) = (trial.leader(), dated(trial));
            let off = dated - since_1970() - offsets[&leader];
            if off.abs() < DAY / 2 { Ok(()) } else { Err(format!("dated {off} s off the clock of {leader}")) }
        });
    };
    for _ in 0..3 {
        let leader = trial.leader();
        step(&mut trial, leader);
        let n = *trial.random.one_of(&trial.members());
        step(&mut trial, n);
    }
    // Another one leads, by a clock that may be years behind the last one's.
    let leader = trial.leader();
    trial.kill(leader);
    trial.await_answers(100);
    step(&mut trial, leader);
    trial.finish();
}

fn since_1970() -> i64 {
    UNIX_EPOCH.elapsed().expect("it is later than 1970").as_secs() as i64
}

/// The time of a new write, in seconds since 1970.
fn dated(trial: &Trial) -> i64 {
    let servers = trial.ensemble.addresses().parse().expect("addresses make a connect string");
    block_on(async {
        let client = Client::connect(servers, Options::default());
        client.connected(SOON).await.expect("the ensemble serves");
        let made = client.create2("/dated-", None, Acl::open(), CreateMode::EphemeralSequential).await;
        made.expect("the ensemble serves").stat.mtime_ms / 1000
    })
}
