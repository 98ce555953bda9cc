//! Executes what `zab` wants persisted, on the log thread: [`PersistOp`]s in, [`Done`]s out.

use super::bent;
use super::disk::Disk;
use super::recover::Recovered;
use super::refusal::Result;
use super::store::Store;
use crate::server::zab::PersistOp;

/// What one operation of a batch came to.
#[derive(Debug)]
pub enum Done {
    /// It is durable.
    Durable,
    /// The answer to a truncation: the state as it is on disk now, durable. When this disk could
    /// not go back that far nothing was changed and the state is still beyond it.
    Reloaded(Box<Recovered>),
}

impl<D: Disk> Store<D> {
    /// Executes operations in order. Appends in a row share one sync; everything else happens only
    /// after what stands before it is durable. Returns one [`Done`] per operation.
    pub fn apply_batch(&mut self, ops: &[PersistOp]) -> Result<Vec<Done>> {
        let mut done = Vec::with_capacity(ops.len());
        for op in ops {
            done.push(match op {
                PersistOp::Append { zxid, txn } => {
                    self.append(*zxid, txn)?;
                    Done::Durable
                }
                PersistOp::AcceptedEpoch(epoch) => {
                    self.write_accepted_epoch(*epoch)?;
                    Done::Durable
                }
                PersistOp::CurrentEpoch(epoch) => {
                    self.write_current_epoch(*epoch)?;
                    Done::Durable
                }
                PersistOp::Truncate { to } => Done::Reloaded(Box::new(self.truncate(*to)?)),
                PersistOp::InstallSnapshot { zxid, body } => {
                    self.install_snapshot(*zxid, body)?;
                    Done::Durable
                }
                PersistOp::Whole => {
                    self.declare_whole()?;
                    Done::Durable
                }
            });
        }
        if !bent::reports_before_flush() {
            self.flush()?;
        }
        Ok(done)
    }
}
