//! Which of this host's addresses its packets carry, by its routes alone: nothing is sent. And where
//! the session comes from that asks.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::UdpSocket;
use tokio::time::Instant;

use super::records::{Sources, Towards};
use crate::operator::host::machine::process;

pub(crate) async fn sources(hosts: &[String], deadline: Instant) -> Sources {
    let towards = futures_util::future::join_all(hosts.iter().map(|host| towards(host, deadline))).await;
    Sources { session: session(), towards }
}

async fn towards(host: &str, deadline: Instant) -> Towards {
    let addresses: Vec<IpAddr> = match host.parse::<IpAddr>() {
        Ok(address) => vec![address],
        Err(_) => match tokio::time::timeout_at(deadline, tokio::net::lookup_host((host, 0))).await {
            Ok(Ok(all)) => {
                let all: BTreeSet<IpAddr> = all.map(|address| address.ip().to_canonical()).collect();
                all.into_iter().collect()
            }
            // A name that means nothing here: no way leads there.
            Ok(Err(_)) | Err(_) => Vec::new(),
        },
    };
    let mut from = Vec::new();
    for address in &addresses {
        if let Some(own) = way_to(*address).await.filter(|own| !from.contains(own)) {
            from.push(own);
        }
    }
    Towards { host: host.to_owned(), addresses, from }
}

/// Connecting a datagram socket asks the routes and sends nothing.
async fn way_to(address: IpAddr) -> Option<IpAddr> {
    let any: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await.ok()?;
    socket.connect(SocketAddr::new(address, ANY_PORT)).await.ok()?;
    Some(socket.local_addr().ok()?.ip().to_canonical())
}

/// What sshd says of the session; sudo takes the variable away, its parents still have it.
pub(crate) fn session() -> Option<IpAddr> {
    let mut pid = std::process::id().cast_signed();
    for _ in 0..GENERATIONS {
        let environment = std::fs::read(process::folder(pid).join("environ")).unwrap_or_default();
        let client = environment.split(|byte| *byte == 0).find_map(|entry| {
            let value = std::str::from_utf8(entry).ok()?.strip_prefix("SSH_CONNECTION=")?;
            value.split_whitespace().next()?.parse::<IpAddr>().ok()
        });
        if client.is_some() {
            return client.map(|address| address.to_canonical());
        }
        let status = std::fs::read_to_string(process::folder(pid).join("status")).ok()?;
        pid = status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()?;
    }
    None
}

/// zkops, sudo, a shell or two.
const GENERATIONS: usize = 6;
/// The routes do not look at it.
const ANY_PORT: u16 = 9;
