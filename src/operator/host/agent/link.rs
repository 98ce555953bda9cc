//! The operator's half: one link for each host, any number of calls at once, a deadline for each.
//! It starts nothing on the host (that is `transport`'s work) and prints nothing. The handshake
//! goes out with the first call, so it costs no round trip of its own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::frame;
use super::protocol::{Answer, Ask, Hello, PREAMBLE, PROTOCOL, Request, Response};
use crate::operator::host::failure::{Failure, Kind};
use crate::operator::host::runs::{LockToken, StaleLock};

/// A link to `zkops host`. Clones share it; it ends with the last one.
#[derive(Clone)]
pub struct Link {
    shared: Arc<Shared>,
    limit: Duration,
}

struct Shared {
    next: AtomicU64,
    outgoing: mpsc::Sender<Vec<u8>>,
    calls: Arc<Mutex<Calls>>,
    /// What is sent with every request that changes something.
    lock: Mutex<Option<LockToken>>,
    reader: JoinHandle<()>,
    writer: JoinHandle<()>,
}

/// What waits for an answer; or why nothing will come any more.
enum Calls {
    Open(HashMap<u64, oneshot::Sender<Result<Response, CallError>>>),
    Closed(Gone),
}

/// Why a call has no response.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CallError {
    /// The host answered: it could not.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// No answer in time; what was asked may have been done.
    #[error("no answer to {what} within {limit:?}; what was asked may have been done")]
    Deadline { what: String, limit: Duration },
    /// The host did not look at it: whoever holds the lock now is in its words.
    #[error("{0}")]
    StaleLock(Box<StaleLock>),
    /// The link is of no use any more.
    #[error(transparent)]
    Gone(#[from] Gone),
}

/// Why a link ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Gone {
    #[error("zkops on the host ended or the connection broke: {why}")]
    Broken { why: String },
    /// What runs there is not `zkops host`: a shell that complains, a forced command.
    #[error("zkops on the host never said hello; what came instead: {noise:?}")]
    NoAgent { noise: String },
    #[error(
        "zkops on the host is version {theirs} (protocol {their_protocol}), this one is {ours} (protocol {PROTOCOL}): \
         deploy again to push this version"
    )]
    Version { theirs: String, their_protocol: u32, ours: String },
}

impl CallError {
    /// The host's own failure, if it was one.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            CallError::Failed(failure) => Some(failure),
            CallError::Deadline { .. } | CallError::StaleLock(_) | CallError::Gone(_) => None,
        }
    }

    /// The kind to decide on, when the host has answered.
    pub fn kind(&self) -> Option<Kind> {
        self.failure().map(|failure| failure.kind)
    }

    pub(crate) fn unexpected(what: &str, response: &Response) -> CallError {
        let shown: String = format!("{response:?}").chars().take(80).collect();
        Gone::Broken { why: format!("the answer to {what} was {shown}") }.into()
    }
}

impl Link {
    /// Takes over both directions of a running `zkops host`. Must be called inside a tokio runtime.
    pub fn new(
        read: impl AsyncRead + Send + Unpin + 'static,
        write: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Link {
        let (outgoing, queue) = mpsc::channel(QUEUE);
        let calls = Arc::new(Mutex::new(Calls::Open(HashMap::new())));
        let reader = tokio::spawn(receive(read, calls.clone()));
        let writer = tokio::spawn(send(write, queue));
        Link {
            shared: Arc::new(Shared {
                next: AtomicU64::new(1),
                outgoing,
                calls,
                lock: Mutex::default(),
                reader,
                writer,
            }),
            limit: LIMIT_DEFAULT,
        }
    }

    /// The same link with another time limit for each call.
    pub fn within(&self, limit: Duration) -> Link {
        Link { shared: self.shared.clone(), limit }
    }

    /// The time limit of this handle's calls.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// From now on what changes something is sent under this lock; all clones of the link alike.
    pub fn hold(&self, lock: Option<LockToken>) {
        *self.shared.lock.lock().unwrap_or_else(PoisonError::into_inner) = lock;
    }

    /// The lock that requests are sent under.
    pub fn held(&self) -> Option<LockToken> {
        self.shared.lock.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the host. The typed methods are in `calls`.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call(&self, request: Request, limit: Duration) -> Result<Response, CallError> {
        let what = name(&request);
        let id = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let limit_ms = limit.saturating_sub(LIMIT_MARGIN.min(limit / 2)).as_millis();
        let lock = if request.mutates() { self.held() } else { None };
        let ask = Ask { id, limit_ms: u64::try_from(limit_ms).unwrap_or(u64::MAX), request, lock };
        let frame = frame::encode(&ask).map_err(|error| Failure::invalid("ask", &what, error))?;
        let waiting = Waiting { id, calls: &self.shared.calls };
        let answer = waiting.register()?;
        let exchange = async {
            // A closed queue: the writer ended; the reader says why.
            let _ = self.shared.outgoing.send(frame).await;
            answer.await.unwrap_or_else(|_| Err(Gone::Broken { why: "it was closed".into() }.into()))
        };
        match timeout(limit, exchange).await {
            Ok(Ok(Response::StaleLock(stale))) => Err(CallError::StaleLock(Box::new(stale))),
            Ok(result) => result,
            Err(_) => Err(CallError::Deadline { what, limit }),
        }
    }
}

/// A call in flight; whoever stops waiting takes it off the list.
struct Waiting<'a> {
    id: u64,
    calls: &'a Mutex<Calls>,
}

impl Waiting<'_> {
    fn register(&self) -> Result<oneshot::Receiver<Result<Response, CallError>>, CallError> {
        match &mut *locked(self.calls) {
            Calls::Closed(gone) => Err(gone.clone().into()),
            Calls::Open(calls) => {
                let (sender, receiver) = oneshot::channel();
                calls.insert(self.id, sender);
                Ok(receiver)
            }
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Calls::Open(calls) = &mut *locked(self.calls) {
            calls.remove(&self.id);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Dropping the write half is what tells the host to end.
        self.reader.abort();
        self.writer.abort();
    }
}

async fn send(mut write: impl AsyncWrite + Unpin, mut queue: mpsc::Receiver<Vec<u8>>) {
    let Ok(hello) = frame::encode(&Hello::ours()) else { return };
    let mut frame = Some(hello);
    while let Some(bytes) = frame {
        // A broken connection shows on the reading side, where it is reported.
        if frame::write(&mut write, &bytes).await.is_err() {
            return;
        }
        frame = queue.recv().await;
    }
    let _ = write.shutdown().await;
}

async fn receive(mut read: impl AsyncRead + Unpin, calls: Arc<Mutex<Calls>>) {
    let gone = match greet(&mut read).await {
        Ok(()) => deliver(&mut read, &calls).await,
        Err(gone) => gone,
    };
    let before = std::mem::replace(&mut *locked(&calls), Calls::Closed(gone.clone()));
    if let Calls::Open(waiting) = before {
        for (_, call) in waiting {
            // Nobody waits any more: fine.
            let _ = call.send(Err(gone.clone().into()));
        }
    }
}

/// Skips what a login shell prints, then compares versions.
async fn greet(read: &mut (impl AsyncRead + Unpin)) -> Result<(), Gone> {
    let mut noise = Vec::new();
    while !noise.ends_with(PREAMBLE) {
        match read.read_u8().await {
            Ok(byte) if noise.len() < NOISE_BYTES_MAX => noise.push(byte),
            _ => {
                let noise: String = String::from_utf8_lossy(&noise).trim().chars().take(400).collect();
                return Err(Gone::NoAgent { noise });
            }
        }
    }
    match frame::read::<Hello>(read).await {
        Ok(Some(hello)) if hello.protocol == PROTOCOL => Ok(()),
        Ok(Some(hello)) => Err(Gone::Version {
            theirs: hello.version,
            their_protocol: hello.protocol,
            ours: Hello::ours().version,
        }),
        Ok(None) => Err(Gone::Broken { why: "it ended before it said hello".into() }),
        Err(error) => Err(Gone::Broken { why: error.to_string() }),
    }
}

async fn deliver(read: &mut (impl AsyncRead + Unpin), calls: &Mutex<Calls>) -> Gone {
    loop {
        match frame::read::<Answer>(read).await {
            Ok(Some(answer)) => {
                let call = match &mut *locked(calls) {
                    Calls::Open(calls) => calls.remove(&answer.id),
                    Calls::Closed(_) => None,
                };
                // An answer that nobody waits for came too late.
                if let Some(call) = call {
                    let _ = call.send(answer.result.map_err(CallError::from));
                }
            }
            Ok(None) => return Gone::Broken { why: "it ended".into() },
            Err(error) => return Gone::Broken { why: error.to_string() },
        }
    }
}

/// Held for single statements only; a panic in one leaves the map whole.
fn locked(calls: &Mutex<Calls>) -> std::sync::MutexGuard<'_, Calls> {
    calls.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The request's name, without what it carries (which may be large or secret).
fn name(request: &Request) -> String {
    let shown = format!("{request:?}");
    shown.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_string()
}

/// For calls whose caller names no deadline.
const LIMIT_DEFAULT: Duration = Duration::from_secs(30);
/// The host gives up by itself a little earlier than we do, so that its reason arrives.
const LIMIT_MARGIN: Duration = Duration::from_millis(500);
/// Frames waiting for a slow connection.
const QUEUE: usize = 64;
/// A message of the day fits; more means that this is no agent.
const NOISE_BYTES_MAX: usize = 256 << 10;
