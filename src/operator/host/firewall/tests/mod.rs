//! What firewalls print → what becomes of a port. The texts are those of firewalld 1.3 and 2.1,
//! ufw 0.36, nftables 1.0.6 and iptables 1.8.9. Nothing here touches this machine's firewall.

mod fences;
mod openings;

use super::matching::{Asked, covers};
use super::nft_rules::Packet;
use super::records::Verdict;
use super::{firewalld_bus as bus, firewalld_zone, iptables, nft_text, nftables, ufw};
use crate::formats::opening::Opening;
use crate::operator::host::files::put;

/// One word for a verdict, and the evidence where there is some.
fn say(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Open { .. } => "open".into(),
        Verdict::Limited { by } => format!("limited: {by}"),
        Verdict::Blocked { by } => format!("blocked: {by}"),
        Verdict::Unknown { why } => format!("unknown: {why}"),
    }
}

fn all(port: u16) -> Opening {
    Opening::to_all(port)
}

fn one(text: &str) -> Opening {
    text.parse().unwrap()
}

#[test]
fn port_notations() {
    assert!(covers("22", 22) && covers("20-30", 22) && covers("20:30", 22) && covers("80, 22", 22));
    assert!(!covers("22", 2) && !covers("30-20", 22) && !covers("ssh", 22) && !covers("", 22));
}

#[test]
fn a_connection_must_pass_every_firewall() {
    let blocked = || Verdict::Blocked { by: "x".into() };
    let limited = || Verdict::Limited { by: "y".into() };
    let unknown = || Verdict::Unknown { why: "z".into() };
    let by_rule = || Verdict::Open { by: "rule".into() };
    assert_eq!(Verdict::open().and(Verdict::open()), Verdict::open());
    assert_eq!((Verdict::open().and(by_rule()), by_rule().and(Verdict::open())), (by_rule(), by_rule()));
    assert_eq!(Verdict::open().and(limited()), limited());
    assert_eq!(limited().and(unknown()), unknown());
    assert_eq!(unknown().and(blocked()), blocked());
    assert_eq!(blocked().and(Verdict::open()), blocked());
}

#[test]
fn firewalld_zones_and_what_they_do_with_a_port() {
    let zones = firewalld_zone::zones(FIREWALLD);
    let names: Vec<&str> = zones.iter().map(|zone| zone.name.as_str()).collect();
    assert_eq!(names, ["block", "dmz", "public", "trusted"]);
    assert_eq!(zones[1].interfaces, ["eth1"]);
    let check = |zone: usize, port: u16, expected: &str| {
        let said = say(&zones[zone].verdict(&Asked::of(all(port)), &[]));
        assert!(said.starts_with(expected), "zone {} port {port}: {said}", zones[zone].name);
    };
    check(1, 2181, "open");
    check(1, 2500, "blocked: firewalld zone dmz drops what it does not list");
    check(1, 2888, "limited: firewalld zone dmz, rich rule: rule family=\"ipv4\" source");
    check(1, 3888, "blocked: firewalld zone dmz, rich rule");
    check(2, 8050, "open");
    check(
        2,
        2181,
        "blocked: firewalld zone public rejects what it does not list; port 2181/tcp is not listed",
    );
    check(3, 2181, "open");
}

#[test]
fn firewalld_answers_on_the_bus_and_zone_files() {
    let answer = r#"{"type":"a{sv}","data":[{"short":{"type":"s","data":"Public"},"target":{"type":"s","data":"%%REJECT%%"},
        "services":{"type":"as","data":["ssh"]},"ports":{"type":"a(ss)","data":[["2181","tcp"],["3000-3005","udp"]]},
        "masquerade":{"type":"b","data":false},"rules_str":{"type":"as","data":["rule family=\"ipv4\" source address=\"1.2.3.4/32\" port port=\"2888\" protocol=\"tcp\" drop"]}}]}"#;
    let zone = bus::zone_from("public", answer).expect("a dictionary");
    assert_eq!((zone.target.as_str(), &zone.services[..]), ("%%REJECT%%", &["ssh".to_string()][..]));
    assert_eq!(zone.ports, ["2181/tcp", "3000-3005/udp"]);
    assert_eq!(say(&zone.verdict(&Asked::of(all(2181)), &[])), "open");
    // That rule refuses one source; the others are refused because nothing lists the port.
    assert!(
        say(&zone.verdict(&Asked::of(one("2888 from 1.2.3.4")), &[]))
            .starts_with("blocked: firewalld zone public, rich rule: rule family")
    );
    assert!(
        say(&zone.verdict(&Asked::of(all(2888)), &[])).starts_with("blocked: firewalld zone public rejects")
    );
    assert!(
        say(&zone.verdict(&Asked::of(all(3000)), &[])).starts_with("blocked: firewalld zone public rejects")
    );
    // Nothing but defaults is a zone too; anything else is no answer.
    let plain = bus::zone_from("drop", r#"{"type":"a{sv}","data":[{}]}"#).expect("a dictionary");
    assert_eq!((plain.target.as_str(), plain.ports.len()), ("default", 0));
    assert_eq!(bus::zone_from("public", "a{sv} 0"), None);
    assert_eq!(bus::zone_from("public", r#"{"type":"s","data":["public"]}"#), None);
    let zone = r#"<?xml version="1.0" encoding="utf-8"?>
<zone>
  <service name="ssh"/>
  <port port="2181" protocol="tcp"/>
  <port protocol='tcp' port='3888'/>
  <rule family="ipv4">
    <source address="10.0.0.0/8"/>
    <port port="2888" protocol="tcp"/>
    <accept/>
  </rule>
  <forward/>
  <port port="9" protocol="udp"/>
</zone>"#;
    let pair = |a: &str, b: &str| (a.to_string(), b.to_string());
    assert_eq!(bus::xml_ports(zone), [pair("2181", "tcp"), pair("3888", "tcp"), pair("9", "udp")]);
}

#[test]
fn ufw_first_rule_that_matches_decides() {
    assert!(ufw::parse("Status: inactive\n").is_none());
    let state = ufw::parse(UFW).expect("it is active");
    let check = |port: u16, expected: &str| {
        assert_eq!(say(&state.verdict(&Asked::of(all(port)))), expected, "port {port}")
    };
    check(22, "open");
    check(2181, "open");
    check(2888, "limited: ufw rule: 2888,3888/tcp ALLOW from 10.0.0.0/24");
    check(2050, "blocked: ufw rule: 2000:2100/tcp DENY from Anywhere");
    check(8080, "limited: ufw rule: 8080 LIMIT from Anywhere");
    check(9000, "blocked: ufw's default for incoming traffic is deny");
    check(9100, "open");
    check(9200, "limited: ufw rule: 9200/tcp on eth9 ALLOW from Anywhere");
    check(7000, "blocked: ufw's default for incoming traffic is deny");
}

/// The verdict of every input chain together, as `nftables` folds them.
fn nft(text: &str, port: u16, interface: Option<&str>) -> String {
    let ruleset = nft_text::parse(text);
    let packet = Packet::of(&Asked::of(all(port)), interface);
    let all = ruleset.input_chains(None).map(|(table, chain)| ruleset.verdict(table, chain, packet));
    say(&all.fold(Verdict::open(), Verdict::and))
}

#[test]
fn nftables_plain_drop_policy() {
    assert_eq!(nft(NFT_PLAIN, 22, None), "open");
    assert_eq!(
        nft(NFT_PLAIN, 2181, None),
        "blocked: nft inet filter input: policy drop, and no rule accepts it"
    );
    let opened = NFT_PLAIN.replace(
        "\t\tct state est",
        "\t\ttcp dport 2181 accept comment \"zkops\" # handle 9\n\t\tct state est",
    );
    assert_eq!(nft(&opened, 2181, None), "open");
}

#[test]
fn nftables_walks_sets_maps_jumps_and_verdicts() {
    let check = |port: u16, expected: &str| {
        let said = nft(NFT_RICH, port, None);
        assert!(said.starts_with(expected), "port {port}: {said}");
    };
    check(2181, "open");
    check(5005, "open");
    check(2888, "limited: nft inet filter input: ip saddr 10.1.0.0/16 tcp dport { 2888, 3888 }");
    check(
        4000,
        "blocked: nft inet filter input: tcp dport 4000 log prefix \"denied \" level info drop (handle 10)",
    );
    check(7002, "open");
    check(6000, "open");
    check(6001, "blocked: nft inet filter input: reject with icmpx admin-prohibited (handle 15)");
    check(6002, "blocked: nft inet filter input: tcp dport vmap");
    check(8000, "limited: nft inet filter input: limit rate");
    check(9000, "blocked: nft inet filter input: reject");
    check(9050, "open");
    check(80, "blocked: nft inet filter input: reject");
}

#[test]
fn nftables_knows_the_interface_when_it_is_told() {
    assert_eq!(nft(NFT_RICH, 80, Some("docker0")), "open");
    assert!(nft(NFT_RICH, 80, Some("eth0")).starts_with("blocked"));
}

#[test]
fn nftables_rules_about_the_port_are_told_from_general_ones() {
    let ruleset = nft_text::parse(NFT_RICH);
    let (table, chain) = ruleset.input_chains(None).nth(1).expect("the filter table's chain");
    let forbids = |port| ruleset.forbids_by_name(table, chain, Packet::of(&Asked::of(all(port)), None));
    assert!(forbids(4000) && forbids(6002));
    assert!(!forbids(80) && !forbids(2181));
}

#[test]
fn nftables_only_chains_that_can_refuse_count() {
    let chains = |text: &str| {
        let ruleset = nft_text::parse(text);
        ruleset
            .input_chains(None)
            .filter(|(_, chain)| ruleset.filters(chain))
            .map(|(table, chain)| chain.place(table))
            .collect::<Vec<_>>()
    };
    assert_eq!(chains(NFT_RICH), ["inet f2b-table f2b-chain", "inet filter input"]);
    let idle = "table ip t {\n\tchain c {\n\t\ttype filter hook input priority 0; policy accept;\n\t}\n}\n";
    assert!(chains(idle).is_empty());
    assert!(chains("").is_empty());
}

#[test]
fn nftables_tables_of_iptables_are_left_to_iptables() {
    let text = "table ip filter { # handle 1\n\tchain INPUT { # handle 1\n\t\ttype filter hook input priority filter; policy drop;\n\t}\n}\n";
    assert!(nft_text::parse(text).tables[0].of_iptables());
    assert!(!nft_text::parse(NFT_PLAIN).tables[0].of_iptables());
}

#[test]
fn nftables_file_of_ours_repeats_our_rules_and_no_others() {
    let text = NFT_PLAIN.replace(
        "\t\tct state est",
        "\t\ttcp dport 2888 accept comment \"zkops\" # handle 9\n\t\ttcp dport 80 accept comment \"web\" # handle 8\n\t\tct state est",
    );
    let file = nftables::our_file(&nft_text::parse(&text));
    let rules: Vec<&str> = file.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(rules, ["insert rule inet filter input tcp dport 2888 accept comment \"zkops\""]);
    assert!(put::is_ours(file.as_bytes()));
}

#[test]
fn nftables_boot_file_gets_our_include_once_and_loses_it_again() {
    let boot = "#!/usr/sbin/nft -f\nflush ruleset\ntable inet filter {\n}";
    assert!(!nftables::includes_us(boot));
    let with = nftables::with_include(boot);
    assert!(nftables::includes_us(&with));
    assert!(with.ends_with(
        "\n}\n# zkops: keeps the ports of a ZooKeeper ensemble open\ninclude \"/etc/nftables.d/zkops*.nft\"\n"
    ));
    assert_eq!(nftables::without_include(&with), format!("{boot}\n"));
    // Alpine's own pattern covers our file.
    assert!(nftables::includes_us("include \"/etc/nftables.d/*.nft\"\n"));
    assert!(!nftables::includes_us("include \"/var/lib/nftables/*.nft\"\n"));
}

#[test]
fn nftables_boot_file_is_read_from_the_unit() {
    let unit = "[Service]\nType=oneshot\nExecStart=/usr/sbin/nft -f /etc/nftables.conf\nExecReload=/usr/sbin/nft -f /x\n";
    assert_eq!(nftables::boot_file_of_unit(unit), Some("/etc/nftables.conf".into()));
    assert_eq!(nftables::boot_file_of_unit("[Service]\n"), None);
}

#[test]
fn iptables_walks_chains() {
    let table = iptables::parse(IPTABLES);
    assert!(table.filters());
    let check = |port: u16, interface: Option<&str>, expected: &str| {
        let said = say(&table.verdict("iptables", &Asked::of(all(port)), interface));
        assert!(said.starts_with(expected), "port {port}: {said}");
    };
    check(22, None, "open");
    check(8050, None, "open");
    check(2181, None, "limited: iptables -A INPUT -s 10.0.0.0/8");
    check(2888, None, "blocked: iptables INPUT: policy DROP, and no rule accepts it");
    check(2888, Some("docker0"), "open");
    check(3888, None, "open");
    check(4000, None, "blocked: iptables -A INPUT ! -i lo -p tcp -m tcp --dport 4000 -j DROP");
    check(5000, None, "blocked: iptables -A cluster -j REJECT");
}

#[test]
fn iptables_without_rules_filters_nothing() {
    let empty = iptables::parse("-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n");
    assert!(!empty.filters());
    assert_eq!(empty.verdict("iptables", &Asked::of(all(2181)), None), Verdict::open());
}

#[test]
fn iptables_boot_file_gets_our_rules_first_and_only_in_the_filter_table() {
    let file = "*nat\n:PREROUTING ACCEPT\n-A PREROUTING -p tcp -j RETURN\nCOMMIT\n*filter\n:INPUT DROP\n:FORWARD DROP\n\
                -A INPUT -i lo -j ACCEPT\nCOMMIT\n";
    let once = iptables::with_ours(file, &[all(2181), all(2888)]);
    let expected = "*nat\n:PREROUTING ACCEPT\n-A PREROUTING -p tcp -j RETURN\nCOMMIT\n*filter\n:INPUT DROP\n:FORWARD DROP\n\
                    -A INPUT -p tcp -m tcp --dport 2181 -m comment --comment zkops -j ACCEPT\n\
                    -A INPUT -p tcp -m tcp --dport 2888 -m comment --comment zkops -j ACCEPT\n\
                    -A INPUT -i lo -j ACCEPT\nCOMMIT\n";
    assert_eq!(once, expected);
    assert_eq!(iptables::with_ours(&once, &[all(2181), all(2888)]), once, "a second time changes nothing");
    assert_eq!(iptables::without_ours(&once, &[all(2181), all(2888)]), file);
    // No rule yet: before COMMIT.
    assert!(
        iptables::with_ours("*filter\n:INPUT DROP\nCOMMIT\n", &[all(1)]).ends_with("-j ACCEPT\nCOMMIT\n")
    );
}

const FIREWALLD: &str = "\
block
  target: %%REJECT%%
  icmp-block-inversion: no
  interfaces: 
  sources: 
  services: 
  ports: 
  protocols: 
  forward: yes
  masquerade: no
  forward-ports: 
  source-ports: 
  icmp-blocks: 
  rich rules: 

dmz (active)
  target: DROP
  icmp-block-inversion: no
  interfaces: eth1
  sources: 
  services: ssh
  ports: 2181/tcp 2000-2999/udp
  protocols: 
  forward: yes
  masquerade: no
  forward-ports: 
  source-ports: 
  icmp-blocks: 
  rich rules: 
\trule family=\"ipv4\" source address=\"10.0.0.0/8\" port port=\"2888\" protocol=\"tcp\" accept
\trule family=\"ipv4\" port port=\"3888\" protocol=\"tcp\" reject

public (default, active)
  target: default
  ingress-priority: 0
  icmp-block-inversion: no
  interfaces: eth0
  sources: 
  services: dhcpv6-client ssh
  ports: 8000-8100/tcp
  protocols: 
  forward: yes
  masquerade: no
  forward-ports: 
  source-ports: 
  icmp-blocks: 
  rich rules: 

trusted
  target: ACCEPT
  interfaces: 
  ports: 
";

const UFW: &str = "\
Status: active
Logging: on (low)
Default: deny (incoming), allow (outgoing), disabled (routed)
New profiles: skip

To                         Action      From
--                         ------      ----
22/tcp                     ALLOW IN    Anywhere                  
2181/tcp                   ALLOW IN    Anywhere                   # zkops
2888,3888/tcp              ALLOW IN    10.0.0.0/24               
2000:2100/tcp              DENY IN     Anywhere                  
8080                       LIMIT IN    Anywhere                  
9000/udp                   ALLOW IN    Anywhere                  
10.0.0.11 9100/tcp         ALLOW IN    Anywhere                  
9200/tcp on eth9           ALLOW IN    Anywhere                  
Anywhere                   ALLOW IN    10.9.9.9                  
a very long application name ALLOW IN    Anywhere                  
22/tcp (v6)                ALLOW IN    Anywhere (v6)             
2888/tcp                   ALLOW OUT   Anywhere                  
2181/tcp (v6)              ALLOW IN    Anywhere (v6)              # zkops
";

/// The test hosts' own ruleset, as a Debian host prints it.
const NFT_PLAIN: &str = r#"table inet filter { # handle 1
	chain input { # handle 1
		type filter hook input priority filter; policy drop;
		ct state established,related accept # handle 2
		iif "lo" accept # handle 3
		meta l4proto { icmp, ipv6-icmp } accept # handle 5
		tcp dport 22 accept # handle 6
	}
}
"#;

const NFT_RICH: &str = r#"table inet f2b-table { # handle 3
	set addr-set-sshd { # handle 2
		type ipv4_addr
		elements = { 203.0.113.7, 203.0.113.9,
			     203.0.113.11 }
	}

	chain f2b-chain { # handle 1
		type filter hook input priority filter - 1; policy accept;
		meta l4proto { tcp } ip saddr @addr-set-sshd reject with icmp port-unreachable # handle 4
	}
}
table ip nat { # handle 4
	chain prerouting { # handle 1
		type nat hook prerouting priority dstnat; policy accept;
		tcp dport 80 redirect to :8080 # handle 2
	}
}
table inet filter { # handle 5
	set open_ports { # handle 9
		type inet_service
		flags interval
		elements = { 2181, 5000-5010 }
	}

	chain input { # handle 1
		type filter hook input priority filter; policy accept;
		ct state vmap { invalid : drop, established : accept, related : accept } # handle 3
		iifname "lo" counter packets 12 bytes 800 accept # handle 4
		iifname "docker0" accept # handle 5
		udp dport { 53, 2888 } accept # handle 6
		tcp dport @open_ports accept # handle 7
		ip saddr 10.1.0.0/16 tcp dport { 2888, 3888 } ct state new accept comment "only } us" # handle 8
		tcp dport 4000 log prefix "denied " level info drop # handle 10
		tcp dport { 7000, 7001,
			    7002 } accept # handle 11
		tcp dport vmap { 6000 : accept, 6001 : jump checks, 6002 : drop } # handle 12
		limit rate 10/second tcp dport 8000 accept # handle 13
		jump checks # handle 14
		reject with icmpx admin-prohibited # handle 15
	}

	chain checks { # handle 2
		tcp dport 9000 return # handle 16
		tcp dport 9000-9100 accept # handle 17
		ip saddr 192.0.2.1 accept # handle 18
	}
}
"#;

const IPTABLES: &str = "\
-P INPUT DROP
-P FORWARD DROP
-P OUTPUT ACCEPT
-N f2b-sshd
-N cluster
-A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -i lo -j ACCEPT
-A INPUT -p icmp -j ACCEPT
-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
-A INPUT -p tcp -m multiport --dports 80,443,8000:8100 -m comment --comment \"the web\" -j ACCEPT
-A INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 2181 -j ACCEPT
-A INPUT -p udp -m udp --dport 2888 -j ACCEPT
-A INPUT ! -i lo -p tcp -m tcp --dport 4000 -j DROP
-A INPUT -p tcp -m tcp --dport 5000 -g cluster
-A INPUT -i docker+ -j ACCEPT
-A INPUT -p tcp -m tcp --dport 3888 -m comment --comment zkops -j ACCEPT
-A INPUT -j LOG --log-prefix \"dropped: \"
-A cluster -m limit --limit 5/sec -j ACCEPT
-A cluster -j REJECT --reject-with icmp-host-prohibited
-A f2b-sshd -s 203.0.113.7/32 -j REJECT --reject-with icmp-port-unreachable
-A f2b-sshd -j RETURN
";
