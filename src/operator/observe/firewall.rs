//! What a host's firewall does with a member's ports. firewalld's own tool takes hundreds of
//! milliseconds a question, so a host that was opened by us and whose member is in sync is only
//! checked for drift: the zone's file must still list the ports.

use std::path::PathBuf;
use std::time::Duration;

use super::words;
use crate::operator::fleet::hosts::Host;
use crate::operator::host::firewall::FirewallPorts;
use crate::operator::plan::desired::DesiredMember;
use crate::operator::plan::facts::{FirewallFacts, HostFacts, PortRule};

/// Asks the firewall itself. Loopback is nobody's to filter: an ensemble on this machine alone
/// opens nothing.
pub(super) async fn ask(member: &DesiredMember, host: &Host, deadline: Duration) -> FirewallFacts {
    if words::is_loopback(&member.address) {
        return FirewallFacts::default();
    }
    let asked = FirewallPorts { ports: member.ports.all().to_vec(), address: member.address.parse().ok() };
    let report = host.link.within(deadline).explain_ports(asked).await;
    report.map(|report| words::firewall(&report)).unwrap_or_default()
}

/// As [`ask`], but where the member is proven to be reachable and its ports were opened by us in
/// a firewalld zone, only that zone's permanent file is read.
pub(super) async fn drift(
    member: &DesiredMember,
    host: &Host,
    seen: &HostFacts,
    deadline: Duration,
) -> FirewallFacts {
    let opened = member.ports.all().iter().all(|port| seen.opened_ports.contains(port));
    let Some(zone) = seen.opened_zone.as_ref().filter(|_| opened) else {
        return ask(member, host, deadline).await;
    };
    let path = PathBuf::from(format!("/etc/firewalld/zones/{zone}.xml"));
    let file = host.link.within(deadline).read_file(path, ZONE_BYTES_MAX).await;
    if !file.is_ok_and(|file| lists(&file.content.into_text(), member.ports.all())) {
        return ask(member, host, deadline).await;
    }
    let open = |port| (port, PortRule { open: true, permanent: true, rule: String::new() });
    FirewallFacts {
        kind: Some(format!("firewalld (zone {zone})")),
        ports: member.ports.all().map(open).into(),
    }
}

/// firewalld.zone(5): `<port port="2181" protocol="tcp"/>`, attributes in either order.
fn lists(zone: &str, ports: [u16; 3]) -> bool {
    let elements: Vec<&str> = zone.split('<').filter(|element| element.starts_with("port ")).collect();
    ports.iter().all(|port| {
        let port = format!("port=\"{port}\"");
        elements.iter().any(|element| element.contains(&port) && element.contains("protocol=\"tcp\""))
    })
}

/// A zone of thousands of ports fits.
const ZONE_BYTES_MAX: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::lists;

    #[test]
    fn a_zone_file_is_taken_for_what_it_lists() {
        let zone = "<zone>\n<service name=\"ssh\"/>\n<port port=\"2181\" protocol=\"tcp\"/>\n<port protocol=\"tcp\" \
                    port=\"2888\"/><port port=\"3888\" protocol=\"tcp\"/></zone>";
        assert!(lists(zone, [2181, 2888, 3888]));
        assert!(!lists(zone, [2181, 2888, 3889]));
        assert!(!lists(&zone.replace("tcp", "udp"), [2181, 2888, 3888]));
        assert!(!lists(&zone.replace("<port ", "<source-port "), [2181, 2888, 3888]));
    }
}
