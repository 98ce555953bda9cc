//! An opening in a host's firewall, as journals and records have it: `2181`, `2888 from 10.0.0.1`,
//! `2181 from fd00::/8`. It knows no firewall.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A TCP port, and who is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Opening {
    pub port: u16,
    /// `None`: everybody, in both families.
    pub from: Option<Network>,
}

/// Addresses with a common beginning; a single one, too. No bit is set behind the prefix, and an IPv4
/// address is never written as an IPv6 one: equal networks are equal values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// What was written is no opening, no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither an address nor a network like 10.0.0.0/8 or fd00::/8")]
pub struct NotANetwork(String);

impl Opening {
    pub fn to_all(port: u16) -> Opening {
        Opening { port, from: None }
    }

    pub fn to_host(port: u16, address: IpAddr) -> Opening {
        Opening { port, from: Some(Network::host(address)) }
    }

    /// Whoever the other lets in, this one does, too.
    pub fn covers(&self, other: &Opening) -> bool {
        let wide = match (&self.from, &other.from) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(mine), Some(theirs)) => mine.contains(theirs),
        };
        wide && self.port == other.port
    }
}

impl Network {
    pub fn host(address: IpAddr) -> Network {
        let address = address.to_canonical();
        Network { address, prefix: bits(address) }
    }

    /// `None`: a prefix longer than the address. Bits behind the prefix do not count.
    pub fn new(address: IpAddr, prefix: u8) -> Option<Network> {
        let kept = |size: u8| size.checked_sub(prefix).map(u32::from);
        let address = match address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(kept(32)?).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(kept(128)?).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
            }
        };
        Some(Network { address, prefix })
    }

    pub fn address(&self) -> IpAddr {
        self.address
    }

    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    fn is_host(&self) -> bool {
        self.prefix == bits(self.address)
    }

    pub fn is_ipv4(&self) -> bool {
        self.address.is_ipv4()
    }

    pub fn contains(&self, other: &Network) -> bool {
        self.prefix <= other.prefix && Network::new(other.address, self.prefix) == Some(*self)
    }

    pub fn overlaps(&self, other: &Network) -> bool {
        self.contains(other) || other.contains(self)
    }

    /// With the prefix, also of a single address.
    pub fn in_full(&self) -> String {
        format!("{}/{}", self.address, self.prefix)
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Network, NotANetwork> {
        let wrong = || NotANetwork(text.chars().take(80).collect());
        match text.split_once('/') {
            None => Ok(Network::host(text.parse().map_err(|_| wrong())?)),
            Some((address, prefix)) => {
                let plain = !prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_digit());
                let prefix = prefix.parse().ok().filter(|_| plain).ok_or_else(wrong)?;
                Network::new(address.parse().map_err(|_| wrong())?, prefix).ok_or_else(wrong)
            }
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_host() { self.address.fmt(f) } else { f.write_str(&self.in_full()) }
    }
}

impl FromStr for Opening {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Opening, NotANetwork> {
        let (port, from) = match text.split_once(" from ") {
            None => (text, None),
            Some((port, from)) => (port, Some(from.parse()?)),
        };
        let port = port.parse().map_err(|_| NotANetwork(text.chars().take(80).collect()))?;
        Ok(Opening { port, from })
    }
}

impl fmt::Display for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.from {
            None => write!(f, "{}", self.port),
            Some(from) => write!(f, "{} from {from}", self.port),
        }
    }
}

impl TryFrom<String> for Network {
    type Error = NotANetwork;

    fn try_from(text: String) -> Result<Network, NotANetwork> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> String {
        network.to_string()
    }
}

impl TryFrom<String> for Opening {
    type Error = NotANetwork;

    fn try_from(text: String) -> Result<Opening, NotANetwork> {
        text.parse()
    }
}

impl From<Opening> for String {
    fn from(opening: Opening) -> String {
        opening.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::{Network, Opening};

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_written_is_read_and_equal_networks_are_equal() {
        for (text, shown) in [
            ("10.0.0.9", "10.0.0.9"),
            ("10.0.0.9/32", "10.0.0.9"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("fd77::11", "fd77::11"),
            ("fd77::11/64", "fd77::/64"),
            ("::ffff:10.0.0.9", "10.0.0.9"),
        ] {
            assert_eq!(network(text).to_string(), shown);
            assert_eq!(network(shown), network(text));
        }
        for wrong in ["", "10.0.0.0/33", "fd00::/129", "10.0.0.0/", "10.0.0.0/+8", "node-1", "10.0.0.1 "] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn who_is_let_in_by_whom() {
        let opening = |text: &str| text.parse::<Opening>().unwrap();
        let covers = |a: &str, b: &str| opening(a).covers(&opening(b));
        assert!(covers("2888", "2888 from 10.0.0.1") && !covers("2888 from 10.0.0.1", "2888"));
        assert!(covers("2888 from 10.0.0.0/8", "2888 from 10.0.0.1"));
        assert!(!covers("2888 from 10.0.0.0/8", "2888 from fd00::1") && !covers("2888", "3888"));
        assert!(network("0.0.0.0/0").overlaps(&network("10.0.0.1")));
        assert!(!network("0.0.0.0/0").overlaps(&network("::1")));
        for text in ["2181", "2888 from 10.0.0.1", "2181 from fd00::/8"] {
            assert_eq!(opening(text).to_string(), text);
        }
    }
}
