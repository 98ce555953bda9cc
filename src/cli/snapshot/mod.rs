//! `zkops snapshot`: what stands in a server's snapshots.
//!
//! - [`print`] (also searches), [`check`], [`compare`]: one file a verb
//! - [`chosen`]: the snapshot that a path means

mod check;
mod chosen;
mod compare;
mod print;

use super::env::Env;
use super::opts_files::{Snapshot, SnapshotVerb, TreePrint};
use crate::report::{Exit, Failure};

pub(super) fn run(opts: &Snapshot, env: &Env) -> Result<Exit, Failure> {
    if opts.verb.is_some() && opts.print != TreePrint::default() {
        let what = "what stands before the second verb is of print, which that is not";
        return Err(Failure::new(Exit::Usage, what).next("zkops snapshot --help"));
    }
    match &opts.verb {
        None => print::run(&opts.print, env),
        Some(SnapshotVerb::Print(print)) => print::run(print, env),
        Some(SnapshotVerb::Search(search)) => print::search(search, env),
        Some(SnapshotVerb::Check(check)) => check::run(check, env),
        Some(SnapshotVerb::Compare(compare)) => compare::run(compare, env),
    }
}
