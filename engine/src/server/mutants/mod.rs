//! Hand-made faults of consensus and storage: what a careless engineer would have written, one at a time, so that
//! the simulator can show that it would have noticed. Here is the switch, the faults are in [`catalogue`].
//!
//! What each makes of a rule stands in the file `bent.rs` of the rule's room, and nowhere else.
//!
//! Without the cargo feature `mutants` nothing can be switched on: [`on`] is the constant `false`, and every hook is
//! gone from the program before it is optimised. It imports nothing, so that any folder may ask it.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod catalogue;

pub use catalogue::Mutant;

#[cfg(feature = "mutants")]
mod switch {
    use std::cell::Cell;

    use super::Mutant;

    thread_local! {
        // Of the thread, not of the process: simulations of several seeds run side by side.
        static CHOSEN: Cell<Option<Mutant>> = const { Cell::new(None) };
        static REACHED: Cell<u64> = const { Cell::new(0) };
    }

    /// A program that can misbehave says so in its bytes: the test that looks for these names in what is shipped
    /// finds them here.
    #[used]
    static BUILT_WITH: [&str; Mutant::ALL.len()] = Mutant::NAMES;

    /// Whether this thread's servers make this mistake.
    pub fn on(mutant: Mutant) -> bool {
        let is_on = CHOSEN.get() == Some(mutant);
        if is_on {
            REACHED.set(REACHED.get() + 1);
        }
        is_on
    }

    /// Chooses the mistake of this thread's servers from now on, and counts anew.
    pub fn switch_on(mutant: Option<Mutant>) {
        CHOSEN.set(mutant);
        REACHED.set(0);
    }

    /// How often this thread has come to the chosen mistake's place: a run that never did cannot find it.
    pub fn reached() -> u64 {
        REACHED.get()
    }
}

#[cfg(feature = "mutants")]
pub use switch::{on, reached, switch_on};

/// Whether this thread's servers make this mistake: never, in a program that is shipped.
#[cfg(not(feature = "mutants"))]
#[inline(always)]
pub const fn on(_: Mutant) -> bool {
    false
}

#[cfg(test)]
mod tests;
