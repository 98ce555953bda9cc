//! Runs that are to end before they are done: TERM at a step, ^C at a gate, an operator that slept while its lock was
//! broken, a host that says nothing.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::ensemble::SOON;
use crate::lab::{Lab, Make};
use crate::run::{eventually, run};

/// A zkops at work, whom signals reach.
struct Working {
    child: Child,
    said: std::path::PathBuf,
}

impl Working {
    #[track_caller]
    fn start(lab: &Lab, name: &str, args: &[&str]) -> Working {
        let said = lab.home().join(name);
        let out = fs::File::create(&said).expect("the operator's home is writable");
        let err = out.try_clone().expect("a file can be shared");
        let mut command = lab.zkops_command(args);
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().expect("it starts");
        Working { child, said }
    }

    #[track_caller]
    fn signal(&self, name: &str) {
        run("kill", &[&format!("-{name}"), &self.child.id().to_string()], &[]).ok();
    }

    /// Waits for its end; what it said.
    #[track_caller]
    fn ends(mut self, code: i32) -> String {
        let status = eventually("zkops ends", SOON, || {
            self.child.try_wait().expect("it is our child").ok_or("it runs")
        });
        let said = fs::read_to_string(&self.said).expect("it was written here");
        assert_eq!(status.code(), Some(code), "signal {:?}, it said\n{said}", status.signal());
        said
    }
}

/// From now on `systemctl … WORD …` on every host does `then` as well, and leaves a note that it did.
#[track_caller]
fn on_systemctl(lab: &Lab, word: &str, then: &str) {
    let script = format!(
        "#!/bin/sh\n/usr/bin/systemctl \"$@\"; code=$?\ncase \"$*\" in *{word}*zkops*) touch /run/at-hand; {then} ;; esac\nexit $code\n"
    );
    for node in 1..=3 {
        lab.on(node, &format!("rm -f /run/at-hand; printf '%s' '{script}' >/usr/local/sbin/systemctl; cp /usr/local/sbin/systemctl /usr/local/bin/systemctl; chmod 755 /usr/local/*bin/systemctl")).ok();
    }
}

#[track_caller]
fn as_before(lab: &Lab) {
    for node in 1..=3 {
        lab.on(node, "rm -f /usr/local/*bin/systemctl /run/at-hand").ok();
    }
}

/// The host where the note is.
#[track_caller]
fn at_hand(lab: &Lab) -> usize {
    eventually("a step is at hand", DEPLOYED, || {
        (1..=3).find(|node| lab.on(*node, "test -e /run/at-hand").code == 0).ok_or("none")
    })
}

#[test]
fn a_run_ends_when_it_is_told_to_and_says_what_stands() {
    // No firewall: what asks it takes longer than the patience below on a busy host.
    let lab = Lab::made(3, &Make { firewalls: Some("none"), ..Make::default() });
    let inventory = lab.inventory("");

    // A host that accepts connections and says nothing: it is given up while it does so.
    lab.on(3, "systemctl kill --kill-whom=main -s STOP ssh").ok();
    lab.zkops(&["check", &inventory, "--timeout", "2s"]).expect(7).says("node-3");
    let waiting = Working::start(&lab, "looking", &["deploy", &inventory]);
    eventually("it has begun", SOON, || match fs::read_to_string(&waiting.said) {
        Ok(said) if said.contains("look at") => Ok(()),
        other => Err(other),
    });
    waiting.signal("INT");
    // Not 7: it does not wait until the host is given up.
    let said = waiting.ends(5);
    assert!(said.contains("stopped by SIGINT") && said.contains("nothing was changed"), "{said}");
    lab.on(3, "systemctl kill --kill-whom=main -s CONT ssh").ok();

    // A step that takes its time is finished, the next one is not begun.
    on_systemctl(&lab, "enable", "sleep 3");
    let deploy = Working::start(&lab, "deploy", &["deploy", &inventory]);
    let node = at_hand(&lab);
    deploy.signal("TERM");
    let said = deploy.ends(5);
    assert!(said.contains("stopped by SIGTERM"), "{said}");
    assert!(said.contains(&format!("node-{node}: ")) && said.contains("; not done: "), "{said}");
    assert!(said.contains(&format!("zkops deploy {inventory}")), "{said}");
    lab.on(node, "/usr/bin/systemctl is-enabled zkops-orders").ok();
    assert_ne!(lab.on(node, "/usr/bin/systemctl is-active zkops-orders").code, 0, "it was started");
    as_before(&lab);
    lab.zkops(&["deploy", &inventory]).ok();

    // At a gate there is nothing to finish.
    on_systemctl(&lab, "restart", "kill -STOP $(/usr/bin/systemctl show -p MainPID --value zkops-orders)");
    let wake = |node: usize| {
        lab.on(node, "kill -CONT $(/usr/bin/systemctl show -p MainPID --value zkops-orders)").ok();
        lab.await_healthy();
    };
    let restart = Working::start(&lab, "restart", &["restart"]);
    let node = at_hand(&lab);
    eventually("it waits at the gate", SOON, || match fs::read_to_string(&restart.said) {
        Ok(said) if said.contains("waiting") || said.contains("wait") => Ok(()),
        other => Err(other),
    });
    restart.signal("INT");
    let said = restart.ends(5);
    assert!(said.contains(&format!("node-{node}: 1 of 1 steps done")), "{said}");
    assert!(said.contains("0 of 1 steps done; not done: ") && said.contains("not waited for: "), "{said}");
    wake(node);

    // An operator that sleeps is replaced, wakes up, and changes nothing more.
    on_systemctl(&lab, "restart", "kill -STOP $(/usr/bin/systemctl show -p MainPID --value zkops-orders)");
    let asleep = Working::start(&lab, "asleep", &["restart"]);
    let node = at_hand(&lab);
    asleep.signal("STOP");
    as_before(&lab);
    wake(node);
    let started = |node: usize| {
        lab.on(node, "/usr/bin/systemctl show -p ActiveEnterTimestampMonotonic zkops-orders").stdout
    };
    let name = format!("node-{node}");
    lab.zkops(&["ok-to-stop", &name]).expect(6).says("zkops restart");
    lab.zkops(&["restart", &name]).expect(6).says("--break-lock");
    lab.zkops(&["restart", &name, "--break-lock"]).ok();
    lab.zkops(&["ok-to-stop", &name]).ok().says("may stop");
    let before: Vec<String> = (1..=3).map(started).collect();
    asleep.signal("CONT");
    let said = asleep.ends(5);
    assert!(
        said.contains(&format!("took the lock over and gave it back since: zkops restart {name}")),
        "{said}"
    );
    assert_eq!((1..=3).map(started).collect::<Vec<_>>(), before, "it restarted something:\n{said}");
    lab.zkops(&["restart"]).ok();
}

/// The step at hand ends when the test lets it, so whoever waits for it does not end at all.
#[test]
fn a_second_signal_ends_a_run_at_once_and_the_same_command_goes_on() {
    let lab = Lab::up(3);
    let inventory = lab.inventory("");
    let held = "until test -e /run/go; do sleep 0.1; done";
    for (args, word, signal, code) in [
        (&["deploy", inventory.as_str()][..], "enable", "INT", 130),
        (&["restart", "node-3"], "restart", "TERM", 143),
        (&["restart", "node-2"], "restart", "HUP", 129),
    ] {
        on_systemctl(&lab, word, held);
        let working = Working::start(&lab, signal, args);
        at_hand(&lab);
        working.signal(signal);
        // Two that come at once are one.
        eventually("the first is heard", SOON, || match fs::read_to_string(&working.said) {
            Ok(said) if said.contains("a second one ends at once") => Ok(()),
            other => Err(other),
        });
        working.signal(signal);
        let said = working.ends(code);
        assert!(said.contains(&format!("ended at once by a second SIG{signal}")), "{said}");
        assert!(said.contains("a step that was at hand may have been done"), "{said}");
        for node in 1..=3 {
            lab.on(node, "touch /run/go").ok();
        }
        as_before(&lab);
        lab.zkops(args).ok();
        lab.await_healthy();
        for node in 1..=3 {
            lab.on(node, "rm /run/go").ok();
        }
    }
    lab.zkops(&["deploy", &inventory]).ok().says("nothing to do");
}

/// A first deploy that gets to its last steps, on a machine where several labs are busy.
const DEPLOYED: Duration = Duration::from_secs(120);
