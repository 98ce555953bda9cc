//! A leader of the reference reconfigures an ensemble in which some servers are ours: these cannot follow, so they
//! acknowledge nothing any more and say why; whoever would serve by the older list does not.

use crate::apache::{Kind, formed};
use crate::ensemble::{Ensemble, SOON, Writer, kazoo};
use crate::run::eventually;

/// Anybody may reconfigure.
const RECONFIGURABLE: &str = "reconfigEnabled=true\nskipACL=yes\nmaxSessionTimeout=600000";

/// What came of taking server 1 out of the ensemble.
fn leave(ensemble: &Ensemble, through: usize) -> String {
    let mut command = kazoo("reconfig.py");
    let output = command.args([&ensemble.address(through), "1"]).output().expect("python is there");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Acknowledged writes through one server, which are found again afterwards.
fn write(ensemble: &Ensemble, through: usize, path: &str) {
    let mut command = kazoo("writer.py");
    command.args([&ensemble.address(through), path]);
    let mut writer = Writer::start(command);
    writer.await_acks(20);
    writer.finish();
}

fn await_line(ensemble: &Ensemble, n: usize, text: &str) {
    eventually(&format!("server {n} says {text:?}"), SOON, || {
        let log = std::fs::read_to_string(ensemble.log(n)).unwrap_or_default();
        if log.contains(text) { Ok(()) } else { Err(log) }
    });
}

#[test]
fn who_was_left_out_or_cannot_follow_serves_nobody_also_after_a_restart() {
    // Server 4 observes.
    let mut ensemble = formed(&[Kind::Ours, Kind::Apache, Kind::Apache], Some(Kind::Ours), RECONFIGURABLE);
    write(&ensemble, 1, "/before");
    assert_eq!(leave(&ensemble, 3), "done", "servers 2 and 3 are a majority of both lists");
    write(&ensemble, 3, "/after");
    for n in [1, 4] {
        await_line(&ensemble, n, "reconfigures the ensemble (to the voters 2, 3 (version ");
        await_line(&ensemble, n, "it goes by the voters 2, 3 (version ");
        assert_eq!(ensemble.mode(n), None, "server {n} serves");
        ensemble.kill(n);
        ensemble.start(n);
    }
    // The two that hold what was acknowledged are gone: nobody speaks for them.
    for n in [1, 4] {
        eventually(&format!("server {n} has heard of the other list"), SOON, || {
            let log = std::fs::read_to_string(ensemble.log(n)).unwrap_or_default();
            let starts = log.rsplit("data loaded").next().unwrap_or_default().to_owned();
            if starts.contains("is not counted: it goes by the voters 2, 3") { Ok(()) } else { Err(log) }
        });
    }
    ensemble.stop(2);
    ensemble.stop(3);
    // One of ours on the data of the new majority, by the old list: it stays down.
    configure(&ensemble, 2, &[]);
    ensemble.start(2);
    assert_eq!(ensemble.await_end(2), 3, "{}", ensemble.logs());
    await_line(
        &ensemble,
        2,
        "was reconfigured while it ran: /zookeeper/config there names the voters 2, 3 (version ",
    );
    // By the new one they serve, the two of them, with all that was acknowledged.
    for n in [2, 3] {
        configure(&ensemble, n, &["server.1=", "server.4="]);
        ensemble.start(n);
    }
    eventually("two of ours serve by the new list", SOON, || {
        let modes = [2, 3].map(|n| ensemble.mode(n));
        if modes.iter().all(Option::is_some) { Ok(()) } else { Err(ensemble.logs()) }
    });
    for path in ["/before", "/after"] {
        write(&ensemble, 2, path);
    }
    assert_eq!([1, 4].map(|n| ensemble.mode(n)), [None, None]);
}

/// A zoo.cfg as it was in the beginning, which the reference has split in two; without some of its lines.
fn configure(ensemble: &Ensemble, n: usize, without: &[&str]) {
    let text = std::fs::read_to_string(ensemble.config(1)).expect("it is ours");
    let own = |setting: &'static str, first: String, own: String| {
        move |line: String| if line.starts_with(setting) { line.replace(&first, &own) } else { line }
    };
    let data = |n| ensemble.data(n).display().to_string();
    let port = |n| ensemble.client_port(n).to_string();
    let lines = text.lines().filter(|line| !without.iter().any(|start| line.starts_with(start)));
    let lines = lines.map(str::to_owned).map(own("dataDir", data(1), data(n)));
    let lines: Vec<String> = lines.map(own("clientPort=", port(1), port(n))).collect();
    std::fs::write(ensemble.config(n), lines.join("\n")).expect("the directory is ours");
}

#[test]
fn without_ours_a_reconfiguration_is_not_decided_and_nothing_acknowledged_is_lost() {
    let mut ensemble = formed(&[Kind::Ours, Kind::Ours, Kind::Apache], None, RECONFIGURABLE);
    write(&ensemble, 1, "/before");
    assert_ne!(leave(&ensemble, 3), "done", "two of three have not agreed");
    for n in [1, 2] {
        await_line(&ensemble, n, "reconfigures the ensemble (to the voters 2, 3 (version ");
    }
    // The one whose log has it is gone: the others go on as they were.
    ensemble.kill(3);
    ensemble.await_serving();
    write(&ensemble, 2, "/before");
    assert_eq!(leave(&ensemble, 1), "ReconfigDisabledError");
}

/// The reference is to leave out one of its own; ours is one of the two that would go on.
#[test]
fn one_of_ours_that_would_stay_does_not_decide_what_it_cannot_follow() {
    let mut ensemble = formed(&[Kind::Apache, Kind::Ours, Kind::Apache], None, RECONFIGURABLE);
    write(&ensemble, 2, "/before");
    // A majority of both lists would be all three, or the two of the new one.
    assert_ne!(leave(&ensemble, 3), "done", "server 2 has not agreed");
    await_line(&ensemble, 2, "reconfigures the ensemble (to the voters 2, 3 (version ");
    assert_eq!(ensemble.mode(2), None, "it serves by a list that may be over");
    // Also when it starts anew, and hears of the new list alone.
    ensemble.kill(2);
    ensemble.start(2);
    eventually("it has heard of what it cannot follow again", SOON, || {
        let log = std::fs::read_to_string(ensemble.log(2)).unwrap_or_default();
        let starts = log.rsplit("data loaded").next().unwrap_or_default().to_owned();
        let has_heard = starts.contains("reconfigures the ensemble") || starts.contains("is not counted");
        if has_heard { Ok(()) } else { Err(log) }
    });
    assert_eq!(ensemble.mode(2), None, "it serves by a list that may be over");
}

/// A leader of ours decides none, whoever passes it on.
#[test]
fn a_leader_of_ours_refuses_a_reconfiguration_by_its_name() {
    let mut ensemble = formed(&[Kind::Apache, Kind::Apache, Kind::Ours], Some(Kind::Apache), RECONFIGURABLE);
    write(&ensemble, 1, "/before");
    // Through a follower, an observer, and at the leader itself.
    for n in [1, 4, 3] {
        assert_ne!(leave(&ensemble, n), "done", "through server {n}");
    }
    for n in 1..=4 {
        write(&ensemble, n, &format!("/after-{n}"));
    }
    // The same list is in force behind another election.
    ensemble.kill(3);
    eventually("the two others serve", SOON, || {
        let modes = [1, 2].map(|n| ensemble.mode(n));
        if modes.iter().all(Option::is_some) { Ok(()) } else { Err(ensemble.logs()) }
    });
    ensemble.start(3);
    ensemble.await_serving();
    write(&ensemble, 3, "/before");
}
