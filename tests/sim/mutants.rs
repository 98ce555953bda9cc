//! Do the checkers have teeth? Every hand-made fault of the server (`zkops::mutants`) must be found. The faults are
//! there with the cargo feature `mutants` only.

use std::ops::Range;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use zkops::mutants::Mutant;

use crate::run::run;
use crate::scenario::Scenario;

/// Makes this thread's servers misbehave from now on.
#[cfg(feature = "mutants")]
pub(crate) fn switch_on(mutant: Option<Mutant>) {
    zkops::mutants::switch_on(mutant);
}

/// Without the feature there is nothing to switch on.
#[cfg(not(feature = "mutants"))]
pub(crate) fn switch_on(mutant: Option<Mutant>) {
    if let Some(mutant) = mutant {
        println!("{} cannot be switched on: build with --features mutants", mutant.name());
        std::process::exit(2);
    }
}

/// Faults that no run has shown yet, or only a rare one: gaps of the simulator, or no faults (docs/testing.md says
/// which is thought).
/// They are tried on a few seeds and reported; found ones must leave this list.
const OPEN: [Mutant; 6] = [
    Mutant::LogNameNotDurable,
    Mutant::OutbidLeaderStays,
    Mutant::PurgeDropsSpanningLog,
    Mutant::StaleEpochAccepted,
    Mutant::TaintedSnapshotPublished,
    Mutant::TruncateLeavesNewerLog,
];
const OPEN_SEEDS: u64 = 10;

/// How one mutant fared.
struct Found {
    seeds: u64,
    promise: &'static str,
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
                    switch_on(Some(*mutant));
                    let few = seeds.start..seeds.end.min(seeds.start + OPEN_SEEDS);
                    let range = if OPEN.contains(mutant) { few } else { seeds.clone() };
                    let found = find(range, chaos_us);
                    switch_on(None);
                    rows.lock().expect("no thread has panicked").push((*mutant, found));
                }
            });
        }
    });
    let mut rows = rows.into_inner().expect("no thread has panicked");
    rows.sort_by_key(|(mutant, _)| mutant.name());
    for (mutant, found) in &rows {
        match found {
            Some(found) => println!("| {} | {} | {} |", mutant.name(), found.seeds, found.promise),
            None if OPEN.contains(mutant) => println!("| {} | open | |", mutant.name()),
            None => println!("| {} | not in {} | |", mutant.name(), seeds.end - seeds.start),
        }
    }
    let missed = rows.iter().filter(|(mutant, found)| found.is_none() && !OPEN.contains(mutant)).count();
    let found = rows.iter().filter(|(_, found)| found.is_some()).count();
    println!("{} of {} mutants found, {} open", found, rows.len(), rows.len() - found - missed);
    println!("mutants: {found} passed, {missed} failed");
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn find(seeds: Range<u64>, chaos_us: u64) -> Option<Found> {
    let from = seeds.start;
    seeds.into_iter().find_map(|seed| {
        let violation = run(&Scenario::draw(seed, chaos_us), false, false).violation?;
        Some(Found { seeds: seed - from + 1, promise: violation.promise })
    })
}
