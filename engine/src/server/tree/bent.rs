//! This room's rules as a careless engineer would have written them: the [mutants](crate::server::mutants) of the
//! replicated state. A rule asks here on one line of its own; what each mistake breaks, and the schedule that shows
//! it, stands in the catalogue.
//!
//! `Some`, or `true`, while the mistake is chosen. Without the cargo feature `mutants` every answer is the constant
//! `None` or `false`, inlined always, and the line in the rule is gone. It imports no file that asks it.

use crate::server::mutants::{Mutant, on};
use crate::wire::proto::Owner;

// Prepare.

/// [`Mutant::FailedMultiKeptInView`].
#[inline(always)]
pub(super) fn keeps_failed_multi() -> bool {
    on(Mutant::FailedMultiKeptInView)
}

/// [`Mutant::PreparedAgainstApplied`].
#[inline(always)]
pub(super) fn sees_only_what_is_applied() -> bool {
    on(Mutant::PreparedAgainstApplied)
}

/// [`Mutant::SequenceFromChildCount`]: the number of the next sequential child.
#[inline(always)]
pub(super) fn sequence_number(child_count: u32) -> Option<i32> {
    on(Mutant::SequenceFromChildCount).then_some(child_count as i32)
}

// Apply.

/// [`Mutant::FailedMultiApplied`].
#[inline(always)]
pub(super) fn applies_failed_multi() -> bool {
    on(Mutant::FailedMultiApplied)
}

/// [`Mutant::ClosedSessionStaysKnown`].
#[inline(always)]
pub(super) fn keeps_closed_session() -> bool {
    on(Mutant::ClosedSessionStaysKnown)
}

// Load.

/// [`Mutant::SessionsLostOnLoad`].
#[inline(always)]
pub(super) fn forgets_loaded_sessions() -> bool {
    on(Mutant::SessionsLostOnLoad)
}

/// [`Mutant::EphemeralsLostOnLoad`]: whose a loaded node is.
#[inline(always)]
pub(super) fn loaded_owner() -> Option<Owner> {
    on(Mutant::EphemeralsLostOnLoad).then_some(Owner::None)
}
