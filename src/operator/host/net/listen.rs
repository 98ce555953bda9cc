//! Temporary listeners on the true ports, so that reachability is tested through the real
//! firewall before a server runs. They answer every connection with a token and nothing else,
//! hear who it is and see where it comes from, and end by themselves. A port that somebody has already is reported, not fought for.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::ports;
use super::records::{Caller, Listen, Listening};
use crate::operator::host::failure::Failure;

/// The listeners of one request; dropping it ends them.
pub(crate) struct Listeners {
    pub(crate) token: String,
    pub(crate) until: Instant,
    tasks: JoinSet<()>,
    callers: Callers,
}

/// Who came from where: once each, so many at most.
type Callers = Arc<Mutex<Vec<Caller>>>;

impl Listeners {
    /// Who was heard.
    pub(crate) async fn stop(mut self) -> Vec<Caller> {
        self.tasks.shutdown().await;
        std::mem::take(&mut *self.callers.lock().unwrap_or_else(PoisonError::into_inner))
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
    let callers = Callers::default();
    for port in &request.ports {
        match bind(request.address, *port).await {
            Ok(listener) => {
                let port = listener.local_addr().map_or(*port, |address| address.port());
                tasks.spawn(serve(listener, format!("{token}\n").into(), until, callers.clone()));
                answers.push(Listening::Listening { port });
            }
            Err(error) => answers.push(taken(*port, request.address, &error)),
        }
    }
    Ok((answers, Listeners { token: token.clone(), until, tasks, callers }))
}

/// "::" is both families, as for the server, also where the host has no IPv6.
async fn bind(address: IpAddr, port: u16) -> io::Result<TcpListener> {
    match TcpListener::bind(SocketAddr::new(address, port)).await {
        Err(error)
            if address == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && error.kind() != io::ErrorKind::AddrInUse =>
        {
            TcpListener::bind(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port)).await
        }
        bound => bound,
    }
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

async fn serve(listener: TcpListener, token: Arc<str>, until: Instant, callers: Callers) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut answering = JoinSet::new();
    let accept = async {
        loop {
            // The semaphore is never closed, so this waits for room and cannot fail.
            let Ok(permit) = room.clone().acquire_owned().await else { return };
            while answering.try_join_next().is_some() {}
            match listener.accept().await {
                Ok((stream, from)) => {
                    let (token, callers) = (token.clone(), callers.clone());
                    answering.spawn(async move {
                        let name = answer(stream, &token).await;
                        note(&callers, name, from.ip().to_canonical());
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
/// that the server is about to bind. What it said of itself, if it did.
async fn answer(mut stream: TcpStream, token: &str) -> Option<String> {
    let mut said = Vec::new();
    let say_and_wait = async {
        stream.write_all(token.as_bytes()).await?;
        let mut part = [0; 64];
        loop {
            let length = stream.read(&mut part).await?;
            if length == 0 {
                return io::Result::Ok(());
            }
            said.extend(part[..length].iter().take(NAME_BYTES_MAX.saturating_sub(said.len())));
        }
    };
    // Whatever goes wrong here is the prober's finding, not ours.
    let _ = timeout(LINGER, say_and_wait).await;
    let name = String::from_utf8(said).ok()?;
    let name = name.strip_suffix('\n').filter(|name| !name.is_empty());
    name.filter(|name| name.chars().all(|c| !c.is_control())).map(str::to_owned)
}

fn note(callers: &Callers, name: Option<String>, address: IpAddr) {
    let Some(name) = name else { return };
    let mut callers = callers.lock().unwrap_or_else(PoisonError::into_inner);
    let caller = Caller { name, address };
    if callers.len() < CALLERS_MAX && !callers.contains(&caller) {
        callers.push(caller);
    }
}

/// However long a caller asks for, nothing listens longer: it is a probe, not a service.
pub(crate) const SECONDS_MAX: u64 = 600;
/// An ensemble's worth of probes at once for each port.
const CONNECTIONS_MAX: usize = 128;
/// A prober that has its token and does not hang up.
const LINGER: Duration = Duration::from_secs(2);
const TOKEN_BYTES_MAX: usize = 256;
/// The longest name of a member, and then some.
const NAME_BYTES_MAX: usize = 256;
/// Strangers may call, too.
const CALLERS_MAX: usize = 1024;
