//! TCP connections that a host opens for us and an SSH connection carries (`direct-tcpip`, what
//! `ssh -W` does): the way to servers that only their own hosts reach.

use std::io;
use std::sync::Arc;

use russh::ChannelOpenFailure;
use tokio::io::{AsyncRead, AsyncWrite};

use super::session::{Session, describe};

/// Opens connections from the host at the other end. Clones share the SSH connection.
#[derive(Clone)]
pub struct Tunnel {
    session: Arc<Session>,
}

impl Tunnel {
    pub(super) fn new(session: Arc<Session>) -> Tunnel {
        Tunnel { session }
    }

    /// A connection to `host:port` as the far host sees them; dropping it closes it.
    ///
    /// # Errors
    /// `ConnectionRefused` where the far host could not connect, `PermissionDenied` where its sshd
    /// carries no connections, `NotConnected` when the SSH connection is gone.
    pub async fn open(
        &self,
        host: &str,
        port: u16,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        match self.session.forward(host, port).await {
            Ok(channel) => Ok(channel.into_stream()),
            Err(russh::Error::ChannelOpenFailure(why)) => Err(refused(self.session.label(), &why)),
            Err(_) => {
                let lost = self.session.lost("opening a connection through it");
                Err(io::Error::new(io::ErrorKind::NotConnected, lost.to_string()))
            }
        }
    }
}

fn refused(via: &str, why: &ChannelOpenFailure) -> io::Error {
    match why {
        ChannelOpenFailure::ConnectFailed => {
            io::Error::new(io::ErrorKind::ConnectionRefused, format!("{via} could not connect"))
        }
        ChannelOpenFailure::AdministrativelyProhibited => io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "{via} does not forward connections (AllowTcpForwarding or PermitOpen in its sshd_config)"
            ),
        ),
        other => io::Error::other(format!("{via} refused a connection: {}", describe(other))),
    }
}
