//! Getting in and getting rights on real servers: keys installed with a password, and sudo.

use std::fs;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::lab::{Answers, Lab, Sshd, soon, tried};
use crate::operator::transport::error::Error;
use crate::operator::transport::key_setup::KeyInstalled;
use crate::operator::transport::question::Question;
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

#[tokio::test]
async fn a_sudo_password_is_asked_for_once_and_goes_by_stdin() {
    let lab = Lab::new();
    let (one, two, three) = (lab.sshd("node-1"), lab.sshd("node-2"), lab.sshd("node-3"));
    let target = |sshd: &Sshd, word: &str| {
        let path = lab.script(&format!("sudo-{word}"), &ASKING.replace("WORD", word));
        ssh(SshTarget { escalation: Escalation::Sudo { path }, ..lab.ssh(sshd) })
    };
    let answers = Answers::with("sesame");
    let dialer = lab.dialer_asking(&answers);
    let (first, second) = (target(&one, "sesame"), target(&two, "sesame"));
    let (first, second) = tokio::join!(dialer.open(&first, soon()), dialer.open(&second, soon()));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(answers.count(), 1, "one password for all hosts");
    for connection in [&first, &second] {
        let output = connection.exec("echo \"$BECAME\"; cat", "of its own", soon()).await.unwrap();
        assert_eq!(output.stdout_text(), "root\nof its own");
        let shown = connection.exec("cat /proc/*/cmdline | tr '\\0' ' '", "", soon()).await.unwrap();
        assert!(!shown.stdout_text().contains("sesame"), "it is in somebody's arguments");
    }
    let mut stream = first.stream("echo $BECAME; cat", soon()).await.unwrap();
    stream.write_all(b"streamed").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "root\nstreamed");
    // Where another one is wanted it is asked for by name; three times, then it is over.
    let error = dialer.open(&target(&three, "other"), soon()).await.err().unwrap();
    assert!(matches!(&error, Error::Sudo { .. }), "{error}");
    let asked = answers.asked.lock().unwrap().clone();
    let named = |host: &Question| matches!(host, Question::Sudo { host, .. } if host.starts_with("node-3 "));
    assert_eq!(asked.iter().filter(|question| named(question)).count(), 3, "{asked:?}");
    // A sudo that wants a terminal is no matter of passwords.
    let path = lab
        .script("sudo-tty", "#!/bin/sh\necho 'sudo: sorry, you must have a tty to run sudo' >&2; exit 1\n");
    let tty = ssh(SshTarget { escalation: Escalation::Sudo { path }, ..lab.ssh(&three) });
    let error = dialer.open(&tty, soon()).await.err().unwrap();
    assert!(matches!(&error, Error::SudoTty { .. }) && error.to_string().contains("requiretty"), "{error}");
}

/// Each says what is wrong, where, and the one thing to do; no password is asked for in vain.
#[tokio::test]
async fn rights_that_nobody_can_give_by_a_password_are_told_apart() {
    let lab = Lab::new();
    let sshd = lab.sshd("node-1");
    let answers = Answers::with("sesame");
    let refused = async |path: String| {
        let target = ssh(SshTarget { escalation: Escalation::Sudo { path }, ..lab.ssh(&sshd) });
        lab.dialer_asking(&answers).open(&target, soon()).await.err().unwrap().to_string()
    };
    let told = refused("/nowhere/sudo".to_owned()).await;
    assert!(told.starts_with("node-1 ") && told.contains("there is no sudo at /nowhere/sudo"), "{told}");
    assert!(told.contains("Install it there"), "{told}");
    for says in [
        "root is not in the sudoers file.",
        "Sorry, user root may not run sudo on node-1.",
        "Sorry, user root is not allowed to execute '/bin/sh' as root on node-1.",
    ] {
        let path = lab.script("sudo-no", &format!("#!/bin/sh\necho \"{says}\" >&2; exit 1\n"));
        let told = refused(path).await;
        assert!(told.contains("does not let root become root") && told.contains(says), "{told}");
        assert!(told.contains("visudo"), "{told}");
    }
    assert_eq!(answers.count(), 0, "no password helps there");
    // It says so only once it has a password: which is no wrong one.
    let late = "#!/bin/sh\ncase $1 in -n) echo 'sudo: a password is required' >&2; exit 1 ;; esac\necho 'root is not in the sudoers file.' >&2; exit 1\n";
    let told = refused(lab.script("sudo-late", late)).await;
    assert!(told.contains("is not in the sudoers file"), "{told}");
    assert_eq!(answers.count(), 1, "asked again for what no password changes");
}

#[tokio::test]
async fn a_login_shell_that_runs_nothing_is_named() {
    let lab = Lab::new();
    let nologin = "echo This account is currently not available.; exit 1";
    for (shell, said) in [(nologin, ": \"This account is currently not available.\""), ("/bin/false", "")] {
        let sshd = lab.sshd_with(&format!("node-{}", said.len()), &format!("ForceCommand {shell}"));
        let told = format!(
            "the login shell of root runs no commands there{said}. As root there: usermod -s /bin/sh root"
        );
        let connection = lab.dialer().open(&lab.target(&sshd), soon()).await.unwrap();
        let error = connection.no_shell(soon()).await.unwrap();
        assert!(error.to_string().contains(&told), "{error}");
        // Where sudo is to be used nothing gets that far.
        let target = ssh(SshTarget { escalation: sudo(&lab, false), ..lab.ssh(&sshd) });
        let error = lab.dialer().open(&target, soon()).await.err().unwrap();
        assert!(error.to_string().contains(&told), "{error}");
    }
    let well = lab.sshd("node-9");
    let good = lab.dialer().open(&lab.target(&well), soon()).await.unwrap();
    assert!(good.no_shell(soon()).await.is_none());
}

#[tokio::test]
async fn a_jump_host_gets_the_key_too_and_its_password_is_asked_for() {
    let lab = Lab::new();
    let gate = password_server(&lab, "gate", "PasswordAuthentication yes");
    let inside = password_server(&lab, "node-1", "PasswordAuthentication yes");
    let answers = Answers::with("sesame");
    let dialer = lab.dialer_asking(&answers);
    let key = dialer.local_key(Some(&lab.path("new/key"))).unwrap();
    let keys = vec![lab.path("new/key")];
    let jump = SshTarget { keys: keys.clone(), is_jump: true, ..lab.ssh(&gate) };
    let target = SshTarget { keys, jump: Some(Box::new(jump)), ..lab.ssh(&inside) };
    let [jump] = dialer.jumps(&target).unwrap().try_into().unwrap();
    assert_eq!(dialer.install_key(&jump, &key, soon()).await.unwrap(), KeyInstalled::Added);
    assert_eq!(answers.count(), 1);
    // Both have one /root here, so the host has it now as well; and the way in takes the key.
    assert_eq!(dialer.install_key(&target, &key, soon()).await.unwrap(), KeyInstalled::Already);
    lab.dialer().open(&ssh(target.clone()), soon()).await.unwrap();
    // A jump host that takes passwords alone is no end of the way.
    fs::remove_file(lab.path("root/.ssh/authorized_keys")).unwrap();
    let again = lab.dialer_asking(&answers);
    assert_eq!(again.install_key(&target, &key, soon()).await.unwrap(), KeyInstalled::Added);
    assert!(
        answers
            .asked
            .lock()
            .unwrap()
            .iter()
            .any(|asked| matches!(asked, Question::Password { host, .. } if host.starts_with("gate ")))
    );
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
/// As sudo is where it wants a password: it reads one line, and the command the rest.
const ASKING: &str = "#!/bin/sh
case $1 in -n) echo 'sudo: a password is required' >&2; exit 1 ;; esac
[ \"$1 $2 $3 $4 $5\" = '-k -S -p  --' ] || exit 9
shift 5
IFS= read -r given || { echo 'sudo: no password was provided' >&2; exit 1; }
[ \"$given\" = WORD ] || { echo 'Sorry, try again.' >&2; echo 'sudo: no password was provided' >&2; exit 1; }
BECAME=root exec \"$@\"
";
