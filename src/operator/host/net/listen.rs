//! Temporary listeners on the true ports, so that reachability is tested through the real
//! firewall before a server runs. They answer every connection with a token and nothing else,
//! and end by themselves. A port that somebody has already is reported, not fought for.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::ports;
use super::records::{Listen, Listening};
use crate::operator::host::failure::Failure;

/// The listeners of one request; dropping it ends them.
pub(crate) struct Listeners {
    pub(crate) token: String,
    pub(crate) until: Instant,
    tasks: JoinSet<()>,
}

impl Listeners {
    pub(crate) async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

/// # Errors
/// Only for a request that makes no sense; each port has its own answer.
pub(crate) async fn start(request: &Listen) -> Result<(Vec<Listening>, Listeners), Failure> {
    let token = &request.token;
    if token.is_empty() || token.len() > TOKEN_BYTES_MAX || token.contains('\n') {
        return Err(Failure::invalid("listen with", "that token", "it must be one line of 1 to 256 bytes"));
    }
    let until = Instant::now() + Duration::from_secs(request.seconds.min(SECONDS_MAX));
    let mut tasks = JoinSet::new();
    let mut answers = Vec::new();
    for port in &request.ports {
        match TcpListener::bind(SocketAddr::new(request.address, *port)).await {
            Ok(listener) => {
                let port = listener.local_addr().map_or(*port, |address| address.port());
                tasks.spawn(serve(listener, format!("{token}\n").into(), until));
                answers.push(Listening::Listening { port });
            }
            Err(error) => answers.push(taken(*port, request.address, &error)),
        }
    }
    Ok((answers, Listeners { token: token.clone(), until, tasks }))
}

fn taken(port: u16, address: IpAddr, error: &io::Error) -> Listening {
    if error.kind() != io::ErrorKind::AddrInUse {
        return Listening::Failed {
            port,
            why: Failure::io("listen on", SocketAddr::new(address, port), error),
        };
    }
    let mut by = ports::in_use(&[port]).into_iter().flat_map(|port| port.listeners);
    let first = by.next();
    match by.find(|listener| listener.ours).or(first) {
        Some(by) if by.ours => Listening::Ours { port, by: Box::new(by) },
        by => Listening::InUse { port, by: by.map(Box::new) },
    }
}

async fn serve(listener: TcpListener, token: Arc<str>, until: Instant) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut answering = JoinSet::new();
    let accept = async {
        loop {
            // The semaphore is never closed, so this waits for room and cannot fail.
            let Ok(permit) = room.clone().acquire_owned().await else { return };
            while answering.try_join_next().is_some() {}
            match listener.accept().await {
                Ok((stream, _)) => {
                    let token = token.clone();
                    answering.spawn(async move {
                        answer(stream, &token).await;
                        drop(permit);
                    });
                }
                // Out of descriptors, or a connection that broke at once: the next may do better.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    // The time being over is the regular end.
    let _ = tokio::time::timeout_at(until, accept).await;
}

/// The prober hangs up first, so that TIME_WAIT stays on its ephemeral port and not on the port
/// that the server is about to bind.
async fn answer(mut stream: TcpStream, token: &str) {
    let say_and_wait = async {
        stream.write_all(token.as_bytes()).await?;
        let mut rest = [0; 64];
        while stream.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    // Whatever goes wrong here is the prober's finding, not ours.
    let _ = timeout(LINGER, say_and_wait).await;
}

/// However long a caller asks for, nothing listens longer: it is a probe, not a service.
pub(crate) const SECONDS_MAX: u64 = 600;
/// An ensemble's worth of probes at once for each port.
const CONNECTIONS_MAX: usize = 128;
/// A prober that has its token and does not hang up.
const LINGER: Duration = Duration::from_secs(2);
const TOKEN_BYTES_MAX: usize = 256;
