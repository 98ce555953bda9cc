//! The client port: connections come in, four-letter words are answered, frames go to the state thread
//! (client-protocol §1.2, operations §8.1). It understands no request.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use super::four_letter::{Word, Words};
use super::intake::{Share, Slot};
use super::limits::Limits;
use super::stream::accept::{self, Arrival};
use super::stream::driver::{self, Port};
use super::stream::machine::client::{Opening, Openings, Requests};
use super::stream::machine::closed::Closed;
use super::stream::machine::inbox::Inbox;
use super::stream::machine::outbox::WhenFull;
use super::stream::outlet::{Held, Outlet};
use super::stream::plain::PlainWriter;
use crate::server::replica::ClientId;

/// What connections tell the state thread.
#[derive(Debug)]
pub(super) enum FromClient {
    Up {
        client: ClientId,
        addr: SocketAddr,
        outlet: Outlet,
    },
    Frames {
        client: ClientId,
        frames: Vec<Bytes>,
        /// Given back when the message is taken.
        slot: Slot,
    },
    /// There is room in its outlet again; the state thread had asked for that.
    Room {
        client: ClientId,
    },
    Down {
        client: ClientId,
    },
}

/// Accepts clients until `stop` says so.
pub(super) async fn accept(
    listener: TcpListener,
    state: mpsc::Sender<FromClient>,
    words: Arc<Words>,
    limits: Arc<Limits>,
    stop: watch::Receiver<bool>,
) {
    let serve = |arrival, seat| {
        let (state, words, limits, stop) = (state.clone(), words.clone(), limits.clone(), stop.clone());
        async move {
            serve(arrival, state, &words, &limits, stop).await;
            drop(seat);
        }
    };
    let places = limits.places.clone();
    accept::accept(listener, "client's", places, stop.clone(), |ip| limits.seat(ip), serve).await;
}

/// One connection, from its first byte to its close.
async fn serve(
    arrival: Arrival,
    state: mpsc::Sender<FromClient>,
    words: &Arc<Words>,
    limits: &Limits,
    stop: watch::Receiver<bool>,
) {
    let Arrival { mut read, write, caller } = arrival;
    let client = limits.next_client();
    tracing::debug!(?client, addr = %caller.addr, identities = ?caller.identities, "a client has connected");
    let outlet = Outlet::among(WhenFull::Close { len_max: OWED_LEN_MAX }, limits.owed.clone());
    outlet.connect(&write);
    let is_word = |bytes: &[u8]| Word::from_bytes(bytes).is_some();
    // A connection that has not asked for a session by then is closed (operations §10.4, sessionlessCnxnTimeout).
    let silence_ms_max = limits.silence_max.as_millis() as u64;
    let openings = Openings { is_word, len_max: limits.frame_len_max };
    let mut inbox = Inbox::new(openings, outlet.clock().now_ms(), silence_ms_max);
    let closed = match driver::first(&mut read, &mut inbox, outlet.clock()).await {
        Err(closed) => closed,
        Ok(Opening::Word(word)) => {
            let told = Outlet::among(WhenFull::Close { len_max: OWED_LEN_MAX }, limits.told.clone());
            told.connect(&write);
            answer(&word, write, (&told, &limits.told), words).await
        }
        Ok(Opening::Session) => {
            let up = FromClient::Up { client, addr: caller.addr, outlet: outlet.clone() };
            if state.send(up).await.is_err() {
                return;
            }
            let inbox = inbox.followed_by(Requests { len_max: limits.frame_len_max });
            let port = Client { client, state, share: limits.intake.share() };
            let closed = driver::converse(read, write, inbox, &outlet, &port, stop).await;
            let _ = port.state.send(FromClient::Down { client }).await;
            closed
        }
    };
    tracing::debug!(?client, %closed, "a client's connection has ended");
}

/// What waits to be read by all clients, whose longest answers are made of frames of `frame_len_max` bytes.
pub(super) fn owed(frame_len_max: usize) -> Held {
    Held::new(OWED_BY_ALL_LEN_MAX.max(8 * frame_len_max))
}

/// One client's frames, on their way to the state thread.
struct Client {
    client: ClientId,
    state: mpsc::Sender<FromClient>,
    share: Share,
}

impl Port for Client {
    type Framing = Requests;

    const PAUSE_LEN: usize = OWED_LEN_PAUSE;

    async fn deliver(&self, frames: Vec<Bytes>) -> Result<(), Closed> {
        let mut counted = Vec::with_capacity(frames.len());
        for frame in frames {
            let frame = match self.share.try_count(frame) {
                Ok(frame) => frame,
                Err(frame) => {
                    self.hand_on(std::mem::take(&mut counted)).await?;
                    self.share.count(frame).await
                }
            };
            counted.push(frame);
        }
        self.hand_on(counted).await
    }

    async fn room_to_go_on(&self, begun_len: usize) {
        self.share.begun(begun_len).await;
    }

    async fn stalled(&self, begun_len: usize) -> Closed {
        self.share.stalled(begun_len).await;
        Closed::Unfinished { held: begun_len }
    }

    async fn room(&self) {
        // A state thread that is gone needs none.
        let _ = self.state.send(FromClient::Room { client: self.client }).await;
    }
}

impl Client {
    async fn hand_on(&self, frames: Vec<Bytes>) -> Result<(), Closed> {
        if frames.is_empty() {
            return Ok(());
        }
        let frames = FromClient::Frames { client: self.client, frames, slot: self.share.slot().await };
        self.state.send(frames).await.map_err(|_| Closed::Stopping)
    }
}

/// The answer to a four-letter word, behind which the connection ends.
async fn answer(
    word: &[u8],
    write: PlainWriter,
    (outlet, told): (&Outlet, &Held),
    words: &Arc<Words>,
) -> Closed {
    let Some(word) = Word::from_bytes(word) else { return Closed::Here };
    let place = words.place(word).await;
    // Only what may be long waits for others to read: whoever asks how the server is gets an answer.
    if word.is_list() && told.is_too_much() {
        return Closed::Deaf { held: 0 };
    }
    let Some(text) = words.answer(word).await else { return Closed::Stopping };
    outlet.send(text.into());
    drop(place);
    driver::part(write, outlet).await
}

/// A client that does not read is cut off when this many bytes wait for it: the largest answer a
/// reader is expected to take, and then some. What it asks for stops at far less, events do not.
const OWED_LEN_MAX: usize = 256 * 1024 * 1024;

/// What may wait to be read by all of them: when it is more, who has left most of it unread is cut off.
const OWED_BY_ALL_LEN_MAX: usize = 64 * 1024 * 1024;

/// Requests are neither taken nor carried out while more than this waits to be read.
pub(super) const OWED_LEN_PAUSE: usize = 1024 * 1024;
