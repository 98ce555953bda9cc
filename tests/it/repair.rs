//! A member whose data is damaged, lost or another's, and its way back: by a start where the server heals it, by more
//! only where that did not help and somebody agreed to it, behind the proof that the others hold everything (law 7).

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
        assert!(status.all().contains(word), "status does not say {word:?}: {status}");
    }
}

/// What was moved aside on node-3.
fn aside(lab: &Lab) -> String {
    lab.on(3, "cd /export/data/zkdata; ls -d zkops.old-* 2>/dev/null; true").ok().stdout
}

/// `repair` brings node-3 back as a follower with all data.
#[track_caller]
fn repaired(lab: &Lab, args: &[&str]) {
    lab.zkops(&[&["repair", "node-3", "--yes"], args].concat()).ok();
    back(lab);
}

#[track_caller]
fn back(lab: &Lab) {
    lab.zkops(&["status"]).ok();
    assert!(lab.mode(3).is_some_and(|mode| mode == "follower" || mode == "leader"));
    assert!(lab.cli(3, "get /precious\n").contains("123"), "the data is not back");
}

#[test]
fn data_is_healed_filled_again_or_moved_aside_as_its_cause_needs() {
    let lab = deployed();
    truncated_snapshots_heal_by_a_start(&lab);
    garbage_heals_by_a_repair_that_moves_nothing(&lab);
    lost_data_is_filled_again(&lab);
    what_does_not_heal_needs_another_yes(&lab);
    foreign_data_goes_by_its_name(&lab);
}

fn truncated_snapshots_heal_by_a_start(lab: &Lab) {
    lab.zkops(&["stop", "node-3"]).ok();
    lab.on(3, "cd /export/data/zkdata/version-2; for f in snapshot.*; do truncate -s -20 $f; done").ok();
    lab.zkops(&["start", "node-3"]).ok();
    back(lab);
    let kept = lab.on(3, "ls /export/data/zkdata/version-2").ok().stdout;
    assert!(kept.contains("aside.damaged.snapshot"), "the damage is kept: {kept}");
}

fn garbage_heals_by_a_repair_that_moves_nothing(lab: &Lab) {
    let spoil = "systemctl stop zkops-orders; cd /export/data/zkdata/version-2; \
                 for f in snapshot.* log.*; do echo garbage >$f; done";
    lab.on(3, spoil).ok();
    diagnosed(
        lab,
        &["node-3", "the database in /export/data/zkdata is damaged", "next: zkops repair node-3"],
    );
    repaired(lab, &["--move-data-aside"]);
    assert_eq!(aside(lab), "", "a start was enough");
}

fn lost_data_is_filled_again(lab: &Lab) {
    lab.on(3, "systemctl stop zkops-orders; cd /export/data/zkdata; rm -r version-2 myid").ok();
    diagnosed(lab, &["node-3", "the database of node-3 is gone"]);
    repaired(lab, &[]);
    assert_eq!(aside(lab), "");
}

/// What the server promised to the others is gone: it does not guess, and says so each time it is started.
fn what_does_not_heal_needs_another_yes(lab: &Lab) {
    let spoil = "systemctl stop zkops-orders; cd /export/data/zkdata/version-2; rm zkops.epochs; echo x >acceptedEpoch";
    lab.on(3, spoil).ok();
    diagnosed(lab, &["node-3", "acceptedEpoch does not hold a number"]);
    let half = lab.zkops(&["repair", "node-3", "--yes"]).expect(5);
    for word in ["damaged still", "a milder cure was tried first", "zkops repair node-3 --move-data-aside"] {
        assert!(half.all().contains(word), "{word:?} is not said: {half}");
    }
    assert_eq!(aside(lab), "", "--yes covers what was shown first");
    repaired(lab, &["--move-data-aside"]);
    assert!(aside(lab).contains("version-2"), "the old data is kept aside");
    lab.zkops(&["repair", "node-3", "--yes", "--purge-old"]).ok();
    assert_eq!(aside(lab), "", "the old data is gone");
    lab.zkops(&["status"]).ok();
}

/// Somebody restored the wrong backup: the directory says whose it is.
fn foreign_data_goes_by_its_name(lab: &Lab) {
    let spoil =
        "systemctl stop zkops-orders; sed -i 's/\"orders\"/\"billing\"/' /export/data/zkdata/zkops.json";
    lab.on(3, spoil).ok();
    diagnosed(
        lab,
        &["node-3", "holds data of cluster \"billing\"", "zkops repair node-3 --foreign-data billing"],
    );
    lab.zkops(&["start", "node-3"]).expect(4).says("billing");
    lab.zkops(&["repair", "node-3", "--yes", "--move-data-aside"]).expect(4).says("--foreign-data billing");
    lab.zkops(&["repair", "node-3", "--yes", "--foreign-data", "orders"]).expect(4).says("not of \"orders\"");
    assert_eq!(aside(lab), "");
    repaired(lab, &["--foreign-data", "billing"]);
    let kept = lab.on(3, "cat /export/data/zkdata/zkops.old-*zkops.json").ok().stdout;
    assert!(kept.contains("billing"), "{kept}");
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
    let refused = lab.zkops(&["repair", "node-3", "--yes", "--move-data-aside"]).expect(4);
    assert!(
        refused.all().contains("zkops start node-2") && !refused.all().contains("zkops repair"),
        "{refused}"
    );
    assert_eq!(lab.on(3, "find /export/data | sort").ok().stdout, before, "nothing was moved");
    // Two of three without their data: nobody can tell what was acknowledged, and no verb says try again.
    lab.on(2, "cd /export/data/zkdata; rm -r version-2").ok();
    for node in ["node-2", "node-3"] {
        let refused = lab.zkops(&["repair", node, "--yes", "--move-data-aside"]).expect(4);
        let said = refused.all();
        assert!(said.contains("cannot be repaired without loss") && said.contains("backup"), "{refused}");
        assert!(!said.contains("next: zkops repair") && !said.contains("do next: zkops repair"), "{refused}");
    }
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
