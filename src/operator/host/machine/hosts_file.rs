//! /etc/hosts as text: who has which names. It resolves nothing.

use std::net::IpAddr;

/// hosts(5): `address name alias…`, `#` begins a comment.
pub(crate) fn lines(hosts: &str) -> impl Iterator<Item = (IpAddr, Vec<&str>)> {
    hosts.lines().filter_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        // An address may carry a zone (`fe80::1%lo0`), which std does not parse.
        let address = words.next()?.split('%').next()?.parse().ok()?;
        Some((address, words.collect()))
    })
}
