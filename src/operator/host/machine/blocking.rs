//! Work that waits for a disk, away from the threads that answer.

use crate::operator::host::failure::{Failure, Kind};

/// Work with files, on a thread that may wait for a disk.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.unwrap_or_else(|error| Err(Failure::new("answer", "the request", Kind::Io, error)))
}
