//! Whom a rule lets in, and whose rule it is.

use super::super::matching::Asked;
use super::super::nft_rules::Packet;
use super::super::records::Verdict;
use super::super::{firewalld_zone, iptables, nft_text, nftables, ufw};
use super::{NFT_PLAIN, all, one, say};
use crate::formats::opening::Opening;

#[test]
fn a_source_is_let_in_by_the_rule_that_names_it() {
    let zone = |rules: &[&str]| firewalld_zone::Zone {
        name: "public".into(),
        target: "default".into(),
        rich_rules: rules.iter().map(ToString::to_string).collect(),
        ..firewalld_zone::Zone::default()
    };
    let ours = one("2888 from 10.0.0.1");
    let rule = firewalld_zone::rich_rule(&ours).unwrap();
    assert_eq!(
        rule,
        r#"rule family="ipv4" source address="10.0.0.1" port port="2888" protocol="tcp" accept"#
    );
    assert_eq!(firewalld_zone::opening_of(&rule), Some(ours));
    assert_eq!(firewalld_zone::opening_of(&format!("{rule} limit value=\"1/m\"")), None);
    assert_eq!(firewalld_zone::opening_of(&rule.replace("accept", "drop")), None);
    let narrow = zone(&[&rule]);
    assert!(narrow.has(&ours) && !narrow.has(&one("2888 from 10.0.0.2")) && !narrow.has(&all(2888)));
    let said = |zone: &firewalld_zone::Zone, opening: &str, ours: &[Opening]| {
        say(&zone.verdict(&Asked::of(one(opening)), ours))
    };
    assert_eq!(said(&narrow, "2888 from 10.0.0.1", &[]), "open");
    assert!(said(&narrow, "2888 from 10.0.0.2", &[]).starts_with("blocked"));
    assert!(said(&narrow, "2888 from fd00::1", &[]).starts_with("blocked"));
    // Somebody's limit is a limit; that we let in few so far is none.
    assert!(said(&narrow, "2888", &[]).starts_with("limited"));
    assert!(said(&narrow, "2888", &[ours]).starts_with("blocked"));
    let refused = zone(&[&rule, r#"rule family="ipv4" source address="10.0.0.1" drop"#]);
    assert!(
        said(&refused, "2888 from 10.0.0.1", &[]).starts_with("blocked: firewalld zone public, rich rule")
    );
    let let_in = zone(&[r#"rule family="ipv4" source address="10.0.0.0/8" accept"#]);
    assert_eq!(said(&let_in, "2888 from 10.0.0.1", &[]), "open");
    assert!(said(&let_in, "2888", &[]).starts_with("blocked"));

    let state = ufw::parse(UFW_NARROW).expect("it is active");
    let said = |opening: &str| say(&state.verdict(&Asked::of(one(opening))));
    assert_eq!(
        (said("2888 from 10.77.0.12").as_str(), said("2888 from fd77::12").as_str()),
        ("open", "open")
    );
    assert!(
        said("2888 from 10.77.0.13").starts_with("blocked")
            && said("2888 from fd77::13").starts_with("blocked")
    );
    assert!(said("2888").starts_with("blocked") && said("3888").starts_with("limited"));
    assert_eq!(said("2181 from fd77::9"), "open");
    assert_eq!(
        state.ours(&[2181, 2888, 3888]),
        [one("2181"), one("2888 from 10.77.0.12"), one("2888 from fd77::12")]
    );

    let rules = "\t\tip saddr 10.0.0.1 tcp dport 2888 accept comment \"zkops\" # handle 9\n\
                 \t\tip6 saddr fd00::1 tcp dport 2888 accept comment \"zkops\" # handle 10\n\
                 \t\tip saddr { 10.0.0.8, 10.1.0.0/16 } tcp dport 3888 accept # handle 11\n\t\tct state est";
    let ruleset = nft_text::parse(&NFT_PLAIN.replace("\t\tct state est", rules));
    let said = |opening: &str| {
        let packet = Packet::of(&Asked::of(one(opening)), None);
        let each =
            ruleset.input_chains(packet.from).map(|(table, chain)| ruleset.verdict(table, chain, packet));
        say(&each.fold(Verdict::open(), Verdict::and))
    };
    assert_eq!((said("2888 from 10.0.0.1").as_str(), said("2888 from fd00::1").as_str()), ("open", "open"));
    assert!(said("2888 from 10.0.0.2").starts_with("blocked") && said("2888").starts_with("blocked"));
    assert_eq!((said("3888 from 10.0.0.8").as_str(), said("3888 from 10.1.2.3").as_str()), ("open", "open"));
    assert!(said("3888 from 10.0.0.9").starts_with("blocked") && said("3888").starts_with("limited"));
    let file = nftables::our_file(&ruleset);
    let lines: Vec<&str> = file.lines().skip(1).collect();
    let inserted =
        |rule: &str| format!("insert rule inet filter input {rule} tcp dport 2888 accept comment \"zkops\"");
    assert_eq!(lines, [inserted("ip saddr 10.0.0.1"), inserted("ip6 saddr fd00::1")]);

    let table = iptables::parse(
        "-P INPUT DROP\n-A INPUT -s 10.0.0.1/32 -p tcp -m tcp --dport 2888 -m comment --comment zkops -j ACCEPT\n\
         -A INPUT -s 10.2.0.0/16 -p tcp -m tcp --dport 3888 -j ACCEPT\n",
    );
    let said = |opening: &str| say(&table.verdict("iptables", &Asked::of(one(opening)), None));
    assert_eq!(said("2888 from 10.0.0.1"), "open");
    assert!(said("2888 from 10.0.0.2").starts_with("blocked") && said("2888").starts_with("blocked"));
    assert!(said("3888 from 10.2.1.1") == "open" && said("3888").starts_with("limited"));
}

#[test]
fn an_opening_of_ours_beside_the_one_asked_about_does_not_count_when_it_may_go() {
    let (wide, narrow) = (all(2888), one("2888 from 10.0.0.1"));
    let check = |what: &str, verdict: &dyn Fn(&Asked) -> Verdict| {
        assert_eq!(say(&verdict(&Asked::of(narrow))), "open", "{what}");
        assert!(verdict(&Asked::alone(narrow)).blocked(), "{what}");
        assert_eq!(say(&verdict(&Asked::alone(wide))), "open", "{what}");
    };
    let zone = firewalld_zone::Zone { ports: vec!["2888/tcp".into()], ..firewalld_zone::Zone::default() };
    check("firewalld", &|asked| zone.verdict(asked, &[wide]));
    assert_eq!(say(&zone.verdict(&Asked::alone(narrow), &[])), "open", "not ours: it stays");
    let state = ufw::parse(&UFW_NARROW.replace("2181/tcp", "2888/tcp").replace("10.77.0.12", "10.77.0.99"));
    let state = state.expect("it is active");
    check("ufw", &|asked| state.verdict(asked));
    let rule = "\t\ttcp dport 2888 accept comment \"zkops\" # handle 9\n\t\tct state est";
    let ruleset = nft_text::parse(&NFT_PLAIN.replace("\t\tct state est", rule));
    check("nftables", &|asked| {
        let (table, chain) = ruleset.input_chains(None).next().expect("a chain");
        ruleset.verdict(table, chain, Packet::of(asked, None))
    });
    let rule = "-P INPUT DROP\n-A INPUT -p tcp -m tcp --dport 2888 -m comment --comment zkops -j ACCEPT\n";
    let table = iptables::parse(rule);
    check("iptables", &|asked| table.verdict("iptables", asked, None));
}

const UFW_NARROW: &str = "\
Status: active
Logging: on (low)
Default: deny (incoming), allow (outgoing), disabled (routed)
New profiles: skip

To                         Action      From
--                         ------      ----
22/tcp                     ALLOW IN    Anywhere                  
2181/tcp                   ALLOW IN    Anywhere                   # zkops
2888/tcp                   ALLOW IN    10.77.0.12                 # zkops
3888/tcp                   ALLOW IN    10.0.0.0/8                
22/tcp (v6)                ALLOW IN    Anywhere (v6)             
2181/tcp (v6)              ALLOW IN    Anywhere (v6)              # zkops
2888/tcp                   ALLOW IN    fd77::12                   # zkops
";
