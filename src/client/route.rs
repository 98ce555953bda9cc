//! How the bytes of a connection travel to a server: over TCP from this machine, or over whatever
//! somebody else opens, such as a channel of an ssh connection. Knows nothing of what is said.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::{fmt, io};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::Server;

/// A connection under way.
pub type Opening = Pin<Box<dyn Future<Output = io::Result<Link>> + Send>>;

/// The way to servers.
#[derive(Clone, Default)]
pub enum Route {
    /// TCP to the server's host and port.
    #[default]
    Direct,
    /// Opened by somebody else, who is told which server is meant.
    Carried(Arc<dyn Fn(Server) -> Opening + Send + Sync>),
}

/// An open connection's two directions.
pub struct Link {
    pub reader: Box<dyn AsyncRead + Send + Unpin>,
    pub writer: Box<dyn AsyncWrite + Send + Unpin>,
}

impl Route {
    /// # Errors
    /// Why there is no connection.
    pub async fn open(&self, server: Server) -> io::Result<Link> {
        match self {
            Route::Direct => {
                let stream = TcpStream::connect((server.host.as_str(), server.port)).await?;
                stream.set_nodelay(true)?;
                let (reader, writer) = stream.into_split();
                Ok(Link { reader: Box::new(reader), writer: Box::new(writer) })
            }
            Route::Carried(open) => open(server).await,
        }
    }
}

impl Link {
    /// Over one stream that goes both ways.
    pub fn over(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Link {
        let (reader, writer) = tokio::io::split(stream);
        Link { reader: Box::new(reader), writer: Box::new(writer) }
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Route::Direct => "Direct",
            Route::Carried(_) => "Carried",
        })
    }
}
