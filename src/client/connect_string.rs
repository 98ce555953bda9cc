//! `host:port,host:port…[/chroot]` (client-protocol §12), parsed once into what cannot be wrong.
//! Names are not resolved here, and the order is kept: the session shuffles.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use crate::wire::proto::path::{self, PathError};

/// One server of a connect string.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Server {
    /// A name or an address, without brackets.
    pub host: String,
    pub port: u16,
}

/// The servers of one ensemble, at least one, and the path that stands for `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectString {
    servers: Vec<Server>,
    chroot: Option<String>,
}

/// Why a text is no connect string.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectStringError {
    #[error("connect string {0:?} names no server: write host:port[,host:port…][/chroot]")]
    Empty(String),
    #[error("server {0:?} has no host: write host or host:port")]
    Host(String),
    #[error("server {0:?}: the port must be a number from 1 to 65535")]
    Port(String),
    #[error("server {0:?}: write an IPv6 address in brackets, as in [::1]:2181")]
    Brackets(String),
    #[error("chroot {chroot:?}: {why}")]
    Chroot { chroot: String, why: PathError },
}

impl ConnectString {
    /// One server, no chroot.
    pub fn single(host: &str, port: u16) -> ConnectString {
        ConnectString { servers: vec![Server { host: host.to_owned(), port }], chroot: None }
    }

    /// Never empty.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The path put in front of every path; `None` for the root.
    pub fn chroot(&self) -> Option<&str> {
        self.chroot.as_deref()
    }
}

impl FromStr for ConnectString {
    type Err = ConnectStringError;

    fn from_str(text: &str) -> Result<ConnectString, ConnectStringError> {
        let (hosts, chroot) = match text.find('/') {
            Some(at) => (&text[..at], Some(&text[at..])),
            None => (text, None),
        };
        let servers = hosts
            .split(',')
            .map(str::trim)
            .filter(|server| !server.is_empty())
            .map(Server::from_str)
            .collect::<Result<Vec<_>, _>>()?;
        if servers.is_empty() {
            return Err(ConnectStringError::Empty(text.to_owned()));
        }
        let chroot = match chroot {
            None | Some("/") => None,
            Some(chroot) => {
                path::validate(chroot)
                    .map_err(|why| ConnectStringError::Chroot { chroot: chroot.to_owned(), why })?;
                Some(chroot.to_owned())
            }
        };
        Ok(ConnectString { servers, chroot })
    }
}

impl FromStr for Server {
    type Err = ConnectStringError;

    fn from_str(text: &str) -> Result<Server, ConnectStringError> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) =
                    rest.split_once(']').ok_or_else(|| ConnectStringError::Brackets(text.to_owned()))?;
                (host, port.strip_prefix(':').or((!port.is_empty()).then_some(port)))
            }
            None if text.parse::<Ipv6Addr>().is_ok() => (text, None),
            None => match text.split_once(':') {
                Some((_, port)) if port.contains(':') => {
                    return Err(ConnectStringError::Brackets(text.to_owned()));
                }
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        if host.is_empty() {
            return Err(ConnectStringError::Host(text.to_owned()));
        }
        let port = match port {
            None => PORT_DEFAULT,
            Some(port) => port
                .parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(|| ConnectStringError::Port(text.to_owned()))?,
        };
        Ok(Server { host: host.to_owned(), port })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for ConnectString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, server) in self.servers.iter().enumerate() {
            write!(f, "{}{server}", if i == 0 { "" } else { "," })?;
        }
        f.write_str(self.chroot().unwrap_or_default())
    }
}

/// The port of a server that names none.
const PORT_DEFAULT: u16 = 2181;
