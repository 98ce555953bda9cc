//! What clients were told, written down: one desk for all clients of a trial, on one thread with one clock.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use zkops::client::{Client, ConnectString, Error, Options};
use zkops::wire::proto::ErrorCode;

use crate::check::ephemeral::{Life, Sighting};
use crate::check::history::{Op, Outcome};
use crate::check::lock::LockOp;
use crate::check::queue::QueueOp;
use crate::check::register::RegisterOp;
use crate::check::set::SetOp;
use crate::check::watch::Watcher;

const SESSION_TIMEOUT: Duration = Duration::from_secs(3);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(6);

/// All that was written down.
#[derive(Default)]
pub(crate) struct Records {
    /// Writes, and reads after catching up.
    pub(crate) register: Vec<RegisterOp>,
    /// The same and the plain reads.
    pub(crate) told: Vec<RegisterOp>,
    pub(crate) sets: Vec<SetOp>,
    pub(crate) queues: Vec<QueueOp>,
    pub(crate) locks: Vec<LockOp>,
    pub(crate) ids: Vec<Op<(), u64>>,
    pub(crate) watchers: Vec<Watcher>,
    /// With the process that owns each.
    pub(crate) lives: Vec<(u64, Life)>,
    pub(crate) sightings: Vec<Sighting>,
    /// When each process called what was answered last: its session lived then.
    pub(crate) proofs: BTreeMap<u64, u64>,
    /// The last write of each watched key: what every watcher must come to see.
    pub(crate) goals: Option<BTreeMap<String, u64>>,
}

/// What the test's thread and the clients' thread share.
#[derive(Clone, Default)]
pub(crate) struct Signals {
    /// Calls answered so far.
    pub(crate) answered: Arc<AtomicU64>,
    /// No more work is begun.
    pub(crate) stop: Arc<AtomicBool>,
}

pub(crate) struct Desk {
    pub(crate) records: RefCell<Records>,
    signals: Signals,
    servers: ConnectString,
    origin: Instant,
    last: Cell<u64>,
}

/// One session of one client.
pub(crate) struct Session {
    pub(crate) client: Client,
    /// One number per session, ours; the server's may be unknown.
    pub(crate) process: u64,
}

impl Desk {
    pub(crate) fn new(servers: ConnectString, signals: Signals) -> Rc<Desk> {
        Rc::new(Desk {
            records: RefCell::default(),
            signals,
            servers,
            origin: Instant::now(),
            last: Cell::new(0),
        })
    }

    /// Microseconds since the beginning.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_micros()).expect("a trial takes minutes")
    }

    pub(crate) fn stopped(&self) -> bool {
        self.signals.stop.load(Ordering::Relaxed)
    }

    /// Lets the session's server catch up with all that was acknowledged to anybody. The leader asks a quorum, so
    /// that one that was replaced without knowing does not answer of the past.
    pub(crate) async fn catch_up(&self, session: &Session, path: &str) -> Result<(), Error> {
        session.client.sync(path).await
    }

    /// Where the ensemble is: every server's address.
    pub(crate) fn servers(&self) -> ConnectString {
        self.servers.clone()
    }

    /// A number that was never given before: values, items and processes are unique in a trial.
    pub(crate) fn number(&self) -> u64 {
        self.last.set(self.last.get() + 1);
        self.last.get()
    }

    /// A session with any server; `None` when the work is stopped before one stands.
    pub(crate) async fn session(&self, seed: u64) -> Option<Session> {
        loop {
            let session = self.dial(self.servers.clone(), seed);
            if session.ready(self).await {
                return Some(session);
            }
            if self.stopped() {
                return None;
            }
        }
    }

    /// A session with these servers, which may not stand yet.
    pub(crate) fn dial(&self, servers: ConnectString, seed: u64) -> Session {
        let options = Options {
            session_timeout: SESSION_TIMEOUT,
            request_timeout: REQUEST_TIMEOUT,
            reconnect_pause_max: Duration::from_millis(100),
            seed,
            ..Options::default()
        };
        Session { client: Client::connect(servers, options), process: self.number() }
    }

    /// Makes a call and writes it down; what it was answered, if it was.
    pub(crate) async fn call<C, R: Clone>(
        &self,
        session: &Session,
        (key, call): (&str, C),
        ask: impl Future<Output = Result<R, Error>>,
        note: impl FnOnce(&mut Records, Op<C, R>),
    ) -> Option<R> {
        let invoked = self.now();
        let answer = ask.await;
        let outcome = match answer {
            Ok(reply) => Outcome::Ok(reply),
            Err(error) => unheard(&error),
        };
        let completed = self.now();
        let reply = if let Outcome::Ok(reply) = &outcome { Some(reply.clone()) } else { None };
        if reply.is_some() {
            self.answered(session, invoked);
        }
        let op = Op { process: session.process, key: key.to_owned(), call, invoked, completed, outcome };
        note(&mut self.records.borrow_mut(), op);
        reply
    }

    /// A server answered within the session what was called at `invoked`.
    pub(crate) fn answered(&self, session: &Session, invoked: u64) {
        self.signals.answered.fetch_add(1, Ordering::Relaxed);
        self.records.borrow_mut().proofs.insert(session.process, invoked);
    }
}

impl Session {
    /// Waits until it is connected; `false` when it is over, or the work is.
    pub(crate) async fn ready(&self, desk: &Desk) -> bool {
        loop {
            if desk.stopped() || self.client.state().is_final() {
                return false;
            }
            if self.client.connected(Duration::from_millis(200)).await.is_ok() {
                return true;
            }
        }
    }
}

/// The outcome of a call without an answer.
pub(crate) fn unheard<R>(error: &Error) -> Outcome<R> {
    excused(error);
    Outcome::Unknown
}

/// Panics at an error that no fault excuses.
pub(crate) fn excused(error: &Error) {
    match error {
        Error::ConnectionLoss(_)
        | Error::Timeout { .. }
        | Error::SessionExpired(_)
        | Error::Closed
        | Error::Code(ErrorCode::SessionMoved, _) => {}
        other => panic!("no server may say this: {other}"),
    }
}

/// An answer, where the refusals that the model knows are answers too.
pub(crate) fn answer<T, R>(
    result: Result<T, Error>,
    reply: impl FnOnce(T) -> R,
    refusal: impl FnOnce(ErrorCode) -> Option<R>,
) -> Result<R, Error> {
    match result {
        Ok(value) => Ok(reply(value)),
        Err(error) => error.code().and_then(refusal).ok_or(error),
    }
}
