//! What the log thread does with a batch: everything in order, durable with one fsync, and only then said. It has
//! no thread and no channel, so that the simulator's log works the same.

use crate::server::store::disk::Disk;
use crate::server::store::{Done, Recovered, Refusal, Store};
use crate::server::zab::{PersistId, PersistOp};

/// What came of a batch, in order.
#[derive(Debug)]
pub enum Written {
    /// Everything up to `id` is durable; `ops` of the batch are done with.
    Persisted { id: PersistId, ops: usize },
    /// A truncation's answer: the state that is left.
    Reloaded { id: PersistId, ops: usize, recovered: Box<Recovered> },
    /// What a human should know of what was done.
    Note(String),
    /// The log has grown enough: a snapshot would shorten the next start.
    SnapshotDue,
}

/// Writes what waits, in order, and empties `waiting`.
///
/// # Errors
/// The disk failed: nothing of the batch may be called durable, and the store takes nothing more.
pub fn write<D: Disk>(
    store: &mut Store<D>,
    waiting: &mut Vec<(PersistId, PersistOp)>,
) -> Result<Vec<Written>, Refusal> {
    let (ids, ops): (Vec<PersistId>, Vec<PersistOp>) = waiting.drain(..).unzip();
    if ops.is_empty() {
        return Ok(Vec::new());
    }
    let done = store.apply_batch(&ops)?;
    let mut written = Vec::new();
    let mut since = 0;
    for (at, (id, done)) in ids.iter().zip(done).enumerate() {
        if let Done::Reloaded(recovered) = done {
            // What stood before the truncation is told first: a reload answers for itself alone.
            if since > 0 {
                written.push(Written::Persisted { id: ids[at - 1], ops: since });
            }
            written.push(Written::Reloaded { id: *id, ops: 1, recovered });
            since = 0;
        } else {
            since += 1;
        }
    }
    if since > 0
        && let Some(id) = ids.last()
    {
        written.push(Written::Persisted { id: *id, ops: since });
    }
    written.extend(store.take_notes().into_iter().map(Written::Note));
    if store.is_snapshot_due() {
        store.roll()?;
        written.push(Written::SnapshotDue);
    }
    Ok(written)
}
