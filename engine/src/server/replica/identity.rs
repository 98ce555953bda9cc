//! Who a connection says it is (client-protocol §4): what an auth packet proves, and the address that needs no proof.

use std::net::IpAddr;

use crate::wire::proto::{Id, digest_id};

/// What every connection is: its address. An IPv4 address that came in through an IPv6 socket is the IPv4 address.
pub(super) fn of_address(ip: IpAddr) -> Id {
    Id::new("ip", &ip.to_canonical().to_string())
}

/// The identities that an auth packet proves; `None` refuses it. `address` is what the connection is already,
/// `super_digest` the `user:hash` that may do everything.
pub(super) fn proven(
    scheme: &str,
    auth: Option<&[u8]>,
    address: Option<&Id>,
    super_digest: Option<&str>,
) -> Option<Vec<Id>> {
    match scheme {
        "ip" => Some(vec![address?.clone()]),
        "digest" => {
            let digest = digest_id(&String::from_utf8_lossy(auth?));
            let mut identities = Vec::new();
            if super_digest == Some(&digest) {
                identities.push(Id::new("super", ""));
            }
            identities.push(Id::new("digest", &digest));
            Some(identities)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_proven_by_its_password_and_the_super_one_is_super_too() {
        let digest = digest_id("ann:secret");
        let plain = proven("digest", Some(b"ann:secret"), None, Some("root:x"));
        assert_eq!(plain, Some(vec![Id::new("digest", &digest)]));
        let mighty = proven("digest", Some(b"ann:secret"), None, Some(&digest));
        assert_eq!(mighty, Some(vec![Id::new("super", ""), Id::new("digest", &digest)]));
        assert_eq!(proven("digest", None, None, None), None);
        assert_eq!(proven("x509", Some(b"ann"), None, None), None);
    }

    #[test]
    fn an_address_proves_itself_and_v4_in_v6_is_v4() {
        let address = of_address("::ffff:10.0.0.1".parse().unwrap());
        assert_eq!(address, Id::new("ip", "10.0.0.1"));
        assert_eq!(proven("ip", None, Some(&address), None), Some(vec![address.clone()]));
        assert_eq!(proven("ip", None, None, None), None);
    }
}
