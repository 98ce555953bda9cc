//! Access control: who may do what with a node (client-protocol §4.2, §4.4), and what a list given
//! by a client becomes before it is stored (§4.3). Identities are made elsewhere.

use core::net::Ipv6Addr;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::settings::Settings;
use crate::wire::proto::{Acl, ErrorCode, Id, Perms};

/// A node's access control list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AclList {
    /// Anyone may do anything: the built-in nodes, and nodes created without a list.
    Open,
    Listed(Arc<[Acl]>),
    /// A fuzzy snapshot named a list that it does not have (TRAP D11). Only `super` passes until
    /// replay has repaired the node.
    Unknown,
}

impl AclList {
    /// Whether one of the bits in `wanted` is granted to one of the identities.
    pub fn allows(&self, wanted: i32, who: &[Id]) -> bool {
        let listed = match self {
            AclList::Open => return true,
            AclList::Listed(list) if list.is_empty() => return true,
            AclList::Listed(list) => &list[..],
            AclList::Unknown => &[],
        };
        if who.iter().any(|id| id.scheme == "super") {
            return true;
        }
        let mut wanted = listed.iter().filter(|acl| acl.perms & wanted != 0).map(|acl| &acl.id);
        if listed.len() * who.len() <= PAIRS_MAX {
            return wanted.any(|id| grants(id, who));
        }
        // Long lists of both: each is looked at once.
        let same: BTreeSet<(&str, &str)> = who.iter().map(|id| (&*id.scheme, &*id.id)).collect();
        let others: Vec<Id> = who.iter().filter(|id| is_a_range(id)).take(RANGES_MAX).cloned().collect();
        wanted.any(|id| same.contains(&(&*id.scheme, &*id.id)) || grants(id, &others))
    }

    /// The list as clients see it.
    pub fn to_vec(&self) -> Vec<Acl> {
        match self {
            AclList::Open => Acl::open(),
            AclList::Listed(list) => list.to_vec(),
            AclList::Unknown => Vec::new(),
        }
    }
}

/// The list as getACL shows it to a caller without ADMIN: digest hashes hidden (§2.9).
pub(super) fn masked(list: &mut [Acl]) {
    for acl in list.iter_mut().filter(|acl| acl.id.scheme == "digest") {
        if let Some(colon) = acl.id.id.find(':') {
            acl.id.id.replace_range(colon.., ":x");
        }
    }
}

pub(super) fn check(list: &AclList, wanted: i32, who: &[Id], settings: &Settings) -> Result<(), ErrorCode> {
    if settings.skip_acl || list.allows(wanted, who) { Ok(()) } else { Err(ErrorCode::NoAuth) }
}

/// What is stored for a list given to create or setACL.
pub(super) fn fixup(given: Option<&[Acl]>, who: &[Id], settings: &Settings) -> Result<Arc<[Acl]>, ErrorCode> {
    let given = given.unwrap_or_default();
    let mut seen = BTreeSet::new();
    let mut stored = Vec::new();
    let mut room = settings.txn_len_max;
    for acl in given.iter().filter(|acl| seen.insert(*acl)) {
        let before = stored.len();
        match acl.id.scheme.as_str() {
            "world" if acl.id.id == "anyone" => stored.push(acl.clone()),
            "auth" => {
                let creators = who.iter().filter(|id| identifies_creators(&id.scheme, settings));
                stored.extend(creators.map(|id| Acl { perms: acl.perms, id: id.clone() }));
            }
            scheme if is_valid(scheme, &acl.id.id, settings) => stored.push(acl.clone()),
            _ => {}
        }
        // An entry that adds nothing is one that names nobody.
        if stored.len() == before {
            return Err(ErrorCode::InvalidAcl);
        }
        // Many `auth` entries times many identities: stop before they fill the memory (TRAP Q1).
        let len = stored[before..].iter().map(|acl| Acl::LEN_MIN + acl.id.scheme.len() + acl.id.id.len());
        room = room.checked_sub(len.sum()).ok_or(ErrorCode::MarshallingError)?;
    }
    if stored.is_empty() { Err(ErrorCode::InvalidAcl) } else { Ok(stored.into()) }
}

/// Whether an identity may be granted something by an entry that does not spell it: addresses by their networks, and
/// the super user of SASL.
fn is_a_range(id: &Id) -> bool {
    id.scheme == "ip" || (id.scheme == "sasl" && id.id == "super")
}

/// getACL is content with either (§2.9).
pub(super) const GET_ACL: i32 = Perms::READ | Perms::ADMIN;

fn grants(listed: &Id, who: &[Id]) -> bool {
    (listed.scheme == "world" && listed.id == "anyone")
        || who.iter().any(|id| id.scheme == listed.scheme && matches(&listed.scheme, &id.id, &listed.id))
}

fn matches(scheme: &str, identity: &str, listed: &str) -> bool {
    match scheme {
        "ip" => ip_matches(identity, listed),
        "sasl" => identity == listed || identity == "super",
        _ => identity == listed,
    }
}

fn identifies_creators(scheme: &str, settings: &Settings) -> bool {
    match scheme {
        "digest" => settings.digest_acl,
        "sasl" => settings.sasl_acl,
        "x509" => settings.x509_acl,
        _ => false,
    }
}

/// Whether an ACL may name this id (§4.4).
fn is_valid(scheme: &str, id: &str, settings: &Settings) -> bool {
    match scheme {
        "ip" => ip_range(id).is_some(),
        // Java's split drops empty parts at the end, so that "a:b:" passes as well.
        "digest" => settings.digest_acl && id.trim_end_matches(':').split(':').count() == 2,
        "sasl" => settings.sasl_acl && is_kerberos_name(id),
        "x509" => settings.x509_acl && id.split(',').all(|part| part.contains('=')),
        _ => false,
    }
}

/// `service[/host]@REALM`, or any text without `@`.
fn is_kerberos_name(id: &str) -> bool {
    match id.split_once('@') {
        None => true,
        Some((name, realm)) => !realm.contains(['@', '/']) && name.matches('/').count() <= 1,
    }
}

fn ip_matches(identity: &str, listed: &str) -> bool {
    let (Some(address), Some((network, bits))) = (ip_bytes(identity), ip_range(listed)) else {
        return false;
    };
    address.len() == network.len()
        && address.iter().zip(&network).enumerate().all(|(at, (a, n))| {
            let kept = bits.saturating_sub(at * 8).min(8);
            let mask = !(0xff_u16 >> kept) as u8;
            a & mask == n & mask
        })
}

/// `address` or `address/bits`.
fn ip_range(text: &str) -> Option<(Vec<u8>, usize)> {
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
fn ip_bytes(text: &str) -> Option<Vec<u8>> {
    if text.contains(':') {
        let plain = !text.contains(['.', '%']);
        return plain.then(|| text.parse::<Ipv6Addr>().ok()).flatten().map(|a| a.octets().to_vec());
    }
    let parts: Vec<u8> = text.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    (parts.len() == 4).then_some(parts)
}

/// Entries times identities that are compared one by one.
const PAIRS_MAX: usize = 4096;
/// Addresses of one connection that count when it has more identities than anybody: it has one.
const RANGES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_grant_what_short_ones_do() {
        let names = |from: usize, count: usize| -> Vec<Id> {
            (from..from + count).map(|i| Id::new("digest", &format!("u{i}:x"))).collect()
        };
        let listed = |ids: &[Id]| {
            let acl = ids.iter().map(|id| Acl { perms: Perms::READ, id: id.clone() }).collect::<Vec<_>>();
            AclList::Listed(acl.into())
        };
        let address = Id::new("ip", "10.0.0.7");
        for count in [3, 30_000] {
            let mut list = names(0, count);
            let mut who = names(count, count);
            assert!(!listed(&list).allows(Perms::READ, &who));
            who.push(names(count - 1, 1).remove(0));
            assert!(listed(&list).allows(Perms::READ, &who) && !listed(&list).allows(Perms::WRITE, &who));
            who.pop();
            who.insert(0, address.clone());
            list.push(Id::new("ip", "10.0.0.0/24"));
            assert!(listed(&list).allows(Perms::READ, &who));
            list.pop();
            who.push(Id::new("super", ""));
            assert!(listed(&list).allows(Perms::WRITE, &who));
        }
    }
}
