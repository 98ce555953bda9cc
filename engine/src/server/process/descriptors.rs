//! How many connections fit: a process has so many descriptors, and some must be left for the log, for snapshots and for
//! the other members, whoever else comes.

use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::Semaphore;

/// Places for connections, by port.
#[derive(Debug, Clone)]
pub(super) struct Places {
    pub(super) clients: Arc<Semaphore>,
    /// At the election port and at the quorum port.
    pub(super) peers: [Arc<Semaphore>; 2],
}

impl Places {
    /// Takes all descriptors that the system lets this process have, and divides them between clients and so many other
    /// members.
    pub(super) fn of_this_process(members: usize) -> Places {
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        // Not being allowed to is no harm: there is a limit either way.
        let limit = if setrlimit(Resource::Nofile, raised).is_ok() { raised } else { limit };
        let all = limit.current.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let (clients, peers) = divide(all, members);
        if clients < FEW {
            tracing::warn!(
                "this process may have {all} descriptors (ulimit -n), which leaves {clients} for clients: raise the limit \
                 (LimitNOFILE= of its service)"
            );
        }
        let places = |count| Arc::new(Semaphore::new(count));
        Places { clients: places(clients), peers: [places(peers), places(peers)] }
    }
}

/// (for clients, for each of the two ports between servers) of so many descriptors. Callers that have not said who they
/// are make room for each other well below that (`zab`'s door, `peer_link`), so that members always find a place.
fn divide(all: usize, members: usize) -> (usize, usize) {
    let all = all.min(Semaphore::MAX_PERMITS);
    let peers = STRANGERS + 2 * members;
    (all.saturating_sub(FILES + 2 * peers).max(all / 4), peers)
}

/// Logs, snapshots, directories, listeners, the runtime's own, and what is dialled.
const FILES: usize = 48;
/// Callers at a port between servers beside the members, each of which may have two connections for a moment.
const STRANGERS: usize = 48;
/// Fewer clients than this are worth a word at the start.
const FEW: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_get_what_is_left_and_files_and_peers_have_theirs() {
        let divided = [64, 256, 1024, 65_536].map(|all| divide(all, 3));
        assert_eq!(divided, [(16, 54), (100, 54), (868, 54), (65_380, 54)]);
    }
}
