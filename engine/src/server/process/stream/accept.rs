//! How a connection comes in, on every port: it is accepted, judged by its address, and served in a task of its own.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::plain::{self, PlainWriter};
use crate::wire::proto::Id;

/// A connection that has come in.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) read: OwnedReadHalf,
    pub(crate) write: PlainWriter,
    pub(crate) caller: Caller,
}

/// The other side, as far as it is known before it has said a word.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) addr: SocketAddr,
    /// What it has proved to be; a plain connection proves nothing.
    pub(crate) identities: Vec<Id>,
}

/// Accepts connections until `stop` says so, as long as `room` has a place for one more: whoever comes then waits outside,
/// in the system's queue, and costs no descriptor. `admit` gives a seat to an address that may come in; `serve` keeps
/// it as long as the connection lasts.
pub(crate) async fn accept<S, F>(
    listener: TcpListener,
    whose: &str,
    room: Arc<Semaphore>,
    mut stop: watch::Receiver<bool>,
    admit: impl Fn(IpAddr) -> Option<S>,
    serve: impl Fn(Arrival, S) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut told = Told::default();
    loop {
        if room.available_permits() == 0 && told.is_due() {
            tracing::warn!(
                "every descriptor for a {whose} connection is taken: whoever comes waits until one is free"
            );
        }
        let accepted = tokio::select! {
            accepted = next(&listener, &room) => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((stream, addr, place)) => {
                // On a socket of both families an IPv4 address comes in IPv6 clothes: rules are made for the former.
                let addr = SocketAddr::new(addr.ip().to_canonical(), addr.port());
                let Some(seat) = admit(addr.ip()) else { continue };
                let (read, write) = plain::halves(stream);
                let caller = Caller { addr, identities: Vec::new() };
                let served = serve(Arrival { read, write, caller }, seat);
                tokio::spawn(async move {
                    served.await;
                    drop(place);
                });
            }
            Err(error) => {
                if told.is_due() {
                    tracing::warn!(%error, "a {whose} connection could not be accepted");
                }
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    }
}

async fn next(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, Option<OwnedSemaphorePermit>)> {
    // Nobody closes it.
    let place = room.clone().acquire_owned().await.ok();
    let (stream, addr) = listener.accept().await?;
    Ok((stream, addr, place))
}

/// A line a minute about the same thing is enough.
#[derive(Debug, Default)]
struct Told {
    quiet_until: Option<Instant>,
}

impl Told {
    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let is_due = self.quiet_until.is_none_or(|until| until <= now);
        if is_due {
            self.quiet_until = Some(now + QUIET);
        }
        is_due
    }
}

const QUIET: Duration = Duration::from_secs(60);

/// Out of descriptors: accepting again at once would only spin.
const RETRY_PAUSE: Duration = Duration::from_millis(50);
