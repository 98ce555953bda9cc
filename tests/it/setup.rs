//! `zkops ssh-setup` on hosts that nobody has been to and that know a password only: each one's key is shown and asked
//! for, the password once, in a terminal; afterwards the key is enough.

use crate::lab::Lab;

const PASSWORD: &str = "open sesame 7";
const SSHD: &str = "/etc/ssh/sshd_config.d/00-test.conf";

/// No key opens the hosts, a password does.
fn with_passwords(hosts: usize, known: bool) -> (Lab, String) {
    let lab = Lab::up(hosts);
    for node in 1..=hosts {
        lab.on(
            node,
            &format!(
                "set -e; rm -r /root/.ssh; echo 'root:{PASSWORD}' | chpasswd; \
                 printf 'PasswordAuthentication yes\\nPermitRootLogin yes\\n' >{SSHD}; systemctl reload ssh"
            ),
        )
        .ok();
    }
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
        assert!(screen.contains("yes/no/fingerprint"), "{screen}");
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
        lab.on(node, &format!("rm {SSHD}; systemctl reload ssh")).ok();
    }
    lab.zkops(&["deploy", &inventory]).ok();
    lab.zkops(&["status"]).ok();
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

/// More tries than any server allows for one login, and than the tool should make.
const TRIES_MAX: usize = 10;
