//! Do the checkers have teeth? Every hand-made fault of the server (`zkops::server::mutants`) must be found. The faults are
//! there with the cargo feature `mutants` only.

use std::ops::Range;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use zkops::server::mutants::Mutant;

use crate::run::run;
use crate::scenario::Scenario;

/// Makes this thread's servers misbehave from now on.
#[cfg(feature = "mutants")]
pub(crate) fn switch_on(mutant: Option<Mutant>) {
    zkops::server::mutants::switch_on(mutant);
}

/// Without the feature there is nothing to switch on.
#[cfg(not(feature = "mutants"))]
pub(crate) fn switch_on(mutant: Option<Mutant>) {
    if let Some(mutant) = mutant {
        println!("{} cannot be switched on: build with --features mutants", mutant.name());
        std::process::exit(2);
    }
}

/// How one mutant fared.
enum Fared {
    Found {
        seeds: u64,
        promise: &'static str,
    },
    /// How many of the runs came to its place at all.
    Missed {
        reached: u64,
    },
}

/// How often this thread's servers came to the chosen mistake's place.
fn reached() -> u64 {
    #[cfg(feature = "mutants")]
    return zkops::server::mutants::reached();
    #[cfg(not(feature = "mutants"))]
    return 0;
}

/// Runs the seeds with each mutant until one fails; prints the table of docs/testing.md. Fails unless every mutant
/// was found.
pub(crate) fn table(seeds: Range<u64>, chaos_us: u64, threads: usize) -> ExitCode {
    let next = AtomicUsize::new(0);
    let rows = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while let Some(mutant) = Mutant::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let fared = find(*mutant, seeds.clone(), chaos_us);
                    rows.lock().expect("no thread has panicked").push((*mutant, fared));
                }
            });
        }
    });
    let mut rows = rows.into_inner().expect("no thread has panicked");
    rows.sort_by_key(|(mutant, _)| mutant.name());
    let mut missed = 0;
    for (mutant, fared) in &rows {
        match fared {
            Fared::Found { seeds, promise } => println!("| {} | {seeds} | {promise} |", mutant.name()),
            Fared::Missed { reached } => {
                missed += 1;
                let all = seeds.end - seeds.start;
                println!("| {} | not in {all} | reached in {reached} |", mutant.name());
            }
        }
    }
    println!("mutants: {} passed, {missed} failed", rows.len() - missed);
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn find(mutant: Mutant, seeds: Range<u64>, chaos_us: u64) -> Fared {
    let from = seeds.start;
    let mut reached_in = 0;
    for seed in seeds {
        switch_on(Some(mutant));
        let violation = run(&Scenario::draw(seed, chaos_us), false, false).violation;
        reached_in += u64::from(reached() > 0);
        switch_on(None);
        if let Some(violation) = violation {
            return Fared::Found { seeds: seed - from + 1, promise: violation.promise };
        }
    }
    Fared::Missed { reached: reached_in }
}
