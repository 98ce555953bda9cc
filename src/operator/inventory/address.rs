//! Addresses as people write them → the one spelling that is used from here on, so that the same host is found across
//! spellings. It resolves no name.

use std::net::{IpAddr, Ipv6Addr};

/// Why a text is no host's address, and what to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoAddress {
    pub(super) label: &'static str,
    pub(super) help: &'static str,
}

/// An IPv4 or IPv6 address, with or without brackets, canonical; or a host name as typed.
pub(super) fn canonical(text: &str) -> Result<String, NoAddress> {
    let bare = text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(text);
    if let Some((address, _zone)) = bare.split_once('%')
        && address.parse::<Ipv6Addr>().is_ok()
    {
        return Err(ZONE);
    }
    match bare.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(ip) if ip.is_unspecified() || ip.is_multicast() => Err(NOBODY),
        Ok(IpAddr::V6(ip)) if ip.is_unicast_link_local() => Err(ZONE),
        Ok(ip) => Ok(ip.to_string()),
        // Brackets are for addresses.
        Err(_) if bare == text && is_name(text) => Ok(text.to_owned()),
        Err(_) => Err(NONE),
    }
}

/// `[user@]address`; the user as typed.
pub(super) fn with_user(text: &str) -> Result<(Option<String>, String), NoAddress> {
    match text.split_once('@') {
        Some((user, host)) if is_user(user) => Ok((Some(user.to_owned()), canonical(host)?)),
        Some(_) => Err(NONE),
        None => Ok((None, canonical(text)?)),
    }
}

/// `[user@]host[:port]`; an IPv6 address with a port stands in brackets.
pub(super) fn with_port(text: &str) -> Option<(Option<String>, String, Option<u16>)> {
    let (user, rest) = match text.split_once('@') {
        Some((user, rest)) if is_user(user) => (Some(user.to_owned()), rest),
        Some(_) => return None,
        None => (None, text),
    };
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if host.ends_with(']') || !host.contains(':') => (host, Some(port)),
        _ => (rest, None),
    };
    let port = match port {
        Some(port) => Some(port.parse::<u16>().ok().filter(|port| *port > 0)?),
        None => None,
    };
    Some((user, canonical(host).ok()?, port))
}

/// The same host: addresses in one spelling, names whatever their case.
pub(super) fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

/// A user to log in as. One that begins with `-` would be an option to a program that gets it as a word.
pub(super) fn is_user(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && text.chars().all(|c| !c.is_whitespace() && !c.is_control() && !"@:/[]".contains(c))
}

/// Letters, digits, `-` and, as many networks have it, `_`.
fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        let inner = label.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        !label.is_empty() && label.len() <= 63 && inner && !label.starts_with('-') && !label.ends_with('-')
    };
    // A name whose last label is a number would be an address with a typing mistake.
    let last_is_word = text.rsplit('.').next().is_some_and(|l| l.chars().any(|c| c.is_ascii_alphabetic()));
    text.len() <= 253 && last_is_word && text.split('.').all(label)
}

const NONE: NoAddress = NoAddress {
    label: "",
    help: "write an IPv4 or IPv6 address, or a host name that every member resolves; no port, no scheme",
};
const ZONE: NoAddress = NoAddress {
    label: "means something on one machine only",
    help: "a link-local address needs a zone (%eth0), and a zone is one machine's own name: give the host an address that all members reach, or a host name",
};
const NOBODY: NoAddress =
    NoAddress { label: "is nobody's address", help: "write the address by which the others reach this host" };

#[cfg(test)]
mod tests {
    use super::{NOBODY, NONE, ZONE, canonical, same, with_port, with_user};

    #[test]
    fn every_spelling_of_a_host_is_one() {
        for (typed, expected) in [
            ("fd00::1", Ok("fd00::1")),
            ("[fd00::1]", Ok("fd00::1")),
            ("FD00:0:0:0:0:0:0:1", Ok("fd00::1")),
            ("::1", Ok("::1")),
            ("0:0:0:0:0:0:0:1", Ok("::1")),
            ("::ffff:10.0.0.1", Ok("10.0.0.1")),
            ("[::ffff:a00:1]", Ok("10.0.0.1")),
            ("10.0.0.1", Ok("10.0.0.1")),
            ("[10.0.0.1]", Ok("10.0.0.1")),
            ("zk_1.lan", Ok("zk_1.lan")),
            ("Zk-1", Ok("Zk-1")),
            ("fe80::1%eth0", Err(ZONE)),
            ("[fe80::1%2]", Err(ZONE)),
            ("fd00::1%eth0", Err(ZONE)),
            ("fe80::1", Err(ZONE)),
            ("::", Err(NOBODY)),
            ("::ffff:0.0.0.0", Err(NOBODY)),
            ("ff02::1", Err(NOBODY)),
            ("[zk1]", Err(NONE)),
            ("[fd00::1", Err(NONE)),
            ("fd00::1::2", Err(NONE)),
            ("10.0.0.256", Err(NONE)),
            ("10.0.0.1:2181", Err(NONE)),
            ("_", Err(NONE)),
            ("", Err(NONE)),
        ] {
            assert_eq!(canonical(typed).as_deref(), expected.as_ref().map(|text| *text), "{typed}");
        }
        assert!(same("Zk-1.lan", "zk-1.LAN") && !same("zk-1", "zk-2"));
    }

    #[test]
    fn users_and_ports_stand_around_an_address() {
        assert_eq!(with_user("root@[fd00::1]"), Ok((Some("root".into()), "fd00::1".into())));
        assert_eq!(with_user("a b@10.0.0.1"), Err(NONE));
        assert_eq!(with_user("-oX@10.0.0.1"), Err(NONE));
        for (typed, expected) in [
            ("ops@[fd00::1]:2222", Some((Some("ops"), "fd00::1", Some(2222)))),
            ("[fd00::1]", Some((None, "fd00::1", None))),
            ("fd00::1", Some((None, "fd00::1", None))),
            ("gate:22", Some((None, "gate", Some(22)))),
            ("gate:0", None),
            ("gate:", None),
            ("@gate", None),
            ("-oX@gate", None),
            ("-oX", None),
        ] {
            let found = with_port(typed);
            let found = found.as_ref().map(|(user, host, port)| (user.as_deref(), host.as_str(), *port));
            assert_eq!(found, expected, "{typed}");
        }
    }
}
