//! This host's own addresses and the interface that carries one, from /proc/net alone: getifaddrs
//! is not to be had without `unsafe`, and the `ip` program may be absent.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// All addresses of this host, loopback included.
pub(crate) fn own() -> Vec<IpAddr> {
    let mut all: Vec<IpAddr> = local_v4(&read("/proc/net/fib_trie")).into_iter().map(IpAddr::V4).collect();
    all.extend(local_v6(&read("/proc/net/if_inet6")).into_iter().map(|(address, _)| IpAddr::V6(address)));
    all
}

/// The interface that carries one of our addresses; `None` when it is not ours or not to be told.
pub(crate) fn interface_of(address: IpAddr) -> Option<String> {
    match address {
        IpAddr::V4(v4) => {
            let ours = local_v4(&read("/proc/net/fib_trie")).contains(&v4);
            ours.then(|| route_to(&read("/proc/net/route"), v4)).flatten()
        }
        IpAddr::V6(v6) => local_v6(&read("/proc/net/if_inet6"))
            .into_iter()
            .find(|(own, _)| *own == v6)
            .map(|(_, name)| name),
    }
}

/// Addresses that /proc/net/fib_trie marks `host LOCAL`: the line before each one has the address.
pub(crate) fn local_v4(fib_trie: &str) -> Vec<Ipv4Addr> {
    let mut found = Vec::new();
    let mut last = None;
    for line in fib_trie.lines().map(str::trim) {
        if let Some(leaf) = line.strip_prefix("|-- ") {
            last = leaf.parse::<Ipv4Addr>().ok();
        } else if line == "/32 host LOCAL" {
            found.extend(last);
        }
    }
    // Each address stands in the main and in the local table.
    found.sort_unstable();
    found.dedup();
    found
}

/// /proc/net/if_inet6: `hex-address index prefix scope flags name`.
pub(crate) fn local_v6(if_inet6: &str) -> Vec<(Ipv6Addr, String)> {
    let parse = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let bits = u128::from_str_radix(words.first().filter(|hex| hex.len() == 32)?, 16).ok()?;
        Some((Ipv6Addr::from_bits(bits), (*words.get(5)?).to_string()))
    };
    if_inet6.lines().filter_map(parse).collect()
}

/// The interface of the narrowest directly connected network around an address (/proc/net/route
/// has little-endian hex numbers); without one, that of the default route.
pub(crate) fn route_to(route: &str, address: Ipv4Addr) -> Option<String> {
    struct Row<'a> {
        interface: &'a str,
        destination: u32,
        gateway: u32,
        mask: u32,
    }
    let number = |word: Option<&&str>| u32::from_str_radix(word?, 16).ok().map(u32::swap_bytes);
    let rows: Vec<Row<'_>> = route
        .lines()
        .skip(1)
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            Some(Row {
                interface: words.first()?,
                destination: number(words.get(1))?,
                gateway: number(words.get(2))?,
                mask: number(words.get(7))?,
            })
        })
        .collect();
    let bits = address.to_bits();
    let connected = rows
        .iter()
        .filter(|row| row.gateway == 0 && row.mask != 0 && bits & row.mask == row.destination)
        .max_by_key(|row| row.mask.count_ones());
    let default = || rows.iter().find(|row| row.mask == 0);
    connected.or_else(default).map(|row| row.interface.to_string())
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
