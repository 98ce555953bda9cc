//! The answer to `srvr` (operations §8.2), from 3.4 on. `stat` has the same lines and parses too.

use std::str::FromStr;

use super::{Error, Mode};
use crate::wire::ids::Zxid;

/// What `srvr` tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Srvr {
    /// `<x.y.z>[-qualifier]-<hash>, built on …`, as printed.
    pub version: String,
    pub read_only: bool,
    pub latency: Latency,
    /// Packets since the start or the last `srst`.
    pub received: u64,
    pub sent: u64,
    /// With the one that asked.
    pub connections: u64,
    pub outstanding: u64,
    pub zxid: Zxid,
    pub mode: Mode,
    /// As printed: real nodes + 1, because the root counts twice (TRAP).
    pub node_count: u64,
    /// Last, min and max bytes of a proposal; leaders only, −1 before the first.
    pub proposal_sizes: Option<[i64; 3]>,
}

/// Request latency in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Latency {
    pub min: u64,
    pub avg: f64,
    pub max: u64,
}

impl FromStr for Srvr {
    type Err = Error;

    fn from_str(text: &str) -> Result<Srvr, Error> {
        let field = |name: &'static str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .map(str::trim)
                .ok_or(Error::Malformed { word: "srvr", field: name })
        };
        let number = |name: &'static str| {
            field(name)?.parse::<u64>().map_err(|_| Error::Malformed { word: "srvr", field: name })
        };
        let malformed = |field| Error::Malformed { word: "srvr", field };
        Ok(Srvr {
            version: field("Zookeeper version")?.to_owned(),
            read_only: text.lines().any(|line| line.starts_with("READ-ONLY mode;")),
            latency: latency(field("Latency min/avg/max")?)
                .ok_or_else(|| malformed("Latency min/avg/max"))?,
            received: number("Received")?,
            sent: number("Sent")?,
            connections: number("Connections")?,
            outstanding: number("Outstanding")?,
            zxid: zxid(field("Zxid")?).ok_or_else(|| malformed("Zxid"))?,
            mode: field("Mode")?.parse().map_err(|()| malformed("Mode"))?,
            node_count: number("Node count")?,
            proposal_sizes: field("Proposal sizes last/min/max").ok().and_then(sizes),
        })
    }
}

fn latency(text: &str) -> Option<Latency> {
    let mut parts = text.split('/');
    Some(Latency {
        min: parts.next()?.parse().ok()?,
        avg: parts.next()?.parse().ok()?,
        max: parts.next()?.parse().ok()?,
    })
}

fn zxid(text: &str) -> Option<Zxid> {
    // The reference prints a negative zxid as 64-bit two's complement.
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok().map(|value| Zxid(value as i64))
}

fn sizes(text: &str) -> Option<[i64; 3]> {
    let sizes: Vec<i64> = text.split('/').map(|size| size.parse().ok()).collect::<Option<_>>()?;
    sizes.try_into().ok()
}
