//! A member's data as it is found on a host.
//!
//! | file | what it is about |
//! |---|---|
//! | `records` | what is asked and answered: all that an operator imports |
//! | `inspect` | identity, epochs, logs, snapshots, damage |
//! | `marker` | whose data it is |

pub(super) mod inspect;
pub(super) mod marker;
mod records;

#[cfg(test)]
mod tests;

pub use records::{Damage, DataFile, InspectData, Inspection, Number, NumberFile, OddFile, WriteMarker};
