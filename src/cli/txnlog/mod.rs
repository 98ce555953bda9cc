//! `zkops txnlog`: what stands in a server's logs.
//!
//! - [`print`], [`who`], [`check`], [`chop`]: one file a verb
//! - [`reading`]: the files behind a path, read from the first to the last, and what stands in the way told

mod check;
mod chop;
mod print;
mod reading;
mod who;

use super::env::Env;
use super::opts_files::{Txnlog, TxnlogVerb};
use crate::report::{Exit, Failure};

pub(super) fn run(opts: &Txnlog, env: &Env) -> Result<Exit, Failure> {
    if opts.verb.is_some() && opts.print.is_typed() {
        let what = "what stands before the second verb is of print, which that is not";
        return Err(Failure::new(Exit::Usage, what).next("zkops txnlog --help"));
    }
    match &opts.verb {
        None => print::run(&opts.print, env),
        Some(TxnlogVerb::Print(print)) => print::run(print, env),
        Some(TxnlogVerb::Who(who)) => who::run(who, env),
        Some(TxnlogVerb::Check(check)) => check::run(check, env),
        Some(TxnlogVerb::Chop(chop)) => chop::run(chop, env),
    }
}
