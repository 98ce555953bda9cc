//! Clocks. A time namespace gives a process another monotonic clock; members whose clocks are ages apart, and one that
//! comes back with another, must not notice. The wall clock has no namespace and a static binary cannot be
//! interposed, so jumps of that are the simulator's.

use super::trial::Trial;

/// What comes before a program that sees the machine's monotonic clock shifted by so much.
fn shifted(seconds: u64) -> Vec<String> {
    let seconds = seconds.to_string();
    ["unshare", "--time", "--monotonic", &seconds, "--boottime", &seconds].map(str::to_owned).to_vec()
}

#[test]
fn monotonic_clocks_are_ages_apart_and_jump_at_a_restart() {
    const YEAR: u64 = 365 * 24 * 3600;
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
