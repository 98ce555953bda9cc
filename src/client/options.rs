//! What a client may be told beside where to connect.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use super::Route;

/// How a session behaves. `Options::default()` is what the reference client does.
#[derive(Debug, Clone)]
pub struct Options {
    /// The session timeout to ask for; the server clamps it (client-protocol §1.3).
    pub session_timeout: Duration,
    /// How long one call may take before it fails with [`super::Error::Timeout`].
    pub request_timeout: Duration,
    /// Servers without a quorum will do: reads work there, writes fail (§9.1).
    pub read_only: bool,
    /// A longer frame from the server drops the connection. Larger than the server's own limit,
    /// because a children list may outgrow that (§9.4).
    pub frame_bytes_max: usize,
    /// Upper end of the random pause before a reconnect (§12: 0–999 ms).
    pub reconnect_pause_max: Duration,
    /// Decides the server order and the pauses. The default is different in every client.
    pub seed: u64,
    /// How connections to servers are opened.
    pub route: Route,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            session_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(30),
            read_only: false,
            frame_bytes_max: 16 << 20,
            reconnect_pause_max: Duration::from_millis(999),
            // The standard library's hasher keys are its only random numbers: enough for a shuffle.
            seed: RandomState::new().build_hasher().finish(),
            route: Route::Direct,
        }
    }
}
