//! A stored list, which knows whom it grants what from the first time on that comparing one by one would be long: a check
//! costs what the asker has in identities, not what the list has in entries (design law 15).

use core::net::Ipv6Addr;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use crate::wire::proto::{Acl, Id};

/// The entries of a list, in their order.
#[derive(Debug)]
pub struct Acls {
    entries: Box<[Acl]>,
    index: OnceLock<Index>,
}

/// Who is granted which bits.
#[derive(Debug, Default)]
struct Index {
    anyone: i32,
    /// By scheme and id, where the id says who it is.
    spelled: BTreeMap<String, BTreeMap<String, i32>>,
    /// By length of the address, bits of the network that count, and the network.
    networks: BTreeMap<(usize, usize), BTreeMap<Vec<u8>, i32>>,
    /// By any entry of SASL: what its super user may.
    any_sasl: i32,
}

impl Acls {
    /// A list of these entries.
    pub fn shared(entries: impl Into<Vec<Acl>>) -> Arc<Acls> {
        Arc::new(Acls { entries: entries.into().into(), index: OnceLock::new() })
    }

    /// Whether one of the bits in `wanted` is granted to one of the identities.
    pub(super) fn grant(&self, wanted: i32, who: &[Id]) -> bool {
        let index = self.index.get_or_init(|| Index::of(&self.entries));
        index.anyone & wanted != 0 || who.iter().any(|id| index.granted(id) & wanted != 0)
    }
}

impl Index {
    fn of(entries: &[Acl]) -> Index {
        let mut index = Index::default();
        for Acl { perms, id } in entries {
            match id.scheme.as_str() {
                "world" if id.id == "anyone" => index.anyone |= perms,
                "ip" => {
                    if let Some((network, bits)) = ip_range(&id.id) {
                        let of_bits = index.networks.entry((network.len(), bits)).or_default();
                        *of_bits.entry(masked(&network, bits)).or_default() |= perms;
                    }
                }
                scheme => {
                    if scheme == "sasl" {
                        index.any_sasl |= perms;
                    }
                    let of_scheme = index.spelled.entry(scheme.to_owned()).or_default();
                    *of_scheme.entry(id.id.clone()).or_default() |= perms;
                }
            }
        }
        index
    }

    fn granted(&self, who: &Id) -> i32 {
        let spelled = || self.spelled.get(&who.scheme).and_then(|ids| ids.get(&who.id)).copied().unwrap_or(0);
        match who.scheme.as_str() {
            "ip" => {
                let Some(address) = ip_bytes(&who.id) else { return 0 };
                let of_bits = |((len, bits), networks): (&(usize, usize), &BTreeMap<Vec<u8>, i32>)| {
                    (*len == address.len()).then(|| networks.get(&masked(&address, *bits)).copied())?
                };
                self.networks.iter().filter_map(of_bits).fold(0, |all, perms| all | perms)
            }
            "sasl" if who.id == "super" => self.any_sasl,
            _ => spelled(),
        }
    }
}

/// The address without the bits that do not count.
fn masked(address: &[u8], bits: usize) -> Vec<u8> {
    let kept = |at: usize| bits.saturating_sub(at * 8).min(8);
    address.iter().enumerate().map(|(at, byte)| byte & !(0xff_u16 >> kept(at)) as u8).collect()
}

/// `address` or `address/bits`.
pub(super) fn ip_range(text: &str) -> Option<(Vec<u8>, usize)> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<usize>().ok()?)),
        None => (text, None),
    };
    let address = ip_bytes(address)?;
    let all = address.len() * 8;
    let bits = bits.unwrap_or(all);
    (bits <= all).then_some((address, bits))
}

/// No zone, no IPv4 inside IPv6 (§4.4). Leading zeros in IPv4 are decimal, as in Java.
pub(super) fn ip_bytes(text: &str) -> Option<Vec<u8>> {
    if text.contains(':') {
        let plain = !text.contains(['.', '%']);
        return plain.then(|| text.parse::<Ipv6Addr>().ok()).flatten().map(|a| a.octets().to_vec());
    }
    let parts: Vec<u8> = text.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    (parts.len() == 4).then_some(parts)
}

impl Deref for Acls {
    type Target = [Acl];

    fn deref(&self) -> &[Acl] {
        &self.entries
    }
}

impl PartialEq for Acls {
    fn eq(&self, other: &Acls) -> bool {
        self.entries == other.entries
    }
}

impl Eq for Acls {}

impl Hash for Acls {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.entries.hash(state);
    }
}
