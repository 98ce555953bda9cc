//! How a connection comes in, on every port: it is accepted, judged by its address, and served in a task of its own.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::watch;

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

/// Accepts connections until `stop` says so. `admit` gives a seat to an address that may come in; `serve` keeps
/// it as long as the connection lasts.
pub(crate) async fn accept<S, F>(
    listener: TcpListener,
    whose: &str,
    mut stop: watch::Receiver<bool>,
    admit: impl Fn(IpAddr) -> Option<S>,
    serve: impl Fn(Arrival, S) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((stream, addr)) => {
                // On a socket of both families an IPv4 address comes in IPv6 clothes: rules are made for the former.
                let addr = SocketAddr::new(addr.ip().to_canonical(), addr.port());
                let Some(seat) = admit(addr.ip()) else { continue };
                let (read, write) = plain::halves(stream);
                let caller = Caller { addr, identities: Vec::new() };
                tokio::spawn(serve(Arrival { read, write, caller }, seat));
            }
            Err(error) => {
                tracing::warn!(%error, "a {whose} connection could not be accepted");
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    }
}

/// Out of descriptors: accepting again at once would only spin.
const RETRY_PAUSE: Duration = Duration::from_millis(50);
