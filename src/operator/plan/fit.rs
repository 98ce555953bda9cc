//! Whether a member's server may be started on what its host shows: asked by every verb that starts one. The table says
//! which causes forbid it; damage does not where the server heals it by itself (docs/storage.md).

use super::cures::Cause;
use super::damage::Damage;
use super::desired::Desired;
use super::facts::Facts;
use super::{Refused, Stop, diagnosis};
use crate::wire::ids::ServerId;

/// # Errors
/// Refused where it would end at once, or must not run: another's data, a zoo.cfg that no server takes, no room, damage
/// that nobody is left to heal.
pub(super) fn to_start(desired: &Desired, facts: &Facts, id: ServerId) -> Result<(), Stop> {
    let unfit = diagnosis::diagnose(desired, facts, id).into_iter().find(|found| {
        found.cause.forbids_start() || found.cause == Cause::DamagedData && !heals(desired, facts, id)
    });
    let Some(found) = unfit else { return Ok(()) };
    let next = match found.next.is_empty() {
        true => vec![format!("zkops repair {}", desired.name(id))],
        false => found.next,
    };
    Err(Stop::Refused(Refused { what: found.what, evidence: found.evidence, next }))
}

/// # Errors
/// Refused where a server runs on a directory that is elsewhere by now: what would be put in its old place is not its data;
/// and where a service is masked: a roll would stop what nothing starts again.
pub(super) fn in_place(desired: &Desired, facts: &Facts) -> Result<(), Stop> {
    let moved = |id: &ServerId| {
        let found = diagnosis::diagnose(desired, facts, *id);
        found.into_iter().find(|found| matches!(found.cause, Cause::DataMoved | Cause::UnitMasked))
    };
    let Some(found) = desired.members.keys().find_map(moved) else { return Ok(()) };
    Err(Stop::Refused(Refused { what: found.what, evidence: found.evidence, next: found.next }))
}

/// The damage is of a kind that a leader's data makes good, and enough others may have it.
pub(super) fn heals(desired: &Desired, facts: &Facts, id: ServerId) -> bool {
    let Some(data) = facts.host(id).and_then(|host| host.data.is()) else { return false };
    let others = intact(desired, facts).into_iter().filter(|other| *other != id).count();
    data.damage.iter().all(Damage::heals) && others >= desired.majority()
}

/// Voters whose data nothing shows to be gone or damaged; what was not seen may be whole.
pub(super) fn intact(desired: &Desired, facts: &Facts) -> Vec<ServerId> {
    let lost = |cause: Cause| matches!(cause, Cause::DamagedData | Cause::LostData | Cause::ForeignData);
    let whole =
        |id: &ServerId| diagnosis::diagnose(desired, facts, *id).iter().all(|found| !lost(found.cause));
    desired.voters().map(|voter| voter.id).filter(whole).collect()
}
