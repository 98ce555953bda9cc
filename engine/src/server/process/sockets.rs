//! Where a server listens, and how a listening socket comes to be at 3 a.m.: it is tried until it is there, and what
//! stands in its way is told.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, lookup_host};
use tokio::task::JoinSet;

use super::told::Told;

/// A port of this server's.
#[derive(Debug, Clone)]
pub(super) struct Door {
    /// The port's name in messages.
    pub(super) what: &'static str,
    /// A name or an address; `None` is all addresses of this host.
    pub(super) host: Option<String>,
    pub(super) port: u16,
    pub(super) backlog: Option<i32>,
}

impl Door {
    /// Opens the port on every address that it has, and lets `serve` run on each. An address that cannot be had is
    /// tried again and again: a name may come to be known later, a port may be given up by another process.
    pub(super) async fn open<F>(self, serve: impl Fn(TcpListener) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut serving = JoinSet::new();
        let mut open = Vec::new();
        let mut told = Told::default();
        let mut pause = PAUSE_MIN;
        while let Err(cause) =
            self.open_rest(&mut open, |listener| drop(serving.spawn(serve(listener)))).await
        {
            // A port that a listener of ours is just leaving is free in a moment, and not worth a line.
            if pause > 4 * PAUSE_MIN && told.is_news(&cause, Instant::now()) {
                tracing::error!("{cause} It is tried again every second");
            }
            tokio::time::sleep(pause).await;
            pause = PAUSE_MAX.min(2 * pause);
        }
        if told.is_empty() {
            tracing::debug!(port = self.port, "the {} port is open", self.what);
        } else {
            tracing::info!(port = self.port, "the {} port is open now", self.what);
        }
        while serving.join_next().await.is_some() {}
    }

    /// Opens what is not `open` yet.
    ///
    /// # Errors
    /// What is in the way of an address, for people.
    async fn open_rest(
        &self,
        open: &mut Vec<SocketAddr>,
        mut serve: impl FnMut(TcpListener),
    ) -> Result<(), String> {
        let mut result = Ok(());
        for addr in self.addresses().await? {
            if open.contains(&addr) {
                continue;
            }
            match listen(addr, self.backlog) {
                Ok(listener) => {
                    open.push(addr);
                    serve(listener);
                }
                Err(error) => {
                    result = Err(format!(
                        "cannot open the {} port {addr}: {error}. Is another server running there (ss -ltnp), and \
                         is the address one of this host's?",
                        self.what
                    ));
                }
            }
        }
        result
    }

    async fn addresses(&self) -> Result<Vec<SocketAddr>, String> {
        let Some(host) = &self.host else {
            return Ok(vec![SocketAddr::new(everywhere(), self.port)]);
        };
        // As the reference takes it, an IPv6 address may stand in brackets here, too.
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let unknown = "has no address here: check /etc/hosts and DNS";
        match lookup_host((host, self.port)).await.map(Iterator::collect::<Vec<_>>) {
            Ok(addrs) if !addrs.is_empty() => Ok(addrs),
            Ok(_) => Err(format!("the host name {host} of zoo.cfg {unknown}.")),
            Err(error) => Err(format!("the host name {host} of zoo.cfg {unknown} ({error}).")),
        }
    }
}

/// Binds and listens. The address may be reused at once after a restart; an IPv6 wildcard takes IPv4 too.
///
/// # Errors
/// What the system says, most often that the port is in use.
fn listen(addr: SocketAddr, backlog: Option<i32>) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    if addr.is_ipv6() {
        // Who names an IPv6 address wants that one alone; the same name may have an IPv4 address beside it.
        socket.set_only_v6(!addr.ip().is_unspecified())?;
    }
    socket.bind(&addr.into())?;
    socket.listen(backlog.unwrap_or(BACKLOG_DEFAULT))?;
    TcpListener::from_std(socket.into())
}

/// All addresses of both families, where the system has both.
fn everywhere() -> IpAddr {
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    match Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP)).and_then(|socket| {
        socket.set_only_v6(false)?;
        socket.bind(&any.into())
    }) {
        Ok(()) => Ipv6Addr::UNSPECIFIED.into(),
        Err(_) => Ipv4Addr::UNSPECIFIED.into(),
    }
}

/// Waiting connections the system keeps when the configuration names no number.
const BACKLOG_DEFAULT: i32 = 1024;

/// Between two tries at first, and later.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);
