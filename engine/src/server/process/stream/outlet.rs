//! The writing end of a connection, as the state thread holds it. While nothing waits, it writes into the socket
//! itself: no lock, no wake-up of another thread. What the socket does not take at once goes into the outbox,
//! which the connection's task empties.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Poll;

use bytes::{Buf, Bytes};
use futures_util::task::AtomicWaker;
use tokio::net::tcp::OwnedWriteHalf;

use super::clock::Clock;
use super::machine::closed::Closed;
use super::machine::outbox::{Next, Outbox, WhenFull};
use super::plain::PlainWriter;

/// One of the two ends of what is owed: the state thread's, which fills it, or the connection task's. Bytes keep
/// their order as long as one thread fills it.
#[derive(Debug, Clone)]
pub(crate) struct Outlet {
    line: Arc<Line>,
}

#[derive(Debug)]
struct Line {
    clock: Clock,
    /// Set once, when a plain connection is up.
    socket: OnceLock<Arc<OwnedWriteHalf>>,
    /// Locked only while something waits or the connection ends.
    outbox: Mutex<Outbox>,
    /// What the outbox holds, to be seen without the lock, and what all of a kind do.
    held: AtomicUsize,
    held_by_all: Held,
    /// Somebody waits for the outbox to hold less than this; 0 is nobody.
    room_below: AtomicUsize,
    /// Nothing more is to be read from the other side.
    is_held_back: AtomicBool,
    /// The task that empties the outbox is to look at it.
    is_changed: AtomicBool,
    emptier: AtomicWaker,
    /// The same task, where it waits for the outbox to become less full.
    reader: AtomicWaker,
}

/// What waits in all outlets that were made with it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held {
    len: Arc<AtomicUsize>,
    len_max: usize,
}

impl Held {
    /// What may be `len_max` bytes, or somebody must go.
    pub(crate) fn new(len_max: usize) -> Held {
        Held { len: Arc::default(), len_max }
    }

    pub(crate) fn is_too_much(&self) -> bool {
        self.len.load(Ordering::Acquire) > self.len_max
    }

    fn change(&self, before: usize, now: usize) {
        if now > before {
            self.len.fetch_add(now - before, Ordering::AcqRel);
        } else if now < before {
            self.len.fetch_sub(before - now, Ordering::AcqRel);
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.held_by_all.change(*self.held.get_mut(), 0);
    }
}

impl Outlet {
    pub(crate) fn new(when_full: WhenFull) -> Outlet {
        Outlet::among(when_full, Held::default())
    }

    /// One of those whose bytes are counted together.
    pub(crate) fn among(when_full: WhenFull, held_by_all: Held) -> Outlet {
        let line = Line {
            clock: Clock::start(),
            socket: OnceLock::new(),
            outbox: Mutex::new(Outbox::new(when_full)),
            held: AtomicUsize::new(0),
            held_by_all,
            room_below: AtomicUsize::new(0),
            is_held_back: AtomicBool::new(false),
            is_changed: AtomicBool::new(false),
            emptier: AtomicWaker::new(),
            reader: AtomicWaker::new(),
        };
        Outlet { line: Arc::new(line) }
    }

    pub(crate) fn clock(&self) -> Clock {
        self.line.clock
    }

    /// The connection is up, and takes bytes past its task.
    pub(crate) fn connect(&self, writer: &PlainWriter) {
        // Nobody connects twice.
        let _ = self.line.socket.set(writer.socket());
    }

    /// Bytes that wait.
    pub(crate) fn held(&self) -> usize {
        self.line.held.load(Ordering::Acquire)
    }

    /// Writes what the socket takes now and leaves the rest to the task.
    pub(crate) fn send(&self, bytes: Bytes) {
        self.write_or(
            bytes,
            |outbox, rest, is_begun| {
                if is_begun { outbox.push_rest(rest) } else { outbox.push(rest) }
            },
        );
    }

    /// The same for a snapshot, which may be longer than all that an outbox takes.
    pub(crate) fn send_snapshot(&self, bytes: Bytes) {
        self.write_or(bytes, |outbox, rest, _| outbox.push_snapshot(rest));
    }

    /// Ends the connection once the other side has taken what waits, or has not in the time that it has.
    pub(crate) fn finish(&self) {
        let now_ms = self.line.clock.now_ms();
        self.change(|outbox| outbox.finish(now_ms, FINISH_MS));
    }

    /// Ends the connection now. What still waits is dropped.
    pub(crate) fn close(&self, closed: Closed) {
        self.change(|outbox| outbox.close(closed));
    }

    /// Whether no more than `len` bytes wait. If more do, the task tells its port once that is so no longer.
    pub(crate) fn ask_for_room(&self, len: usize) -> bool {
        self.with(|outbox| {
            let has_room = outbox.held() <= len;
            self.line.room_below.store(if has_room { 0 } else { len + 1 }, Ordering::Release);
            has_room
        })
    }

    /// Whether the other side is to be read from, once it has taken enough of what it is owed.
    pub(crate) fn hold_back(&self, is_held_back: bool) {
        self.line.is_held_back.store(is_held_back, Ordering::Release);
        if !is_held_back {
            self.line.reader.wake();
        }
    }

    fn write_or(&self, mut bytes: Bytes, keep: impl FnOnce(&mut Outbox, Bytes, bool)) {
        let mut is_begun = false;
        if self.held() == 0
            && let Some(socket) = self.line.socket.get()
        {
            match socket.try_write(&bytes) {
                Ok(len) => {
                    bytes.advance(len);
                    is_begun = len > 0;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return self.close(Closed::Socket(error.kind())),
            }
        }
        if !bytes.is_empty() {
            self.change(|outbox| keep(outbox, bytes, is_begun));
        }
    }

    fn change(&self, change: impl FnOnce(&mut Outbox)) {
        self.with(change);
        self.line.is_changed.store(true, Ordering::Release);
        self.line.emptier.wake();
    }

    fn with<T>(&self, work: impl FnOnce(&mut Outbox) -> T) -> T {
        let mut outbox = self.line.outbox.lock().unwrap_or_else(PoisonError::into_inner);
        let result = work(&mut outbox);
        let before = self.line.held.swap(outbox.held(), Ordering::AcqRel);
        self.line.held_by_all.change(before, outbox.held());
        result
    }

    /// What the task is to do, and by when it is to ask again.
    pub(super) fn next_step(&self) -> (Next, u64) {
        self.with(|outbox| (outbox.next_step(), outbox.deadline_ms()))
    }

    pub(super) fn written(&self, len: usize) {
        self.with(|outbox| outbox.written(len));
        self.line.reader.wake();
    }

    /// Whether there is the room now that was asked for; said once.
    pub(super) fn take_room(&self) -> bool {
        self.held() < self.line.room_below.load(Ordering::Acquire)
            && self.line.room_below.swap(0, Ordering::AcqRel) > 0
    }

    pub(super) fn on_time(&self) {
        let now_ms = self.line.clock.now_ms();
        self.with(|outbox| outbox.on_time(now_ms));
    }

    /// Comes when somebody else has changed the outbox.
    pub(super) async fn changed(&self) {
        std::future::poll_fn(|cx| {
            self.line.emptier.register(cx.waker());
            // Looking is cheaper than writing, and most polls find nothing.
            let is_changed = self.line.is_changed.load(Ordering::Acquire)
                && self.line.is_changed.swap(false, Ordering::AcqRel);
            if is_changed { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Comes when no more than `len` bytes wait and the other side is not held back.
    pub(super) async fn at_most(&self, len: usize) {
        std::future::poll_fn(|cx| {
            let waits = || self.held() > len || self.line.is_held_back.load(Ordering::Acquire);
            if waits() {
                self.line.reader.register(cx.waker());
                if waits() {
                    return Poll::Pending;
                }
            }
            Poll::Ready(())
        })
        .await;
    }

    /// The system is not to wait for the other side either once the socket is closed.
    pub(super) fn forget_unread(&self) {
        if let Some(socket) = self.line.socket.get() {
            let _ = socket.as_ref().as_ref().set_zero_linger();
        }
    }
}

/// What is owed at a close has this long to be read: enough for a packet that was lost on the way to be sent
/// again, short enough that who does not read costs nothing for long.
const FINISH_MS: u64 = 3000;
