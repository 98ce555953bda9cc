//! A member's data as it is found on a host.
//!
//! | file | what it is about |
//! |---|---|
//! | [`inspect`] | identity, epochs, logs, snapshots, damage |
//! | [`marker`] | whose data it is |

pub mod inspect;
pub mod marker;

#[cfg(test)]
mod tests;

pub use inspect::{DataFile, InspectData, Inspection, Number};
pub use marker::{Marker, WriteMarker};
