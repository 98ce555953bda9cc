//! What one connection may make this server hold, and how much of a batch is its: the one who asks for more waits or is
//! closed, nobody else.

use std::collections::VecDeque;

use bytes::Bytes;

use super::bent;
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

/// The batch at hand: everybody has one turn in it, and what is answered in it, to all together, has an end.
#[derive(Debug, Default)]
pub(super) struct Batch {
    number: u64,
    gathered: usize,
    taken: usize,
}

/// How many requests of all connections may be unanswered at a time (`globalOutstandingLimit`; client-protocol §1.10).
#[derive(Debug, Clone, Copy)]
pub(super) struct Outstanding {
    pub(super) max: u64,
}

impl Default for Outstanding {
    fn default() -> Outstanding {
        Outstanding { max: OUTSTANDING_MAX }
    }
}

impl Outstanding {
    /// Whether one more may be taken of a connection that waits for `own` answers, while `all` are awaited. Everybody may
    /// always wait for one: whoever waits outside is asked again when that has come.
    pub(super) fn has_room(self, all: u64, own: usize) -> bool {
        all <= self.max || own == 0
    }
}

impl Batch {
    pub(super) fn next(&mut self) {
        *self = Batch { number: self.number + 1, gathered: 0, taken: 0 };
    }

    /// So many bytes more are owed to somebody.
    pub(super) fn gather(&mut self, len: usize) {
        self.gathered += len;
    }

    /// Whether somebody who is owed `own` bytes is told no more events: all together are owed too much, and it is owed more
    /// than its part. Its connection ends; when it comes again it hears of what it missed (client-protocol §5.4).
    pub(super) fn is_flood(&self, own: usize) -> bool {
        self.gathered >= EVENTS_LEN_MAX && own >= REPLIES_LEN_MAX
    }

    /// Whether more may be asked for: whoever comes too late has the next batch.
    pub(super) fn has_room(&self) -> bool {
        self.taken < BATCH_REQUESTS_MAX && (self.gathered < BATCH_LEN_MAX || bent::has_endless_batches())
    }
}

impl Early {
    /// Keeps a frame; false when it is one too many.
    pub(super) fn keep(&mut self, frame: Bytes) -> bool {
        self.held += frame.len();
        self.frames.push_back(frame);
        if bent::keeps_every_early_frame() {
            return true;
        }
        self.frames.len() == 1 || (self.frames.len() <= EARLY_FRAMES_MAX && self.held <= EARLY_LEN_MAX)
    }

    pub(super) fn into_frames(self) -> VecDeque<Bytes> {
        self.frames
    }
}

impl Turn {
    /// Whether this batch may take one more.
    pub(super) fn is_left(self, batch: &Batch) -> bool {
        self.batch != batch.number || self.taken < TURN_REQUESTS_MAX || bent::has_endless_turns()
    }

    pub(super) fn take(&mut self, batch: &mut Batch) {
        self.toil(batch, 1);
    }

    /// So many requests' work was done for it.
    pub(super) fn toil(&mut self, batch: &mut Batch, requests: usize) {
        batch.taken += requests;
        let before = if self.batch == batch.number { self.taken } else { 0 };
        *self = Turn { batch: batch.number, taken: before + requests };
    }
}

/// As how many requests a read counts whose asker is so many people, and for which so many znodes were looked at.
pub(super) fn toil(people: usize, znodes: usize) -> usize {
    people / PEOPLE_A_REQUEST + znodes / ZNODES_A_REQUEST
}

/// Whether one more answer may be made for a connection: `gathered` bytes are owed to it in this batch, and the driver has
/// said whether too much waits to be read there.
pub(super) fn may_be_owed_more(is_full: bool, gathered: usize) -> bool {
    (!is_full || bent::answers_the_deaf()) && (gathered < REPLIES_LEN_MAX || bent::has_endless_batches())
}

/// Whether a connection is more people than anybody.
pub(super) fn is_a_crowd(identities: &[Id]) -> bool {
    let len: usize = identities.iter().map(|id| id.scheme.len() + id.id.len()).sum();
    (identities.len() > IDENTITIES_MAX || len > IDENTITIES_LEN_MAX) && !bent::welcomes_crowds()
}

/// The reference's default.
const OUTSTANDING_MAX: u64 = 1000;
/// Bytes that may gather for one connection in one batch before its next requests wait: together with what the driver
/// lets wait in its outbox, and one answer, all that a client which asks and does not read can make this server hold.
const REPLIES_LEN_MAX: usize = 1024 * 1024;
/// Bytes that may gather for all connections in one batch: a few milliseconds' work, and no more than that many greedy
/// clients at once can make this server hold beside what waits in their outboxes.
const BATCH_LEN_MAX: usize = 16 * 1024 * 1024;
/// Bytes that may gather for all connections in one batch when events are told: what is told of a change to many watchers,
/// or of many changes at once, is not asked for one by one.
const EVENTS_LEN_MAX: usize = 64 * 1024 * 1024;
/// Requests of all connections that are taken in one batch: some ten milliseconds' work. What members say to each other
/// waits no longer behind any number of greedy clients.
const BATCH_REQUESTS_MAX: usize = 16 * 1024;
/// Frames taken from a connection before its session is set up, and their bytes. A client waits for the answer, so
/// more than a few is misuse.
const EARLY_FRAMES_MAX: usize = 64;
const EARLY_LEN_MAX: usize = 1024 * 1024;
/// Identities of one connection, and their bytes: every write that a learner forwards carries them all, and a packet
/// with more would end the learner's link.
const IDENTITIES_MAX: usize = 256;
const IDENTITIES_LEN_MAX: usize = 64 * 1024;
/// Identities that are looked up in a long list, and znodes that are walked or named, in the time of a plain request.
const PEOPLE_A_REQUEST: usize = 8;
const ZNODES_A_REQUEST: usize = 4;
/// Requests of one connection that are taken in one batch: then it is everybody else's turn. More than clients have under
/// way at a time, few enough that a ping of another is answered in milliseconds.
const TURN_REQUESTS_MAX: usize = 256;
