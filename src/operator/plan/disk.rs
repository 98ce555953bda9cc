//! Room on the members' disks, as their servers or their hosts tell: what is known, and what will happen where it runs
//! out. A member with a full disk serves until the next write that does not fit; the verdict is not touched.

use super::desired::Desired;
use super::facts::Facts;
use super::preflight::bytes;
use crate::wire::ids::ServerId;

/// Free where the data of `id` is, on the fuller of its file systems; `None`: neither its server nor its host says.
pub(super) fn free_bytes(desired: &Desired, facts: &Facts, id: ServerId) -> Option<u64> {
    let by_server = facts.server(id).and_then(|server| server.disk_free_bytes);
    let by_host = facts.host(id).and_then(|host| {
        let dirs = desired.members.get(&id)?.directories();
        dirs.into_iter().filter_map(|dir| Some(host.dir(dir).room.is()?.free_bytes)).min()
    });
    by_server.into_iter().chain(by_host).min()
}

/// One line for every member that is about to run out.
pub(super) fn warnings(desired: &Desired, facts: &Facts) -> Vec<String> {
    let low = |id: &ServerId| {
        // Who does not serve has a reason of its own, which says what to do.
        facts.server(*id)?;
        let free = free_bytes(desired, facts, *id).filter(|free| *free < LOW_BYTES)?;
        let name = desired.name(*id);
        Some(format!(
            "{name} has {} of disk left: with the first write that does not fit its server stops, and it does not \
             start again before there is room: free some on its host",
            bytes(free)
        ))
    };
    desired.members.keys().filter_map(low).collect()
}

/// Two or three transaction logs as the server allocates them (64 MiB each), and a snapshot.
const LOW_BYTES: u64 = 256 << 20;
