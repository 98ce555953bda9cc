//! Access control: who may do what with a node (client-protocol §4.2, §4.4), and what a list given
//! by a client becomes before it is stored (§4.3). Identities are made elsewhere.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::acl_index::{Acls, ip_bytes, ip_range};
use super::settings::Settings;
use crate::wire::proto::{Acl, ErrorCode, Id, Perms};

/// A node's access control list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AclList {
    /// Anyone may do anything: the built-in nodes, and nodes created without a list.
    Open,
    Listed(Arc<Acls>),
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
            AclList::Listed(list) => Some(list),
            AclList::Unknown => None,
        };
        if who.iter().any(|id| id.scheme == "super") {
            return true;
        }
        let Some(listed) = listed else { return false };
        if listed.len() * who.len().max(1) <= PAIRS_MAX {
            return listed.iter().any(|acl| acl.perms & wanted != 0 && grants(&acl.id, who));
        }
        listed.grant(wanted, who)
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
pub(super) fn fixup(given: Option<&[Acl]>, who: &[Id], settings: &Settings) -> Result<Arc<Acls>, ErrorCode> {
    let given = given.unwrap_or_default();
    let mut seen = BTreeSet::new();
    let mut stored = Vec::new();
    let mut room = settings.txn_len_max;
    let mut room_of_auth = AUTH_LEN_MAX;
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
        let len =
            stored[before..].iter().map(|acl| Acl::LEN_MIN + acl.id.scheme.len() + acl.id.id.len()).sum();
        let room = if acl.id.scheme == "auth" { &mut room_of_auth } else { &mut room };
        *room = room.checked_sub(len).ok_or(ErrorCode::MarshallingError)?;
    }
    if stored.is_empty() { Err(ErrorCode::InvalidAcl) } else { Ok(Acls::shared(stored)) }
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

/// What the `auth` entries of one list may become: twice what one connection's identities may be. A request is charged by
/// the bytes in which it was asked for.
const AUTH_LEN_MAX: usize = 128 * 1024;
/// Entries times identities that are compared one by one; beyond, each identity is looked up.
const PAIRS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        /// Looked up, each identity is granted what it is granted where entries are compared one by one.
        #[test]
        fn the_index_grants_what_the_entries_do(
            listed in proptest::collection::vec((0..32_i32, 0..12_usize), 0..40),
            who in proptest::collection::vec(0..12_usize, 0..6),
            wanted in 0..32_i32,
        ) {
            const IDS: [(&str, &str); 12] = [
                ("digest", "a:x"), ("digest", "b:x"), ("sasl", "ann"), ("sasl", "super"), ("x509", "CN=a"),
                ("ip", "10.0.0.7"), ("ip", "10.0.0.0/24"), ("ip", "10.0.0.9/31"), ("ip", "fd00::7"), ("ip", "fd00::/8"),
                ("ip", "no address"), ("world", "anyone"),
            ];
            let id = |at: usize| Id::new(IDS[at].0, IDS[at].1);
            let entries: Vec<Acl> =
                listed.into_iter().map(|(perms, at)| Acl { perms, id: id(at) }).collect();
            // An address of a client is none of a network.
            let who: Vec<Id> = who.into_iter().map(id).filter(|id| !id.id.contains('/')).collect();
            let one_by_one = entries.iter().any(|acl| acl.perms & wanted != 0 && grants(&acl.id, &who));
            proptest::prop_assert_eq!(Acls::shared(entries).grant(wanted, &who), one_by_one);
        }
    }

    #[test]
    fn long_lists_grant_what_short_ones_do() {
        let names = |from: usize, count: usize| -> Vec<Id> {
            (from..from + count).map(|i| Id::new("digest", &format!("u{i}:x"))).collect()
        };
        let listed = |ids: &[Id]| {
            let acl = ids.iter().map(|id| Acl { perms: Perms::READ, id: id.clone() }).collect::<Vec<_>>();
            AclList::Listed(Acls::shared(acl))
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
