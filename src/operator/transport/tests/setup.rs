//! Getting in and getting rights on real servers: keys installed with a password, and sudo.

use std::fs;

use super::lab::{Answers, Lab, Sshd, soon, tried};
use crate::operator::transport::error::Error;
use crate::operator::transport::key_setup::KeyInstalled;
use crate::operator::transport::status::Status;
use crate::operator::transport::target::{Escalation, SshTarget, Target};

fn ssh(target: SshTarget) -> Target {
    Target::Ssh(Box::new(target))
}

/// A sudo that wants a password, or one that does not.
fn sudo(lab: &Lab, refuses: bool) -> Escalation {
    let body = if refuses {
        "echo 'sudo: a password is required' >&2; exit 1"
    } else {
        "echo 'sudo: unable to resolve host x' >&2; [ \"$1 $2\" = '-n --' ] || exit 9; shift 2; BECAME=root exec \"$@\""
    };
    Escalation::Sudo { path: lab.script("sudo", &format!("#!/bin/sh\n{body}\n")) }
}

#[tokio::test]
async fn sudo_wraps_commands_and_says_when_it_wants_a_password() {
    let lab = Lab::new();
    let sshd = lab.sshd("node-1");
    let target = ssh(SshTarget { escalation: sudo(&lab, false), ..lab.ssh(&sshd) });
    let connection = lab.dialer().open(&target, soon()).await.unwrap();
    let output = connection.exec("echo \"$BECAME\"; exit 1", "", soon()).await.unwrap();
    assert_eq!((output.stdout_text().as_str(), output.status), ("root\n", Status::Code(1)));

    let target = ssh(SshTarget { escalation: sudo(&lab, true), ..lab.ssh(&sshd) });
    let error = lab.dialer().open(&target, soon()).await.err().unwrap();
    assert!(matches!(&error, Error::Sudo { user, .. } if user == "root"), "{error}");
    assert!(error.to_string().contains("NOPASSWD"), "{error}");
    // The rule went away in the middle of a run.
    let error = connection.exec("true", "", soon()).await.err().unwrap();
    assert!(matches!(error, Error::Sudo { .. }), "{error}");
}

fn password_server(lab: &Lab, name: &str, options: &str) -> Sshd {
    fs::create_dir_all(lab.path("root")).unwrap();
    fs::write(lab.path("shadow"), SESAME).unwrap();
    let options = format!("AuthorizedKeysFile .ssh/authorized_keys\n{options}");
    lab.sshd_after(name, &options, &OWN_ROOT.replace("LAB", lab.path("").to_str().unwrap()))
}

#[tokio::test]
async fn ssh_setup_installs_a_key_with_a_password_given_once() {
    let lab = Lab::new();
    let one = password_server(&lab, "node-1", "PasswordAuthentication yes");
    let two = password_server(&lab, "node-2", "UsePAM yes\nKbdInteractiveAuthentication yes");
    // Somebody's file with an unfinished last line.
    fs::create_dir_all(lab.path("root/.ssh")).unwrap();
    fs::write(lab.path("root/.ssh/authorized_keys"), "ssh-rsa AAAA old").unwrap();
    let answers = Answers::with("sesame");
    let dialer = lab.dialer_asking(&answers);
    let key = dialer.local_key(None).unwrap();
    assert!(key.generated && key.path == lab.path("home/.ssh/id_ed25519"));
    let again = dialer.local_key(None).unwrap();
    assert!(!again.generated && again.public == key.public);

    assert_eq!(dialer.install_key(&lab.ssh(&one), &key, soon()).await.unwrap(), KeyInstalled::Added);
    let installed = fs::read_to_string(lab.path("root/.ssh/authorized_keys")).unwrap();
    assert_eq!(installed, format!("ssh-rsa AAAA old\n{}\n", key.public));
    assert_eq!(dialer.install_key(&lab.ssh(&one), &key, soon()).await.unwrap(), KeyInstalled::Already);
    assert_eq!(answers.count(), 1);

    // The second host shares the first one's /root here: forget the key to be asked again. The
    // password is the one that worked before, by another method.
    fs::remove_file(lab.path("root/.ssh/authorized_keys")).unwrap();
    assert_eq!(dialer.install_key(&lab.ssh(&two), &key, soon()).await.unwrap(), KeyInstalled::Added);
    assert_eq!(answers.count(), 1);
}

#[tokio::test]
async fn ssh_setup_with_a_wrong_password_or_without_passwords_fails_clearly() {
    let lab = Lab::new();
    let one = password_server(&lab, "node-1", "PasswordAuthentication yes");
    let wrong = Answers::with("wrong");
    let dialer = lab.dialer_asking(&wrong);
    let key = dialer.local_key(Some(&lab.path("new/key"))).unwrap();
    let error = dialer.install_key(&lab.ssh(&one), &key, soon()).await.unwrap_err();
    assert_eq!(tried(&error), "password: refused; password: refused; password: refused");
    let two = password_server(&lab, "node-2", "");
    let error = dialer.install_key(&lab.ssh(&two), &key, soon()).await.unwrap_err();
    assert!(tried(&error).contains("PasswordAuthentication no"), "{error}");
    assert!(!lab.path("root/.ssh/authorized_keys").exists());
}

/// A server with its own /root and a root password of `sesame`, and no key that lets anybody in.
const OWN_ROOT: &str = "mount --bind LAB/root /root; mount --bind LAB/shadow /etc/shadow";
const SESAME: &str = "root:$6$zkopstest$YJI9obNGzfZRevwD9dShtVOM30tAx1DvcBq92/g5KnJJiDTv91w6CoKX8pzy5j7x8T7.wH0tFxejbdN54KJ3A.:19000:0:99999:7:::\n";
