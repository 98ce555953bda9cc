//! Carries out a plan: waves in order, members in parallel, the lock held, every step in the
//! journal before and after, every gate with one deadline. It decides nothing: what to do is the
//! plan's business, whether a gate holds is asked of `plan::gate`.
//!
//! - [`run`]: who carries out what; [`waves`]: the plan in order; `steps`: those of one wave
//! - `act`: one step on one host; `files`: what it does to files there; `retire`: an old server that must never run again
//! - `gates`: waiting until a gate is open
//! - `lock`, `journal`: who changes what, for the next operator
//! - `aftermath`: what a failed run says

mod act;
mod aftermath;
mod files;
mod gates;
mod journal;
mod lock;
mod retire;
pub mod run;
mod steps;
pub mod waves;
