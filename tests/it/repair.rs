//! The walkthrough's failure story: a node that does not start, why, and its way back (law 7).

use crate::lab::Lab;

/// A deployed ensemble with something to lose in it.
fn deployed() -> Lab {
    let lab = Lab::up(3);
    let inventory = lab.inventory("");
    lab.zkops(&["deploy", &inventory]).ok();
    lab.cli(1, "create /precious 123\n");
    lab
}

/// `status` is unhealthy and names the cause.
#[track_caller]
fn diagnosed(lab: &Lab, words: &[&str]) {
    let status = lab.zkops(&["status"]).expect(9);
    for word in words {
        assert!(status.all().to_lowercase().contains(word), "status does not say {word:?}: {status}");
    }
}

/// `repair` brings node-3 back as a follower with all data.
#[track_caller]
fn repaired(lab: &Lab) {
    lab.zkops(&["repair", "node-3", "--yes"]).ok();
    lab.zkops(&["status"]).ok();
    assert!(lab.mode(3).is_some_and(|mode| mode == "follower" || mode == "leader"));
    assert!(lab.cli(3, "get /precious\n").contains("123"), "the data is not back");
}

#[test]
fn a_closed_firewall_is_named_and_opened() {
    let lab = deployed();
    let close = "for p in 2181 2888 3888; do firewall-cmd -q --permanent --remove-port=$p/tcp; done; firewall-cmd -q --reload; \
                 systemctl restart zkops-orders";
    lab.on(3, close).ok();
    diagnosed(&lab, &["node-3", "firewall"]);
    repaired(&lab);
}

#[test]
fn a_missing_myid_is_named_and_written() {
    let lab = deployed();
    lab.on(
        3,
        "systemctl stop zkops-orders; rm /export/data/zkdata/myid; systemctl start zkops-orders; sleep 0.2",
    )
    .ok();
    diagnosed(&lab, &["node-3", "myid"]);
    repaired(&lab);
}

#[test]
fn a_broken_data_directory_is_named_set_aside_and_filled_again() {
    let lab = deployed();
    lab.on(
        3,
        "systemctl stop zkops-orders; for f in /export/data/zkdata/version-2/*; do echo garbage >$f; done; \
         systemctl start zkops-orders; sleep 0.2",
    )
    .ok();
    diagnosed(&lab, &["node-3", "data"]);
    repaired(&lab);
    let aside = "find /export/data/zkdata -maxdepth 1 -name '?*.version-2'";
    assert!(!lab.on(3, aside).ok().stdout.is_empty(), "the old data is kept aside");
    lab.zkops(&["repair", "node-3", "--yes", "--purge-old"]).ok();
    assert_eq!(lab.on(3, aside).ok().stdout, "", "the old data is gone");
    lab.zkops(&["status"]).ok();
}

#[test]
fn repair_is_refused_when_the_others_are_no_majority() {
    let lab = deployed();
    lab.on(
        3,
        "systemctl stop zkops-orders; for f in /export/data/zkdata/version-2/*; do echo garbage >$f; done",
    )
    .ok();
    lab.on(2, "systemctl stop zkops-orders").ok();
    let before = lab.on(3, "find /export/data | sort").ok().stdout;
    lab.zkops(&["repair", "node-3", "--yes"]).expect(4).says("node-2");
    assert_eq!(lab.on(3, "find /export/data | sort").ok().stdout, before, "nothing was moved");
}

#[test]
fn start_stop_and_restart_keep_the_quorum() {
    let lab = deployed();
    lab.zkops(&["restart"]).ok();
    lab.zkops(&["status"]).ok();
    lab.zkops(&["stop", "node-3"]).ok();
    diagnosed(&lab, &["node-3"]);
    // A second voter may not go: the rest could not serve.
    lab.zkops(&["stop", "node-2"]).expect(4);
    lab.zkops(&["start", "node-3"]).ok();
    lab.zkops(&["status"]).ok();
    assert!(lab.cli(3, "get /precious\n").contains("123"));
}
