//! Carries out a plan: waves in order, members in parallel, the lock held, every step in the
//! journal before and after, every gate with one deadline. It decides nothing: what to do is the
//! plan's business, whether a gate holds is asked of `plan::gate`.
//!
//! - [`run`]: who carries out what; [`waves`]: the plan in order; `steps`: those of one wave
//! - `act`: one step on one host
//! - `gates`: waiting until a gate is open
//! - `lock`, `journal`: who changes what, for the next operator
//! - `aftermath`: what a failed run says

mod act;
mod aftermath;
mod gates;
mod journal;
mod lock;
pub mod run;
mod steps;
pub mod waves;
