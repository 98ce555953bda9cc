//! Do the checkers have teeth? Every hand-made fault of the server (`zkops::server::mutants`) must be found. The faults are
//! there with the cargo feature `mutants` only.

use std::ops::Range;
use std::process::ExitCode;
use std::sync::Mutex;

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
    let search = Search::new(seeds.clone());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while let Some((index, seed)) = search.next() {
                    search.note(index, seed, &tried(Mutant::ALL[index], seed, chaos_us));
                }
            });
        }
    });
    let mut rows = search.into_rows();
    rows.sort_by_key(|(mutant, _)| mutant.name());
    let mut missed = 0;
    for (mutant, fared) in &rows {
        match fared.found {
            Some((seed, promise)) => {
                println!("| {} | {} | {promise} |", mutant.name(), seed - seeds.start + 1);
            }
            None => {
                missed += 1;
                let all = seeds.end - seeds.start;
                println!("| {} | not in {all} | reached in {} |", mutant.name(), fared.reached);
            }
        }
    }
    println!("mutants: {} passed, {missed} failed", rows.len() - missed);
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One run.
fn tried(mutant: Mutant, seed: u64, chaos_us: u64) -> Tried {
    switch_on(Some(mutant));
    let violation = run(&Scenario::draw(seed, chaos_us), false, false).violation;
    let tried = Tried { reached: reached() > 0, promise: violation.map(|violation| violation.promise) };
    switch_on(None);
    tried
}

struct Tried {
    /// The servers came to the mistake's place.
    reached: bool,
    /// What was broken.
    promise: Option<&'static str>,
}

/// How one mutant fares.
#[derive(Clone, Default)]
struct Fared {
    /// The first seed that fails, and how.
    found: Option<(u64, &'static str)>,
    /// In how many runs its place was reached.
    reached: u64,
}

/// The runs in their order: what found a rare one before, then each seed with all mutants that no seed before it has
/// found. So a mutant that takes a thousand seeds keeps all processors busy, and not one alone at the end.
struct Search {
    seeds: Range<u64>,
    state: Mutex<State>,
}

struct State {
    /// Seeds that found a mutant before, by its index.
    known: Vec<(usize, u64)>,
    next: (usize, u64),
    fared: Vec<Fared>,
}

impl Search {
    fn new(seeds: Range<u64>) -> Search {
        let fared = vec![Fared::default(); Mutant::ALL.len()];
        let index = |name: &str| Mutant::ALL.iter().position(|mutant| mutant.name() == name);
        let known = RARE.iter().filter(|(_, seed)| seeds.contains(seed));
        let known = known.filter_map(|(name, seed)| Some((index(name)?, *seed))).collect();
        Search { state: Mutex::new(State { known, next: (0, seeds.start), fared }), seeds }
    }

    fn next(&self) -> Option<(usize, u64)> {
        let mut state = self.state.lock().expect("no thread has panicked");
        if let Some(known) = state.known.pop() {
            return Some(known);
        }
        while state.next.1 < self.seeds.end && state.fared.iter().any(|fared| fared.found.is_none()) {
            let (index, seed) = state.next;
            state.next = if index + 1 < state.fared.len() { (index + 1, seed) } else { (0, seed + 1) };
            if state.fared[index].found.is_none() {
                return Some((index, seed));
            }
        }
        None
    }

    fn note(&self, index: usize, seed: u64, tried: &Tried) {
        let mut state = self.state.lock().expect("no thread has panicked");
        let fared = &mut state.fared[index];
        fared.reached += u64::from(tried.reached);
        if let Some(promise) = tried.promise
            && fared.found.is_none_or(|(before, _)| seed < before)
        {
            fared.found = Some((seed, promise));
        }
    }

    fn into_rows(self) -> Vec<(Mutant, Fared)> {
        let state = self.state.into_inner().expect("no thread has panicked");
        Mutant::ALL.iter().copied().zip(state.fared).collect()
    }
}

/// Which seed found a mutant that takes hundreds of them. It is tried first, and all the others when it finds it no
/// more; then the next is written here.
const RARE: [(&str, u64); 7] = [
    ("sync-by-deposed-leader", 1776),
    ("outbid-leader-stays", 1640),
    ("truncate-leaves-newer-log", 406),
    ("impossible-round-believed", 336),
    ("client-ahead-taken", 127),
    ("purge-drops-spanning-log", 115),
    ("foreign-snapshot-installed", 81),
];
