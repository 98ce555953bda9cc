//! The machine's time: milliseconds since a connection began.

use std::time::{Duration, Instant};

/// One connection's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock { origin: Instant::now() }
    }

    pub(crate) fn now_ms(self) -> u64 {
        self.origin.elapsed().as_millis() as u64
    }

    /// Waits for a deadline; `u64::MAX` never comes.
    pub(crate) async fn reach(self, deadline_ms: u64) {
        match deadline_ms {
            u64::MAX => std::future::pending().await,
            ms => tokio::time::sleep_until((self.origin + Duration::from_millis(ms)).into()).await,
        }
    }
}
