//! The loop around the session machine: one task per client that owns the socket, the timers and the
//! callers' answers. It does what the machine's actions say and decides nothing of the protocol.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};

use super::session::{Action, Call, Failure, Input, Session, Ticket};
use super::{Event, Link, Route, Server, Status, four_letter};
use crate::wire::proto::Response;

type Doing<T> = Pin<Box<dyn Future<Output = T> + Send>>;
pub(super) type Reply = oneshot::Sender<Result<Response, Failure>>;

/// What the API asks of the task.
pub(super) enum Command {
    Call { call: Call, reply: Reply },
    AddAuth { scheme: String, auth: Bytes, reply: Reply },
}

/// The task's ends of the channels to the API.
pub(super) struct Ends {
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) close: Arc<Notify>,
    pub(super) status: watch::Sender<Status>,
    pub(super) events: broadcast::Sender<Event>,
}

pub(super) struct Connection {
    session: Session,
    ends: Ends,
    origin: Instant,
    frame_bytes_max: usize,
    route: Route,
    wire: Wire,
    probe: Option<Doing<(Server, bool)>>,
    waiting: HashMap<Ticket, Reply>,
    last_ticket: Ticket,
    trouble: Option<String>,
    /// Every [`super::Client`] is gone: the channel yields nothing any more.
    abandoned: bool,
}

enum Wire {
    None,
    Dialing(Doing<io::Result<Link>>),
    Open(Socket),
}

struct Socket {
    link: Link,
    inbox: BytesMut,
    outbox: BytesMut,
}

/// What the wire did.
enum Moved {
    Connected(Link),
    Read,
    Written,
    Broken(io::Error),
}

impl Connection {
    /// `session` counts its milliseconds from `origin`.
    pub(super) fn new(
        session: Session,
        origin: Instant,
        frame_bytes_max: usize,
        route: Route,
        ends: Ends,
    ) -> Connection {
        Connection {
            session,
            ends,
            origin,
            frame_bytes_max,
            route,
            wire: Wire::None,
            probe: None,
            waiting: HashMap::new(),
            last_ticket: 0,
            trouble: None,
            abandoned: false,
        }
    }

    /// Runs until the session has ended. Answers that are still owed by then are dropped with the
    /// channels, and the callers learn the reason from the last status.
    pub(super) async fn run(mut self) {
        let mut inputs = Vec::new();
        while !self.session.is_ended() {
            if self.session.deadline_ms() <= self.now_ms() {
                self.step(Input::Tick);
                continue;
            }
            self.wait(&mut inputs).await;
            for input in inputs.drain(..) {
                self.step(input);
            }
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Waits for whatever comes first and turns it into inputs, maybe none.
    async fn wait(&mut self, inputs: &mut Vec<Input>) {
        let outbox = match &self.wire {
            Wire::Open(socket) => socket.outbox.len(),
            Wire::None | Wire::Dialing(_) => 0,
        };
        let takes_calls = !self.abandoned && self.waiting.len() < CALLS_MAX && outbox < OUTBOX_BYTES_MAX;
        // Beyond tokio's longest sleep there is nothing to wait for but the other branches.
        let deadline = self.origin.checked_add(Duration::from_millis(self.session.deadline_ms()));
        tokio::select! {
            biased;
            () = self.ends.close.notified() => inputs.push(Input::Close),
            // Calls first, so that those that are ready leave in one write.
            command = self.ends.commands.recv(), if takes_calls => match command {
                Some(command) => inputs.push(self.take(command)),
                None => {
                    self.abandoned = true;
                    inputs.push(Input::Close);
                }
            },
            moved = self.wire.moves() => self.on_moved(moved, inputs),
            (server, read_write) = ask(&mut self.probe) => {
                self.probe = None;
                inputs.push(Input::Probed { server, read_write });
            }
            () = sleep_until(deadline) => inputs.push(Input::Tick),
        }
    }

    fn take(&mut self, command: Command) -> Input {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        let (input, reply) = match command {
            Command::Call { call, reply } => (Input::Call { ticket, call }, reply),
            Command::AddAuth { scheme, auth, reply } => (Input::AddAuth { ticket, scheme, auth }, reply),
        };
        self.waiting.insert(ticket, reply);
        input
    }

    fn on_moved(&mut self, moved: Moved, inputs: &mut Vec<Input>) {
        match moved {
            Moved::Connected(link) => {
                self.wire = Wire::Open(Socket::new(link));
                inputs.push(Input::Connected);
            }
            Moved::Read => {
                let Wire::Open(socket) = &mut self.wire else {
                    return;
                };
                loop {
                    match take_frame(&mut socket.inbox, self.frame_bytes_max) {
                        Ok(Some(frame)) => inputs.push(Input::Frame(frame)),
                        Ok(None) => return,
                        Err(error) => return self.break_off(&error, inputs),
                    }
                }
            }
            Moved::Written => {}
            Moved::Broken(error) => self.break_off(&error, inputs),
        }
    }

    fn break_off(&mut self, error: &io::Error, inputs: &mut Vec<Input>) {
        self.wire = Wire::None;
        self.trouble = Some(match self.session.server() {
            Some(server) => format!("{server}: {error}"),
            None => error.to_string(),
        });
        inputs.push(Input::Down);
    }

    fn step(&mut self, input: Input) {
        let mut actions = Vec::new();
        self.session.step(self.now_ms(), input, &mut actions);
        if actions.contains(&Action::Hangup) && !self.session.state().is_final() {
            let why = "silent for too long, or not a ZooKeeper server";
            self.trouble = self.session.server().map(|server| format!("{server}: {why}"));
        }
        // The state goes out before the answers, so that whoever is woken sees it.
        self.publish();
        for action in actions {
            self.perform(action);
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Dial(server) => self.wire = Wire::Dialing(dial(self.route.clone(), server)),
            Action::Send(frame) => {
                if let Wire::Open(socket) = &mut self.wire {
                    socket.outbox.extend_from_slice(&frame);
                }
            }
            Action::Hangup => self.wire = Wire::None,
            Action::Answer { ticket, result } => {
                if let Some(reply) = self.waiting.remove(&ticket) {
                    // The caller may have stopped waiting: then nobody wants the answer.
                    let _ = reply.send(result);
                }
            }
            Action::Tell(event) => {
                // An error means that nobody listens to events, which is fine.
                let _ = self.ends.events.send(event);
            }
            Action::Probe(server) => self.probe = Some(Box::pin(probe(self.route.clone(), server))),
        }
    }

    fn publish(&mut self) {
        if self.session.state().is_connected() {
            self.trouble = None;
        }
        let status = Status {
            state: self.session.state(),
            session: self.session.id(),
            timeout: Duration::from_millis(self.session.timeout_ms()),
            server: self.session.server().cloned(),
            trouble: self.trouble.clone(),
        };
        self.ends.status.send_if_modified(|old| {
            let changed = *old != status;
            *old = status;
            changed
        });
    }
}

impl Socket {
    fn new(link: Link) -> Socket {
        Socket { link, inbox: BytesMut::with_capacity(8 << 10), outbox: BytesMut::new() }
    }
}

impl Wire {
    /// Waits for the dial, for bytes, or for room to write. Cancellation-safe.
    async fn moves(&mut self) -> Moved {
        match self {
            Wire::None => std::future::pending().await,
            Wire::Dialing(dial) => match dial.await {
                Ok(link) => Moved::Connected(link),
                Err(error) => Moved::Broken(error),
            },
            Wire::Open(socket) => {
                let Socket { link: Link { reader, writer }, inbox, outbox } = socket;
                tokio::select! {
                    read = reader.read_buf(inbox) => match read {
                        Ok(0) => Moved::Broken(io::Error::new(
                            io::ErrorKind::UnexpectedEof,
                            "the server closed the connection (not serving, no quorum, or behind this session)",
                        )),
                        Ok(_) => Moved::Read,
                        Err(error) => Moved::Broken(error),
                    },
                    written = writer.write_buf(outbox), if !outbox.is_empty() => match written {
                        Ok(_) => Moved::Written,
                        Err(error) => Moved::Broken(error),
                    },
                }
            }
        }
    }
}

fn dial(route: Route, server: Server) -> Doing<io::Result<Link>> {
    Box::pin(async move { route.open(server).await })
}

async fn probe(route: Route, server: Server) -> (Server, bool) {
    let answer = four_letter::ask(&route, &server, "isro", PROBE_LIMIT).await;
    let read_write = answer.is_ok_and(|text| text.trim_end() == "rw");
    (server, read_write)
}

async fn ask(probe: &mut Option<Doing<(Server, bool)>>) -> (Server, bool) {
    match probe {
        Some(probe) => probe.await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// One frame's payload, when it is complete.
///
/// # Errors
/// A length that is negative or above the limit.
fn take_frame(inbox: &mut BytesMut, bytes_max: usize) -> io::Result<Option<Bytes>> {
    let Some(&[a, b, c, d]) = inbox.first_chunk::<4>() else {
        return Ok(None);
    };
    let len = i32::from_be_bytes([a, b, c, d]);
    let Some(len) = usize::try_from(len).ok().filter(|len| *len <= bytes_max) else {
        let text = format!("the server sent a frame of {len} bytes, {bytes_max} are allowed");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    };
    if inbox.len() < 4 + len {
        // Room for what comes next, not for all the peer promises.
        inbox.reserve((4 + len - inbox.len()).min(READ_BYTES));
        return Ok(None);
    }
    inbox.advance(4);
    Ok(Some(inbox.split_to(len).freeze()))
}

/// Calls sent or queued at once. More wait in the channel, and then in their callers: the machine's
/// memory is bounded, and a server's own limit is 1000 outstanding (client-protocol §1.10).
const CALLS_MAX: usize = 1024;
/// Bytes waiting for the socket beyond which no call is taken: large writes push back early.
const OUTBOX_BYTES_MAX: usize = 4 << 20;
/// Room made for one read of a long frame.
const READ_BYTES: usize = 64 << 10;
/// How long one `isro` question may take.
const PROBE_LIMIT: Duration = Duration::from_secs(1);
