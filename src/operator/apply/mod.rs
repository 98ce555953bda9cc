//! Carries out a plan: waves in order, members in parallel, the lock held, every step in the
//! journal before and after, every gate with one deadline. It decides nothing: what to do is the
//! plan's business, whether a gate holds is asked of `plan::gate`.
//!
//! - [`run`]: who carries out what; [`waves`]: the plan in order; `steps`: those of one wave
//! - `act`: one step on one host; `files`: what it does to files there; `retire`: an old server that must never run again
//! - `gates`: waiting until a gate is open
//! - `lock`, `journal`: who changes what, for the next operator
//! - `aftermath`, `stopped`: what a run says that failed, or was told to stop
//! - `excerpt`: which lines of a log are a run's story

mod act;
mod aftermath;
mod excerpt;
mod files;
mod gates;
mod journal;
pub mod lock;
mod retire;
pub mod run;
mod steps;
mod stopped;
pub mod waves;
