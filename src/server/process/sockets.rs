//! Listening sockets as a server that is restarted at 3 a.m. needs them.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// Binds and listens. The address may be reused at once after a restart; an IPv6 wildcard takes IPv4 too.
///
/// # Errors
/// What the system says, most often that the port is in use.
pub(super) fn listen(addr: SocketAddr, backlog: Option<i32>) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    if addr.is_ipv6() && addr.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&addr.into())?;
    socket.listen(backlog.unwrap_or(BACKLOG_DEFAULT))?;
    TcpListener::from_std(socket.into())
}

/// Waiting connections the system keeps when the configuration names no number.
const BACKLOG_DEFAULT: i32 = 1024;
