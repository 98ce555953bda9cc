//! Fences as firewalls list them and as boot files have them.

use std::net::IpAddr;

use super::super::{fence_iptables, fence_nft, iptables};
use super::all;
use crate::operator::host::files::put;

#[test]
fn nftables_fences_are_those_that_block_both_directions() {
    let fenced = addresses(&["10.0.0.9", "fd00::9"]);
    let text = fence_nft::text(&fenced);
    assert!(put::is_ours(text.as_bytes()));
    assert_eq!(fence_nft::parse(&text), fenced);
    // As nft 1.0.6 lists it.
    let listed = "table inet zkops_fence {\n\tchain input {\n\t\ttype filter hook input priority filter - 10; policy accept;\n\
                  \t\tip saddr 10.0.0.9 drop\n\t\tip6 saddr fd00::9 drop\n\t}\n\n\
                  \tchain output {\n\t\ttype filter hook output priority filter - 10; policy accept;\n\
                  \t\tip daddr 10.0.0.9 reject with icmpx admin-prohibited\n\t}\n}\n";
    assert_eq!(fence_nft::parse(listed), addresses(&["10.0.0.9"]), "one direction is no fence");
    assert_eq!(fence_nft::parse(""), addresses(&[]));
}

#[test]
fn iptables_fences_stand_before_everything_else() {
    let both = |before: &str| {
        format!(
            "-P INPUT DROP\n-P OUTPUT ACCEPT\n{before}-A INPUT -s 10.0.0.9/32 -m comment --comment zkops-fence -j DROP\n\
             -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n\
             -A OUTPUT -d 10.0.0.9/32 -m comment --comment zkops-fence -j REJECT --reject-with icmp-admin-prohibited\n"
        )
    };
    assert_eq!(fence_iptables::fenced(&iptables::parse(&both(""))), addresses(&["10.0.0.9"]));
    let overruled = both("-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT\n");
    assert_eq!(fence_iptables::fenced(&iptables::parse(&overruled)), addresses(&[]));
    let one_way = both("").replace("-A OUTPUT", "-A FORWARD");
    assert_eq!(fence_iptables::fenced(&iptables::parse(&one_way)), addresses(&[]));
}

#[test]
fn iptables_boot_file_has_the_fences_that_stand_before_our_openings() {
    let file = "*filter\n:INPUT DROP\n-A INPUT -i lo -j ACCEPT\nCOMMIT\n";
    let fences = fence_iptables::rules("10.0.0.9".parse().unwrap()).map(|rule| format!("-A {rule}"));
    let fenced = fence_iptables::with_fences(file, &fences);
    let opened = iptables::with_ours(&fenced, &[all(2888)]);
    let expected = format!(
        "*filter\n:INPUT DROP\n{}\n{}\n-A INPUT -p tcp -m tcp --dport 2888 -m comment --comment zkops -j ACCEPT\n\
         -A INPUT -i lo -j ACCEPT\nCOMMIT\n",
        fences[0], fences[1]
    );
    assert_eq!(opened, expected);
    assert_eq!(fence_iptables::with_fences(&opened, &fences), expected, "a second time changes nothing");
    assert_eq!(iptables::without_ours(&fence_iptables::with_fences(&opened, &[]), &[all(2888)]), file);
}

fn addresses(all: &[&str]) -> Vec<IpAddr> {
    all.iter().map(|text| text.parse().unwrap()).collect()
}
