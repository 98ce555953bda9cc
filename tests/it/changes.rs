//! What people change in an inventory after it was deployed: planned as what it is, or refused before anything is done,
//! with the way to do it. Three hosts, one bring-up.

use crate::lab::Lab;
use crate::run::Ended;

/// The everyday inventory with `lines` for all members and `own` keys of each.
fn inventory(lab: &Lab, lines: &str, own: [&str; 3]) -> String {
    let dir = lab.dir().display().to_string();
    let mut text = format!(
        "cluster: orders\nssh: {{ user: root, key: {dir}/id, known_hosts: {dir}/known_hosts }}\n{lines}nodes:\n"
    );
    for (node, own) in (1..).zip(own) {
        let comma = if own.is_empty() { "" } else { ", " };
        text += &format!("  node-{node}: {{ id: {node}, ip: {}{comma}{own} }}\n", Lab::ip(node));
    }
    lab.write("orders.yml", &text)
}

/// Members were replaced one after the other.
#[track_caller]
fn rolled(ended: &Ended) {
    for node in 1..=3 {
        ended.says(&format!("replace the server of node-{node}"));
    }
    assert!(!ended.all().contains("nothing serves"), "{ended}");
}

#[test]
fn changes_are_planned_as_what_they_are_or_refused_with_the_way() {
    let lab = Lab::up(3);
    let none = ["", "", ""];
    lab.zkops(&["deploy", &inventory(&lab, "", none)]).ok();

    // The client port: each is asked where it is, the new port is opened first and the old one closed at the end.
    let ports = "defaults: { ports: { client: 2190 } }\n";
    let moved = lab.zkops(&["deploy", &inventory(&lab, ports, none)]).ok();
    println!("client port: {:?}", moved.took);
    rolled(&moved);
    moved.says("close tcp 2181");
    for node in 1..=3 {
        let open = lab.on(node, "firewall-cmd --list-ports").ok().stdout;
        assert!(open.contains("2190/tcp") && !open.contains("2181/tcp"), "node-{node}: {open}");
    }
    let same = inventory(&lab, ports, none);
    lab.zkops(&["deploy", &same]).ok().says("nothing to do");
    lab.zkops(&["status"]).ok().says("2 followers in sync");

    // Quorum and election ports: of one member a roll that begins with it, of all at once only while nobody runs.
    let one = ["", "ports: { client: 2190, quorum: 2898, election: 3898 }", ""];
    let moved = lab.zkops(&["deploy", &inventory(&lab, ports, one)]).ok();
    println!("ports of one: {:?}", moved.took);
    rolled(&moved);
    lab.zkops(&["status"]).ok().says("2 followers in sync");
    let all = "defaults: { ports: { client: 2190, quorum: 2908, election: 3908 } }\n";
    let together = inventory(&lab, all, none);
    let refused = lab.zkops(&["deploy", &together]).expect(4);
    refused
        .says("node-1, node-2 and node-3 change at once")
        .says("one member at a time")
        .says("nothing was changed");
    lab.zkops(&["status", &inventory(&lab, ports, one)]).ok();
    lab.zkops(&["stop", "--all"]).ok();
    lab.zkops(&["deploy", &inventory(&lab, all, none)]).ok();
    lab.zkops(&["status"]).ok().says("2 followers in sync");

    // Data do not move by themselves; moved by hand, they are taken up again.
    let elsewhere = ["", "", "data_dir: /export/data/zk3"];
    let refused = lab.zkops(&["deploy", &inventory(&lab, all, elsewhere)]).expect(4);
    refused
        .says("data do not move by themselves")
        .says("/export/data/zkdata/version-2")
        .says("zkops stop node-3");
    lab.zkops(&["stop", "node-3"]).ok();
    lab.on(3, "mkdir /export/data/zk3 && mv /export/data/zkdata/* /export/data/zk3/").ok();
    lab.zkops(&["deploy", &inventory(&lab, all, elsewhere)]).ok();
    lab.on(3, "test -d /export/data/zk3/version-2 && test ! -e /export/data/zkdata/version-2").ok();

    // A key of zoo.cfg is named; a member is neither added nor made an observer; another install_dir is refused.
    let ticks = inventory(&lab, &format!("{all}zoo: {{ tickTime: 1000 }}\n"), elsewhere);
    lab.zkops(&["plan", &ticks]).expect(8).says("tickTime 2000 → 1000");
    rolled(&lab.zkops(&["deploy", &ticks]).ok());
    let observer = ["role: observer", "", elsewhere[2]];
    lab.zkops(&["deploy", &inventory(&lab, all, observer)]).expect(4).says("changes the members");
    let install = all.replace(" } }", " }, install_dir: /opt/zkops/other }");
    let refused = lab.zkops(&["deploy", &inventory(&lab, &install, elsewhere)]).expect(4);
    refused.says("install_dir").says("zkops destroy");
    lab.zkops(&["status", &ticks]).ok().says("2 followers in sync");
}
