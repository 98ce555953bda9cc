//! Names as this host resolves them, through the system's resolver and as /etc/hosts says, with
//! the traps that keep an ensemble from forming: a name that means loopback, or another machine.

use std::fs;
use std::net::IpAddr;

use tokio::time::Instant;

use super::addresses;
use super::records::{Expected, NamesReport, Resolved, Trap};
use crate::operator::host::machine::hosts_file;

pub(crate) async fn report(expected: &[Expected], deadline: Instant) -> NamesReport {
    let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
    let own = Expected { name: hostname.clone(), ip: None };
    let all: Vec<&Expected> = std::iter::once(&own).chain(expected).collect();
    let mut resolved =
        futures_util::future::join_all(all.into_iter().map(|one| resolve(one, &hosts, deadline))).await;
    let own_name = resolved.remove(0);
    NamesReport { hostname, own_name, addresses: addresses::own(), names: resolved }
}

async fn resolve(expected: &Expected, hosts: &str, deadline: Instant) -> Resolved {
    // getaddrinfo has its own patience; ours is the request's.
    let looked =
        tokio::time::timeout_at(deadline, tokio::net::lookup_host((expected.name.as_str(), 0))).await;
    let (mut found, mut problem) = (Vec::new(), None);
    match looked {
        Ok(Ok(all)) => all.map(|socket| socket.ip()).for_each(|ip| {
            if !found.contains(&ip) {
                found.push(ip);
            }
        }),
        Ok(Err(error)) => problem = Some(error.to_string()),
        Err(_) => problem = Some("the resolver did not answer in time".into()),
    }
    judge(expected, found, in_hosts(hosts, &expected.name), problem)
}

/// The verdict on one name, given what the resolver and /etc/hosts say.
pub(crate) fn judge(
    expected: &Expected,
    addresses: Vec<IpAddr>,
    hosts_file: Vec<IpAddr>,
    problem: Option<String>,
) -> Resolved {
    let first = addresses.first().copied();
    let literal = expected.name.parse::<IpAddr>().is_ok() || expected.name == "localhost";
    let trap = match (first, expected.ip) {
        (Some(first), Some(ip)) if first == ip => None,
        (Some(first), Some(_) | None) if first.is_loopback() && !literal => Some(Trap::Loopback(first)),
        (Some(first), Some(ip)) if addresses.contains(&ip) => Some(Trap::NotFirst { expected: ip, first }),
        (Some(first), Some(ip)) => Some(Trap::Other { expected: ip, got: first }),
        (_, None) | (None, _) => None,
    };
    let matches = expected.ip.map(|ip| first == Some(ip));
    Resolved { name: expected.name.clone(), addresses, hosts_file, problem, matches, trap }
}

/// Addresses that a hosts file gives to a name, in its order.
pub(crate) fn in_hosts(hosts: &str, name: &str) -> Vec<IpAddr> {
    hosts_file::lines(hosts)
        .filter(|(_, names)| names.iter().any(|one| one.eq_ignore_ascii_case(name)))
        .map(|(ip, _)| ip)
        .collect()
}
