//! What is being done on a host just now, for whoever shows it.

use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// It is dialled, and its agent started.
    Connecting,
    /// Bytes of our binary are on their way.
    Pushing { sent: u64, total: u64 },
    /// It is asked how it is.
    Looking,
}

/// Told of every change of [`Doing`], by the member's name.
pub type Watcher = Arc<dyn Fn(&str, Doing) + Send + Sync>;
