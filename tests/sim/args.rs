//! The command line: which seeds, how loud, on how many threads; and what is printed.

use std::ops::Range;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use zkops::server::mutants::Mutant;

use crate::mutants;
use crate::run::{Verdict, run};
use crate::scenario::{SECOND, Scenario};
use crate::shrink::shrink;

/// Runs the whole ensemble under a deterministic simulator.
#[derive(Parser, Debug, Clone)]
struct Args {
    /// Seeds to run, the last one not included.
    #[arg(long, default_value = "0..100", value_parser = seeds)]
    seeds: Range<u64>,
    /// One seed, with everything that happens printed.
    #[arg(long)]
    trace: Option<u64>,
    /// How long faults go on, in simulated seconds.
    #[arg(long, default_value_t = 48)]
    chaos: u64,
    /// All processors unless told otherwise.
    #[arg(long, default_value_t = std::thread::available_parallelism().map_or(1, usize::from))]
    threads: usize,
    /// Print a line for seeds that fail only, not for every one.
    #[arg(long)]
    quiet: bool,
    /// Run every seed twice and compare.
    #[arg(long)]
    twice: bool,
    /// Go on after the first failing seed.
    #[arg(long)]
    keep_going: bool,
    /// Switch one hand-made fault on (needs `--features mutants`), by its name.
    #[arg(long, value_parser = mutant)]
    mutant: Option<Mutant>,
    /// Run every mutant until it is found, at most over the seeds given; print the table.
    #[arg(long)]
    mutants: bool,
    /// Do not cut a failing plan down.
    #[arg(long)]
    no_shrink: bool,
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("write A..B")?;
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text}: {error}"));
    Ok(number(from)?..number(to)?)
}

fn mutant(name: &str) -> Result<Mutant, String> {
    Mutant::parse(name).ok_or_else(|| format!("no mutant is called {name}"))
}

#[derive(Default)]
struct Totals {
    runs: u64,
    failed: Vec<u64>,
    seconds: f64,
    events: u64,
    committed: u64,
    answered: u64,
}

pub(crate) fn main() -> ExitCode {
    let args = Args::parse();
    // A panic of the code under test is a verdict; its message is in the violation.
    std::panic::set_hook(Box::new(|_| {}));
    if let Some(seed) = args.trace {
        mutants::switch_on(args.mutant);
        let verdict = run(&Scenario::draw(seed, args.chaos * SECOND), true, true);
        println!("{}", line(seed, &verdict));
        return if verdict.violation.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    if args.mutants {
        return mutants::table(args.seeds, args.chaos * SECOND, args.threads);
    }
    let started = Instant::now();
    let totals = Mutex::new(Totals::default());
    let next = AtomicU64::new(args.seeds.start);
    std::thread::scope(|scope| {
        for _ in 0..args.threads.max(1) {
            scope.spawn(|| work(&args, &next, &totals));
        }
    });
    let totals = totals.into_inner().expect("no thread has panicked");
    let wall = started.elapsed().as_secs_f64();
    println!(
        "{} seeds, {:.1} simulated hours in {wall:.0} s: {:.2} simulated hours per second; {} events, {} transactions \
         committed, {} requests answered",
        totals.runs,
        totals.seconds / 3600.0,
        totals.seconds / 3600.0 / wall,
        totals.events,
        totals.committed,
        totals.answered
    );
    println!("{} passed, {} failed", totals.runs - totals.failed.len() as u64, totals.failed.len());
    if totals.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn work(args: &Args, next: &AtomicU64, totals: &Mutex<Totals>) {
    mutants::switch_on(args.mutant);
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        let stop = |totals: &Totals| !args.keep_going && !totals.failed.is_empty();
        if seed >= args.seeds.end || stop(&totals.lock().expect("no thread has panicked")) {
            return;
        }
        let scenario = Scenario::draw(seed, args.chaos * SECOND);
        let verdict = run(&scenario, false, false);
        let differs = args.twice && run(&scenario, false, false).hash != verdict.hash;
        {
            let mut totals = totals.lock().expect("no thread has panicked");
            totals.runs += 1;
            totals.seconds += verdict.seconds;
            totals.events += verdict.events;
            totals.committed += verdict.committed as u64;
            totals.answered += verdict.answered;
            if verdict.violation.is_some() || differs {
                totals.failed.push(seed);
            }
        }
        if differs {
            println!("seed {seed}: two runs differ");
        }
        if !args.quiet || verdict.violation.is_some() {
            println!("{}", line(seed, &verdict));
        }
        if let Some(violation) = &verdict.violation
            && !args.no_shrink
        {
            report(seed, &scenario, violation.promise);
        }
    }
}

fn line(seed: u64, verdict: &Verdict) -> String {
    let what = match &verdict.violation {
        None => "ok".to_owned(),
        Some(violation) => format!("FAILED {}: {}", violation.promise, violation.what),
    };
    format!(
        "seed {seed}: {what} [{:.1} s, {} events, {} committed, {} answered, hash {:016x}]",
        verdict.seconds, verdict.events, verdict.committed, verdict.answered, verdict.hash
    )
}

/// The failing plan, cut down, and how it ends.
fn report(seed: u64, scenario: &Scenario, promise: &str) {
    let (small, _) = shrink(scenario, promise);
    let verdict = run(&small, true, false);
    println!("--- seed {seed}, cut down to {} of {} faults:", small.faults.len(), scenario.faults.len());
    for (at, fault) in &small.faults {
        println!("    {:>10.1} ms  {fault:?}", *at as f64 / 1000.0);
    }
    let tail = verdict.lines.len().saturating_sub(40);
    verdict.lines[tail..].iter().for_each(|line| println!("{line}"));
    println!("{}", line(seed, &verdict));
}
