//! What one connection may make this server hold, and how much of a batch is its: the one who asks for more waits or is
//! closed, nobody else.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::wire::proto::Id;

/// Frames that came before their session was set up.
#[derive(Debug, Default)]
pub(super) struct Early {
    frames: VecDeque<Bytes>,
    held: usize,
}

/// The requests that one batch has taken of a connection.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Turn {
    batch: u64,
    taken: usize,
}

impl Early {
    /// Keeps a frame; false when it is one too many.
    pub(super) fn keep(&mut self, frame: Bytes) -> bool {
        self.held += frame.len();
        self.frames.push_back(frame);
        self.frames.len() == 1 || (self.frames.len() <= EARLY_FRAMES_MAX && self.held <= EARLY_LEN_MAX)
    }

    pub(super) fn into_frames(self) -> VecDeque<Bytes> {
        self.frames
    }
}

impl Turn {
    /// Whether this batch may take one more.
    pub(super) fn is_left(self, batch: u64) -> bool {
        self.batch != batch || self.taken < TURN_REQUESTS_MAX
    }

    pub(super) fn take(&mut self, batch: u64) {
        let before = if self.batch == batch { self.taken } else { 0 };
        *self = Turn { batch, taken: before + 1 };
    }
}

/// Whether a connection is more people than anybody.
pub(super) fn is_a_crowd(identities: &[Id]) -> bool {
    let len: usize = identities.iter().map(|id| id.scheme.len() + id.id.len()).sum();
    identities.len() > IDENTITIES_MAX || len > IDENTITIES_LEN_MAX
}

/// Frames taken from a connection before its session is set up, and their bytes. A client waits for the answer, so
/// more than a few is misuse.
const EARLY_FRAMES_MAX: usize = 64;
const EARLY_LEN_MAX: usize = 1024 * 1024;
/// Identities of one connection, and their bytes: every write that a learner forwards carries them all, and a packet
/// with more would end the learner's link.
const IDENTITIES_MAX: usize = 256;
const IDENTITIES_LEN_MAX: usize = 64 * 1024;
/// Requests of one connection that are taken in one batch: then it is everybody else's turn. More than clients have under
/// way at a time, few enough that a ping of another is answered in milliseconds.
const TURN_REQUESTS_MAX: usize = 256;
