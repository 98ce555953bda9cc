//! Questions to the state thread: what its replica looks like. It answers each from one step, with plain data; what
//! is made of that, and everything that may take time, is the asker's.

use tokio::sync::{mpsc, oneshot};

use crate::server::replica::{Status, Wanted};

/// A question, and the way back.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) wanted: Wanted,
    pub(super) answer: oneshot::Sender<Box<Status>>,
}

/// Where questions are put.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    asks: mpsc::Sender<Ask>,
}

impl Asker {
    /// What the replica looks like after the batch at hand; `None` when the server is ending.
    pub(super) async fn status(&self, wanted: Wanted) -> Option<Box<Status>> {
        let (answer, status) = oneshot::channel();
        self.asks.send(Ask { wanted, answer }).await.ok()?;
        status.await.ok()
    }
}

/// The way between askers and the state thread.
pub(super) fn channel() -> (Asker, mpsc::Receiver<Ask>) {
    let (asks, asked) = mpsc::channel(ASKS_MAX);
    (Asker { asks }, asked)
}

/// Questions that wait for the state thread; who asks one more waits with it.
const ASKS_MAX: usize = 64;
