//! Keys of real OpenSSH servers: unknown ones shown, asked for and recorded, changed ones refused; also of jump hosts and
//! over IPv6.

use std::fs;

use super::lab::{Answers, Lab, Sshd, run, soon};
use crate::operator::transport::error::Error;
use crate::operator::transport::question::Question;
use crate::operator::transport::target::{HostKeyPolicy, SshTarget, Target};

fn ssh(target: SshTarget) -> Target {
    Target::Ssh(Box::new(target))
}

#[tokio::test]
async fn an_unknown_host_key_is_shown_and_refused_before_any_login() {
    let lab = Lab::new();
    let sshd = lab.stranger("node-1", "");
    let error = lab.dialer().open(&lab.target(&sshd), soon()).await.err().unwrap();
    let Error::HostKeyUnknown { fingerprint, algorithm, file, .. } = &error else { panic!("{error}") };
    assert_eq!((fingerprint, algorithm.as_str()), (&sshd.fingerprint(), "ssh-ed25519"));
    assert_eq!(*file, lab.path("home/.ssh/known_hosts"));
    let log = fs::read_to_string(lab.path("node-1.log")).unwrap();
    assert!(!log.contains("publickey"), "{log}");
}

#[tokio::test]
async fn an_unknown_host_key_is_asked_for_once_and_recorded_after_a_yes() {
    let lab = Lab::new();
    let sshd = lab.stranger("node-1", "");
    let asking = |sshd: &Sshd| ssh(SshTarget { host_key_policy: HostKeyPolicy::Ask, ..lab.ssh(sshd) });
    let target = asking(&sshd);
    let no = Answers::with("no");
    let error = lab.dialer_asking(&no).open(&target, soon()).await.err().unwrap();
    assert!(matches!(error, Error::HostKeyUnknown { .. }), "{error}");
    assert!(!lab.path("home/.ssh/known_hosts").exists());
    // Two members on one host, reached side by side: one question.
    let yes = Answers::with("yes");
    let dialer = lab.dialer_asking(&yes);
    let (one, two) = tokio::join!(dialer.open(&target, soon()), dialer.open(&target, soon()));
    one.unwrap();
    two.unwrap();
    let asked = yes.asked.lock().unwrap().clone();
    let [Question::HostKey { fingerprint, algorithm, .. }] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!((fingerprint, algorithm.as_str()), (&sshd.fingerprint(), "ssh-ed25519"));
    let learnt = fs::read_to_string(lab.path("home/.ssh/known_hosts")).unwrap();
    assert_eq!(learnt, format!("{}\n", sshd.known_line()));
    lab.dialer().open(&target, soon()).await.unwrap();
    // StrictHostKeyChecking yes: nobody is asked; the fingerprint is as good as a yes elsewhere.
    let other = lab.stranger("node-2", "");
    let strict = lab.path("home/.ssh/config");
    fs::write(&strict, "StrictHostKeyChecking yes\n").unwrap();
    assert!(lab.dialer_asking(&yes).open(&asking(&other), soon()).await.is_err());
    assert_eq!(yes.count(), 1);
    fs::remove_file(strict).unwrap();
    let exact = Answers::with(String::leak(other.fingerprint()));
    lab.dialer_asking(&exact).open(&asking(&other), soon()).await.unwrap();
}

#[tokio::test]
async fn accept_new_learns_the_key_once() {
    let lab = Lab::new();
    let sshd = lab.stranger("node-1", "");
    let accepting = SshTarget {
        host_key_policy: HostKeyPolicy::AcceptNew,
        known_hosts: Some(lab.path("inventory/known_hosts")),
        ..lab.ssh(&sshd)
    };
    lab.dialer().open(&ssh(accepting.clone()), soon()).await.unwrap();
    lab.dialer().open(&ssh(accepting.clone()), soon()).await.unwrap();
    let learnt = fs::read_to_string(lab.path("inventory/known_hosts")).unwrap();
    assert_eq!(learnt, format!("{}\n", sshd.known_line()));
    let strict = SshTarget { host_key_policy: HostKeyPolicy::Strict, ..accepting };
    lab.dialer().open(&ssh(strict), soon()).await.unwrap();
}

#[tokio::test]
async fn changed_and_revoked_host_keys_always_stop() {
    let lab = Lab::new();
    let (sshd, other) = (lab.stranger("node-1", ""), lab.stranger("node-2", ""));
    let accepting = ssh(SshTarget { host_key_policy: HostKeyPolicy::AcceptNew, ..lab.ssh(&sshd) });
    let name = format!("[127.0.0.1]:{}", sshd.port);

    lab.know(&format!("# old\n{name} {}", other.public()));
    let error = lab.dialer().open(&accepting, soon()).await.err().unwrap();
    assert!(matches!(&error, Error::HostKeyChanged { line: 2, .. }), "{error}");
    assert!(error.to_string().contains("HOST KEY CHANGED"), "{error}");

    lab.forget_all();
    lab.know(&format!("{name} {}\n@revoked * {}", sshd.public(), sshd.public()));
    let error = lab.dialer().open(&accepting, soon()).await.err().unwrap();
    assert!(matches!(&error, Error::HostKeyRevoked { line: 2, .. }), "{error}");

    // A wrong key of a type that the server does not even offer.
    lab.forget_all();
    lab.make_key_of("ecdsa", "ecdsa", "");
    lab.know(&format!("{name} {}", fs::read_to_string(lab.path("ecdsa.pub")).unwrap()));
    let error = lab.dialer().open(&accepting, soon()).await.err().unwrap();
    assert!(matches!(&error, Error::HostKeyChanged { .. }), "{error}");
}

#[tokio::test]
async fn the_server_is_asked_for_the_key_type_that_is_known() {
    let lab = Lab::new();
    let ecdsa = lab.make_key_of("ecdsa", "ecdsa_host", "");
    let sshd = lab.stranger("node-1", &format!("HostKey {}", ecdsa.display()));
    let public = fs::read_to_string(lab.path("ecdsa_host.pub")).unwrap();
    lab.know(&format!("[127.0.0.1]:{} {public}", sshd.port));
    lab.dialer().open(&lab.target(&sshd), soon()).await.unwrap();
}

#[tokio::test]
async fn names_hashed_by_ssh_keygen_are_known() {
    let lab = Lab::new();
    let sshd = lab.sshd("node-1");
    run("ssh-keygen", &["-q", "-H", "-f", &lab.text("home/.ssh/known_hosts")]);
    let known = fs::read_to_string(lab.path("home/.ssh/known_hosts")).unwrap();
    assert!(known.starts_with("|1|"), "{known}");
    lab.dialer().open(&lab.target(&sshd), soon()).await.unwrap();
}

#[tokio::test]
async fn a_jump_host_is_asked_for_too_and_ipv6_is_as_good() {
    let lab = Lab::new();
    let gate = lab.stranger("gate", "ListenAddress ::1");
    let inside = lab.stranger("node-1", "ListenAddress ::1");
    let over_six =
        |sshd: &Sshd| SshTarget { host: "::1".into(), host_key_policy: HostKeyPolicy::Ask, ..lab.ssh(sshd) };
    let target = SshTarget { jump: Some(Box::new(over_six(&gate))), ..over_six(&inside) };
    let yes = Answers::with("yes");
    let connection = lab.dialer_asking(&yes).open(&ssh(target.clone()), soon()).await.unwrap();
    assert_eq!(connection.label(), format!("node-1 (root@[::1]:{})", inside.port));
    let asked = yes.asked.lock().unwrap().clone();
    let hosts: Vec<&str> = asked
        .iter()
        .map(|question| match question {
            Question::HostKey { host, .. } => host.split(' ').next().unwrap(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(hosts, ["gate", "node-1"], "the way in comes first");
    let learnt = fs::read_to_string(lab.path("home/.ssh/known_hosts")).unwrap();
    let line = |sshd: &Sshd| format!("[::1]:{} {}\n", sshd.port, sshd.public());
    assert_eq!(learnt, line(&gate) + &line(&inside));
    lab.dialer().open(&ssh(target), soon()).await.unwrap();
}
