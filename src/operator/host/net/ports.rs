//! Who listens on a TCP port: /proc/net/tcp and tcp6 name the socket, /proc/PID/fd its owner. It
//! opens no socket itself.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::records::{Listener, PortUse};
use crate::operator::host::files::accounts::Accounts;
use crate::operator::host::machine::{Process, process};
use crate::operator::host::service::servers;

/// A row of /proc/net/tcp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) local: SocketAddr,
    pub(crate) uid: u32,
    pub(crate) inode: u64,
}

pub(crate) fn in_use(ports: &[u16]) -> Vec<PortUse> {
    let mut rows = rows(&fs::read_to_string("/proc/net/tcp").unwrap_or_default());
    rows.extend(self::rows(&fs::read_to_string("/proc/net/tcp6").unwrap_or_default()));
    rows.retain(|row| ports.contains(&row.local.port()));
    let owners = if rows.is_empty() { BTreeMap::new() } else { owners(&rows) };
    let names = Accounts::read();
    ports
        .iter()
        .map(|port| PortUse {
            port: *port,
            listeners: rows
                .iter()
                .filter(|row| row.local.port() == *port)
                .map(|row| {
                    let process = owners.get(&row.inode).and_then(|pid| Process::read(*pid));
                    Listener {
                        address: row.local,
                        uid: row.uid,
                        user: names.user(row.uid),
                        ours: process.as_ref().is_some_and(servers::is_ours),
                        process,
                    }
                })
                .collect(),
        })
        .collect()
}

/// The listening rows of /proc/net/tcp or tcp6 (proc_net_tcp(5)).
pub(crate) fn rows(table: &str) -> Vec<Row> {
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            if words.get(3) != Some(&TCP_LISTEN) {
                return None;
            }
            Some(Row {
                local: address(words.get(1)?)?,
                uid: words.get(7)?.parse().ok()?,
                inode: words.get(9)?.parse().ok()?,
            })
        })
        .collect()
}

/// `0100007F:0885`: each 32-bit group of the address is in the machine's byte order, the port is
/// not.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let group = |index: usize| {
        let hex = ip.get(index * 8..index * 8 + 8)?;
        Some(u32::from_str_radix(hex, 16).ok()?.to_ne_bytes())
    };
    let ip = match ip.len() {
        8 => IpAddr::V4(Ipv4Addr::from_octets(group(0)?)),
        32 => {
            let mut octets = [0; 16];
            for index in 0..4 {
                octets[index * 4..index * 4 + 4].copy_from_slice(&group(index)?);
            }
            IpAddr::V6(Ipv6Addr::from_octets(octets))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// Socket inode → pid, for the sockets asked, as far as this user may look.
fn owners(rows: &[Row]) -> BTreeMap<u64, i32> {
    let mut found = BTreeMap::new();
    for pid in process::pids() {
        for entry in fs::read_dir(process::folder(pid).join("fd")).into_iter().flatten().flatten() {
            let Ok(target) = fs::read_link(entry.path()) else { continue };
            let inode = target
                .to_str()
                .and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']')?.parse::<u64>().ok());
            if let Some(inode) = inode.filter(|inode| rows.iter().any(|row| row.inode == *inode)) {
                found.insert(inode, pid);
            }
        }
        if found.len() == rows.len() {
            break;
        }
    }
    found
}

/// The kernel's number for a listening socket.
const TCP_LISTEN: &str = "0A";
