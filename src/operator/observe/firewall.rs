//! What a host's firewall does with a member's ports, for those who need them. firewalld's own tool
//! takes hundreds of milliseconds a question, so a host that was opened by us and whose member is in
//! sync is only checked for drift: the zone's file must still say what we need, and nothing needless.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use super::answer::seen;
use super::words;
use crate::formats::opening::Opening;
use crate::operator::fleet::hosts::Host;
use crate::operator::host::firewall::FirewallPorts;
use crate::operator::plan::desired::{Desired, DesiredMember};
use crate::operator::plan::facts::{Facts, HostFacts};
use crate::operator::plan::network::{FirewallFacts, PortRule};
use crate::operator::plan::ports;
use crate::operator::plan::seen::Seen;
use crate::operator::plan::ways::SourceFacts;

/// Where the packets between a host and the members come from.
pub(super) async fn sources(desired: &Desired, host: &Host, deadline: Duration) -> Seen<SourceFacts> {
    let hosts = desired.members.values().map(|member| member.address.clone()).collect();
    seen(host.link.within(deadline).sources(hosts).await).map(words::sources)
}

/// Asks the firewall itself. Loopback is nobody's to filter: an ensemble on this machine alone
/// opens nothing.
pub(super) async fn ask(
    desired: &Desired,
    facts: &Facts,
    member: &DesiredMember,
    host: &Host,
    deadline: Duration,
) -> Seen<FirewallFacts> {
    if words::is_loopback(&member.address) {
        return Seen::Absent;
    }
    let wanted = ports::wanted(desired, facts, member);
    // What we opened once, and whether the members' own ports stand open to all by a rule of others.
    let ours = facts.host(member.id).map_or(&[][..], HostFacts::opened);
    let to_all = member.ports.all().map(Opening::to_all);
    let openings: BTreeSet<Opening> = wanted.iter().chain(ours).copied().chain(to_all).collect();
    let asked =
        FirewallPorts { openings: openings.into_iter().collect(), address: ports::listens_at(facts, member) };
    match seen(host.link.within(deadline).explain_ports(asked).await) {
        Seen::Is(report) => words::firewall(&report, member, &wanted),
        Seen::Absent => Seen::Absent,
        Seen::Unseen(why) => Seen::Unseen(why),
    }
}

/// As [`ask`], but where the member is proven to be reachable and its ports were opened by us in
/// a firewalld zone, only that zone's permanent file is read.
pub(super) async fn drift(
    desired: &Desired,
    facts: &Facts,
    member: &DesiredMember,
    host: &Host,
    deadline: Duration,
) -> Seen<FirewallFacts> {
    let wanted = ports::wanted(desired, facts, member);
    let journal = facts.host(member.id).and_then(|host| host.journal.is());
    let opened = journal.filter(|journal| wanted.iter().all(|one| journal.opened.contains(one)));
    let Some((opened, zone)) =
        opened.and_then(|journal| Some((&journal.opened, journal.opened_zone.as_ref()?)))
    else {
        return ask(desired, facts, member, host, deadline).await;
    };
    let path = PathBuf::from(format!("/etc/firewalld/zones/{zone}.xml"));
    let file = host.link.within(deadline).read_file(path, ZONE_BYTES_MAX).await;
    let listed = file.map(|file| listed(&file.content.into_text())).unwrap_or_default();
    let needless = opened.iter().any(|one| listed.contains(one) && !wanted.contains(one));
    let to_all = member.ports.all().map(Opening::to_all);
    let too_wide = to_all.iter().any(|one| listed.contains(one) && !wanted.contains(one));
    if needless || too_wide || !wanted.iter().all(|one| listed.contains(one)) {
        return ask(desired, facts, member, host, deadline).await;
    }
    let open = || PortRule { open: true, permanent: true, rule: String::new() };
    Seen::Is(FirewallFacts {
        kind: format!("firewalld (zone {zone})"),
        ports: member.ports.all().map(|port| (port, open())).into(),
        openings: wanted.iter().map(|one| (*one, open())).collect::<BTreeMap<_, _>>(),
        leaning: BTreeSet::new(),
        ours: wanted.into_iter().collect(),
    })
}

/// What a zone's file opens, as we write it (firewalld.zone(5)): ports, and rules with nothing but one
/// source, one port and accept.
fn listed(zone: &str) -> BTreeSet<Opening> {
    let (mut all, mut rule): (BTreeSet<Opening>, Option<Vec<&str>>) = (BTreeSet::new(), None);
    for element in zone.split('<').skip(1) {
        let tag = element.split('>').next().unwrap_or_default();
        match (&mut rule, tag.split([' ', '/']).next().unwrap_or_default()) {
            (_, "rule") => rule = Some(Vec::new()),
            (Some(inside), "") if tag.starts_with("/rule") => {
                all.extend(opening(inside));
                rule = None;
            }
            (Some(inside), _) if !tag.starts_with('/') => inside.push(tag),
            (None, "port") => all.extend(tcp_port(tag).map(Opening::to_all)),
            _ => {}
        }
    }
    all
}

fn opening(rule: &[&str]) -> Option<Opening> {
    let one = |name: &str| rule.iter().find(|tag| tag.split([' ', '/']).next() == Some(name)).copied();
    let (source, port) = (one("source")?, one("port")?);
    one("accept").filter(|tag| tag.trim_end_matches('/').trim() == "accept")?;
    let plain = rule.len() == 3 && attribute(source, "invert").is_none();
    let from = attribute(source, "address").filter(|_| plain)?.parse().ok()?;
    Some(Opening { port: tcp_port(port)?, from: Some(from) })
}

fn tcp_port(tag: &str) -> Option<u16> {
    attribute(tag, "protocol").filter(|protocol| *protocol == "tcp")?;
    attribute(tag, "port")?.parse().ok()
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let rest = tag.split(&format!(" {name}=")).nth(1)?;
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    rest[1..].split(quote).next()
}

/// A zone of thousands of ports fits.
const ZONE_BYTES_MAX: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::listed;

    #[test]
    fn a_zone_file_is_taken_for_what_it_lists() {
        let zone = "<zone>\n<service name=\"ssh\"/>\n<port port=\"2181\" protocol=\"tcp\"/>\n<port protocol='udp' \
                    port='9'/><source-port port=\"7\" protocol=\"tcp\"/>\n<rule family=\"ipv4\">\n\
                    <source address=\"10.0.0.1\"/>\n<port port=\"2888\" protocol=\"tcp\"/>\n<accept/>\n</rule>\n\
                    <rule family=\"ipv6\"><source address=\"fd00::/8\"/><port port=\"3888\" protocol=\"tcp\"/><accept/></rule>\
                    <rule><source address=\"10.0.0.2\"/><port port=\"2888\" protocol=\"tcp\"/><drop/></rule>\
                    <rule><source address=\"10.0.0.3\"/><port port=\"2888\" protocol=\"tcp\"/><log/><accept/></rule>\
                    <rule><source address=\"10.0.0.4\" invert=\"True\"/><port port=\"2888\" protocol=\"tcp\"/><accept/></rule>\
                    <forward/></zone>";
        let shown: Vec<String> = listed(zone).iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["2181", "2888 from 10.0.0.1", "3888 from fd00::/8"]);
    }
}
