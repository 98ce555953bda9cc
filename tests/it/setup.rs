//! `zkops ssh-setup` on hosts that nobody has been to and that know a password only: each one's key is shown and asked
//! for, the password once, in a terminal; afterwards the key is enough. Also through a jump host and over IPv6; and the
//! password that sudo wants.

use std::time::Duration;

use zkops::operator::operate::session::HOST_PATIENCE;

use crate::ensemble::SOON;
use crate::lab::{Lab, Make};
use crate::run::eventually;

const PASSWORD: &str = "open sesame 7";
const SSHD: &str = "/etc/ssh/sshd_config.d/00-test.conf";

/// No key opens the hosts, a password does.
fn with_passwords(hosts: usize, known: bool) -> (Lab, String) {
    let lab = Lab::up(hosts);
    (1..=hosts).for_each(|node| password_alone(&lab, node));
    let known = match known {
        true => format!(", known_hosts: {}", lab.dir().join("known_hosts").display()),
        false => String::new(),
    };
    let mut text = format!("cluster: orders\nssh: {{ user: root, key: ~/.ssh/id_ed25519{known} }}\nnodes:\n");
    for node in 1..=hosts {
        text += &format!("  node-{node}: {{ id: {node}, ip: {} }}\n", Lab::ip(node));
    }
    let inventory = lab.write("orders.yml", &text);
    (lab, inventory)
}

#[track_caller]
fn password_alone(lab: &Lab, node: usize) {
    lab.on(
        node,
        &format!(
            "set -e; rm -r /root/.ssh; echo 'root:{PASSWORD}' | chpasswd; \
             printf 'PasswordAuthentication yes\\nPermitRootLogin yes\\n' >{SSHD}; systemctl restart ssh"
        ),
    )
    .ok();
}

#[track_caller]
fn key_alone(lab: &Lab, node: usize) {
    lab.on(node, &format!("rm {SSHD}; systemctl restart ssh")).ok();
}

/// Name, inode, time and content of what lets a key in.
fn authorized(lab: &Lab, node: usize) -> String {
    lab.on(node, "cd /root; stat -c '%n %a %i %Y' .ssh .ssh/authorized_keys; cat .ssh/authorized_keys").stdout
}

#[test]
fn one_password_puts_the_key_on_every_host() {
    let (lab, inventory) = with_passwords(3, false);
    let shown = |node: usize| {
        let shown = lab.on(node, "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub").ok().stdout;
        shown.split(' ').nth(1).expect("a fingerprint").to_owned()
    };
    let fingerprints: Vec<String> = (1..=3).map(shown).collect();
    // Nobody is there to say that these are the hosts.
    let alone = lab.zkops(&["deploy", &inventory]).expect(7);
    alone.says(&fingerprints[0]).says("--accept-new-host-keys").says("`ssh root@10.77.0.11` once");

    let terminal = lab.terminal(&["ssh-setup", &inventory]);
    for (node, fingerprint) in (1..).zip(&fingerprints) {
        terminal.await_text(&format!("whether this is node-{node} "));
        let screen = terminal.await_text(fingerprint);
        assert!(screen.contains("go on (yes/no/fingerprint): ") && !screen.contains("?:"), "{screen}");
        terminal.line(if node == 2 { fingerprint } else { "yes" });
        if node == 1 {
            terminal.await_text("password of root");
            terminal.line(PASSWORD);
        }
    }
    let screen = terminal.ends(0);
    let known = std::fs::read_to_string(lab.home().join(".ssh/known_hosts")).expect("it was recorded");
    assert_eq!(known.lines().count(), 3, "{known}");
    assert_eq!(screen.matches("password of root").count(), 1, "asked more than once:\n{screen}");
    assert_eq!(screen.matches("installed").count(), 3, "{screen}");
    assert!(!terminal.recorded().contains(PASSWORD), "the password is on the screen");
    let key = lab.home().join(".ssh/id_ed25519");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&key.metadata().expect("a key was made").permissions());
    assert_eq!(mode & 0o777, 0o600);

    // A second run finds everything done: nobody is asked, nothing is touched.
    let before: Vec<String> = (1..=3).map(|node| authorized(&lab, node)).collect();
    assert!(before.iter().all(|host| host.contains("ssh-ed25519 ")), "{before:?}");
    let again = lab.zkops(&["ssh-setup", &inventory]).ok();
    assert_eq!(again.stdout.matches("was there").count(), 3, "{again}");
    let after: Vec<String> = (1..=3).map(|node| authorized(&lab, node)).collect();
    assert_eq!(before, after);

    // From now on the key alone is enough.
    for node in 1..=3 {
        key_alone(&lab, node);
    }
    lab.zkops(&["deploy", &inventory]).ok();
    lab.zkops(&["status"]).ok();
}

/// Who has no way to the hosts but through another one, which knows a password only, too.
#[test]
fn a_jump_host_gets_the_key_before_those_behind_it() {
    let lab = Lab::up(3);
    lab.lab(&["far", "node-3"]).ok();
    (1..=3).for_each(|node| password_alone(&lab, node));
    let mut text =
        "cluster: orders\nssh: { user: root, key: ~/.ssh/id_ed25519, jump: root@10.78.0.2 }\nnodes:\n"
            .to_owned();
    for node in 1..=2 {
        text += &format!("  node-{node}: {{ id: {node}, ip: {} }}\n", Lab::ip(node));
    }
    let inventory = lab.write("orders.yml", &text);
    let terminal = lab.terminal_from_far(&["ssh-setup", &inventory]);
    for (nth, place) in ["10.78.0.2", "node-1 ", "node-2 "].into_iter().enumerate() {
        terminal.await_screen(place, |screen| {
            screen.matches("yes/no/fingerprint").count() == nth + 1
                && screen.rsplit("nobody knows yet").next().is_some_and(|last| last.contains(place))
        });
        terminal.line("yes");
        if nth == 0 {
            terminal.await_text("password of root");
            terminal.line(PASSWORD);
        }
    }
    let screen = terminal.ends(0);
    assert_eq!(screen.matches("password of root").count(), 1, "asked more than once:\n{screen}");
    assert_eq!(screen.matches("installed").count(), 3, "{screen}");
    (1..=3).for_each(|node| key_alone(&lab, node));
    let again = lab.zkops_from_far(&["ssh-setup", &inventory]).ok();
    assert_eq!(again.stdout.matches("was there").count(), 3, "{again}");
    lab.zkops_from_far(&["deploy", &inventory]).ok();
    lab.zkops_from_far(&["status"]).ok();
}

#[test]
fn hosts_of_ipv6_alone_get_the_key() {
    let lab = Lab::made(2, &Make { v6: Some("only"), ..Make::default() });
    (1..=2).for_each(|node| password_alone(&lab, node));
    let mut text = "cluster: orders\nssh: { user: root, key: ~/.ssh/id_ed25519 }\nnodes:\n".to_owned();
    for node in 1..=2 {
        text += &format!("  node-{node}: {{ id: {node}, ip: \"{}\" }}\n", lab.address(node));
    }
    let inventory = lab.write("orders.yml", &text);
    let terminal = lab.terminal(&["ssh-setup", &inventory]);
    for node in 1..=2 {
        terminal.await_text(&format!("whether this is node-{node} "));
        terminal.line("yes");
        if node == 1 {
            terminal.await_text("password of root");
            terminal.line(PASSWORD);
        }
    }
    let screen = terminal.ends(0);
    assert_eq!(screen.matches("installed").count(), 2, "{screen}");
    let known = std::fs::read_to_string(lab.home().join(".ssh/known_hosts")).expect("it was recorded");
    assert!(["fd77::11 ", "fd77::12 "].iter().all(|host| known.contains(host)), "{known}");
    (1..=2).for_each(|node| key_alone(&lab, node));
    // OpenSSH reads what was recorded.
    let key = lab.home().join(".ssh/id_ed25519").display().to_string();
    let file = format!("UserKnownHostsFile={}", lab.home().join(".ssh/known_hosts").display());
    let ssh = [
        "ssh",
        "-F",
        "none",
        "-o",
        "StrictHostKeyChecking=yes",
        "-o",
        &file,
        "-i",
        &key,
        "root@fd77::11",
        "true",
    ];
    lab.ctl(&ssh).ok();
    lab.zkops(&["deploy", &inventory]).ok();
    lab.zkops(&["status"]).ok();
}

/// It is asked for once for all hosts, and stands on no command line and in no log.
#[test]
fn a_sudo_that_wants_a_password_gets_it_by_its_input_alone() {
    let lab = Lab::up(3);
    for node in 1..=3 {
        lab.on(node, &format!("set -e; echo 'ops:{PASSWORD}' | chpasswd; echo 'ops ALL=(ALL) ALL' >/etc/sudoers.d/ops; echo '{PASSWORD}' >/root/word"))
            .ok();
    }
    let looks = "while :; do cat /proc/[0-9]*/cmdline | tr \"\\0\" \" \" | grep -oaF -f /root/word >>/root/seen; echo >>/root/looks; sleep 0.02; done";
    lab.on(1, &format!("systemd-run -q --unit=looks sh -c '{looks}'")).ok();
    let dir = lab.dir().display().to_string();
    let inventory = lab.inventory("");
    let text = std::fs::read_to_string(&inventory).expect("it was written");
    let text = text.replace("ssh: { user: root,", "ssh: { user: ops, sudo: /usr/bin/sudo,");
    assert!(text.contains("user: ops") && text.contains(&dir), "{text}");
    let inventory = lab.write("orders.yml", &text);
    let alone = lab.zkops(&["deploy", &inventory]).expect(7);
    alone.says("sudo does not work").says("Run this on a terminal");

    let terminal = lab.terminal(&["deploy", &inventory]);
    terminal.await_text("sudo password of ops on node-");
    somebody_looks_the_password_up();
    terminal.line("not it");
    terminal
        .await_screen("it is asked for again", |screen| screen.matches("sudo password of ops").count() == 2);
    terminal.line(PASSWORD);
    let screen = eventually("deploy ends", 4 * SOON, || match terminal.screen() {
        screen if screen.contains("exit status ") => Ok(screen),
        screen => Err(screen),
    });
    assert!(screen.contains("exit status 0") && screen.contains("orders is ready"), "{screen}");
    assert_eq!(screen.matches("sudo password of ops").count(), 2, "asked for each host:\n{screen}");
    assert!(!terminal.recorded().contains(PASSWORD), "the password is on the screen");
    let seen = lab.on(1, "systemctl stop looks; cat /root/seen; grep -c '' /root/looks").ok().stdout;
    assert!(
        seen.trim().parse::<u32>().is_ok_and(|looks| looks > 10),
        "on a command line, or nobody looked: {seen}"
    );
    for node in 1..=3 {
        assert_eq!(lab.on(node, "journalctl -q | grep -caF -f /root/word; true").ok().stdout.trim(), "0");
        assert_eq!(lab.on(node, "ps -o user= -C zkops | sort -u").ok().stdout.trim(), "zkops");
    }
    // Who is in sync is seen without the hosts; what stops a server needs them.
    lab.zkops(&["status"]).ok();
    let terminal = lab.terminal(&["stop", "node-3"]);
    terminal.await_text("sudo password of ops on node-");
    terminal.line(PASSWORD);
    terminal.ends(0);
}

#[test]
fn a_wrong_password_installs_nothing_and_says_where() {
    let (lab, inventory) = with_passwords(1, true);
    let terminal = lab.terminal(&["ssh-setup", &inventory]);
    let screen = terminal.await_text("password of root");
    // What was said before the question stands above it, whole.
    let lines: Vec<&str> = screen.lines().filter(|line| !line.trim().is_empty()).collect();
    assert!(lines[0].starts_with("note: ") && lines[0].ends_with("no failure is survived"), "{screen}");
    assert!(
        lines[1].starts_with("password of root on node-1") && lines[1].trim_end().ends_with(':'),
        "{screen}"
    );
    for tries in 1..=TRIES_MAX {
        terminal.line("not it");
        let asked_again = |screen: &str| {
            let open = screen.trim_end().lines().last().is_some_and(|line| line.trim_end().ends_with("):"));
            open && screen.matches("[hidden]").count() == tries
        };
        let screen = terminal.await_screen("another question, or the end", |screen| {
            screen.contains("exit status") || asked_again(screen)
        });
        if screen.contains("exit status") {
            break;
        }
    }
    let screen = terminal.ends(7);
    assert!(screen.contains("FAILED") && screen.contains("node-1"), "{screen}");
    assert!(!authorized(&lab, 1).contains("ssh-ed25519 "), "a key was installed");

    // Without a terminal nobody can be asked; that is said, and nothing hangs.
    lab.zkops(&["ssh-setup", &inventory]).expect(7).says("node-1");
}

/// For longer than any host is waited for.
fn somebody_looks_the_password_up() {
    std::thread::sleep(HOST_PATIENCE + Duration::from_secs(2));
}

/// More tries than any server allows for one login, and than the tool should make.
const TRIES_MAX: usize = 10;
