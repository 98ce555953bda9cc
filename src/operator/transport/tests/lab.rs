//! What the tests with a real server share: an operator's home, keys, and OpenSSH servers on
//! 127.0.0.1, each with its own host key, ended with the test. Needs root and Debian's
//! openssh-server and openssh-client; says so when they are missing.

use std::fs::{self, File};
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

use crate::operator::transport::dialer::{Dialer, Settings};
use crate::operator::transport::error::Error;
use crate::operator::transport::question::{Prompt, Question, Secret};
use crate::operator::transport::target::{SshTarget, Target};

/// Generous: the machine may be busy. Tests that wait for it have failed.
pub(super) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// What a refused login had tried, as text.
pub(super) fn tried(error: &Error) -> String {
    match error {
        Error::AuthFailed { tried, .. } => {
            tried.iter().map(|t| format!("{}: {}", t.method, t.outcome)).collect::<Vec<_>>().join("; ")
        }
        other => panic!("not AuthFailed: {other}"),
    }
}

/// Waits for a condition that another process brings about.
pub(super) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "still not so after 30 s: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// An operator's home and everything else that a test leaves behind, removed with it.
pub(super) struct Lab {
    dir: TempDir,
}

impl Lab {
    /// With a key `key` that servers accept.
    pub(super) fn new() -> Lab {
        let lab = Lab { dir: tempfile::tempdir().unwrap() };
        fs::create_dir_all(lab.path("home/.ssh")).unwrap();
        lab.make_key("key", "");
        fs::copy(lab.path("key.pub"), lab.path("authorized_keys")).unwrap();
        lab
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub(super) fn make_key(&self, name: &str, passphrase: &str) -> PathBuf {
        self.make_key_of("ed25519", name, passphrase)
    }

    pub(super) fn make_key_of(&self, kind: &str, name: &str, passphrase: &str) -> PathBuf {
        // One round of bcrypt: an unoptimised build takes seconds for the usual sixteen.
        let rounds = if passphrase.is_empty() { vec![] } else { vec!["-a", "1"] };
        let file = self.text(name);
        let arguments = [vec!["-q", "-t", kind, "-N", passphrase, "-C", name, "-f", &file], rounds].concat();
        run("ssh-keygen", &arguments);
        self.path(name)
    }

    pub(super) fn authorize(&self, name: &str) {
        let mut keys = fs::read_to_string(self.path("authorized_keys")).unwrap();
        keys.push_str(&fs::read_to_string(self.path(&format!("{name}.pub"))).unwrap());
        fs::write(self.path("authorized_keys"), keys).unwrap();
    }

    pub(super) fn script(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    }

    /// A folder with only these programs, to be a host's PATH.
    pub(super) fn tools(&self, names: &[&str]) -> String {
        let bin = self.path("bin");
        fs::create_dir_all(&bin).unwrap();
        for name in names {
            std::os::unix::fs::symlink(which::which(name).unwrap(), bin.join(name)).unwrap();
        }
        bin.display().to_string()
    }

    pub(super) fn settings(&self) -> Settings {
        Settings {
            home: self.path("home"),
            ssh_config: self.path("home/.ssh/config"),
            global_known_hosts: self.path("global_known_hosts"),
            agent: None,
            local_user: "root".into(),
            prompt: Arc::new(NoPrompt),
            keepalive: Duration::from_secs(15),
        }
    }

    pub(super) fn dialer(&self) -> Dialer {
        Dialer::new(self.settings()).unwrap()
    }

    pub(super) fn dialer_asking(&self, prompt: &Arc<Answers>) -> Dialer {
        Dialer::new(Settings { prompt: prompt.clone(), ..self.settings() }).unwrap()
    }

    /// A server whose host key is in the operator's known_hosts.
    pub(super) fn sshd(&self, name: &str) -> Sshd {
        let sshd = self.stranger(name, "");
        self.know(&sshd.known_line());
        sshd
    }

    pub(super) fn sshd_with(&self, name: &str, options: &str) -> Sshd {
        let sshd = self.stranger(name, options);
        self.know(&sshd.known_line());
        sshd
    }

    /// A server that nobody knows yet.
    pub(super) fn stranger(&self, name: &str, options: &str) -> Sshd {
        Sshd::start(self, name, options, "")
    }

    /// A server in a mount namespace of its own, after `mounts` were made there.
    pub(super) fn sshd_after(&self, name: &str, options: &str, mounts: &str) -> Sshd {
        let sshd = Sshd::start(self, name, options, mounts);
        self.know(&sshd.known_line());
        sshd
    }

    pub(super) fn know(&self, line: &str) {
        let path = self.path("home/.ssh/known_hosts");
        let known = fs::read_to_string(&path).unwrap_or_default();
        fs::write(&path, format!("{known}{line}\n")).unwrap();
    }

    pub(super) fn forget_all(&self) {
        fs::write(self.path("home/.ssh/known_hosts"), "").unwrap();
    }

    pub(super) fn ssh(&self, sshd: &Sshd) -> SshTarget {
        SshTarget {
            port: Some(sshd.port),
            user: Some("root".into()),
            keys: vec![self.path("key")],
            ..SshTarget::new(&sshd.name, "127.0.0.1")
        }
    }

    pub(super) fn target(&self, sshd: &Sshd) -> Target {
        Target::Ssh(Box::new(self.ssh(sshd)))
    }
}

/// An OpenSSH server, killed when dropped.
pub(super) struct Sshd {
    pub(super) name: String,
    pub(super) port: u16,
    host_key: PathBuf,
    child: Child,
}

impl Sshd {
    fn start(lab: &Lab, name: &str, options: &str, mounts: &str) -> Sshd {
        let program = Path::new("/usr/sbin/sshd");
        assert!(
            program.exists(),
            "no /usr/sbin/sshd; these tests need root and `apt-get install openssh-server`"
        );
        // Where sshd drops its privileges; its init script makes it, and no init runs here.
        fs::create_dir_all("/run/sshd").expect("these tests need root, to run sshd");
        let host_key = lab.make_key(&format!("{name}_host"), "");
        // The first setting counts, so options come before what they override.
        let config = format!(
            "{options}\nListenAddress 127.0.0.1\nHostKey {}\nPidFile none\nUsePAM no\nStrictModes no\n\
             PermitRootLogin yes\nAuthorizedKeysFile {}\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nLogLevel VERBOSE\n",
            host_key.display(),
            lab.text("authorized_keys")
        );
        let config_file = lab.path(&format!("{name}.conf"));
        fs::write(&config_file, config).unwrap();
        let log = lab.path(&format!("{name}.log"));
        // A port that was free a moment ago may be taken by another test: then try another one.
        for _ in 0..20 {
            let port = free_port();
            let exec = format!("exec {} -D -e -f {} -p {port}", program.display(), config_file.display());
            let (shell, mut words) = match mounts {
                "" => ("sh", vec!["-c".to_string()]),
                _ => ("unshare", vec!["-m".into(), "sh".into(), "-ec".into()]),
            };
            words.push(format!("{mounts}\n{exec}"));
            let mut child = Command::new(shell)
                .args(words)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(File::create(&log).unwrap())
                .spawn()
                .unwrap();
            if answers(&mut child, port) {
                return Sshd { name: name.to_string(), port, host_key, child };
            }
        }
        panic!("sshd does not start: {}", fs::read_to_string(&log).unwrap_or_default());
    }

    /// As known_hosts has it.
    pub(super) fn known_line(&self) -> String {
        format!("[127.0.0.1]:{} {}", self.port, self.public())
    }

    /// Type and key.
    pub(super) fn public(&self) -> String {
        let text = fs::read_to_string(self.host_key.with_extension("pub")).unwrap();
        text.split(' ').take(2).collect::<Vec<_>>().join(" ")
    }

    pub(super) fn fingerprint(&self) -> String {
        let shown = run("ssh-keygen", &["-l", "-f", self.host_key.to_str().unwrap()]);
        shown.split(' ').nth(1).unwrap().to_string()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits for the banner, or for the child's end.
fn answers(child: &mut Child, port: u16) -> bool {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while std::time::Instant::now() < deadline {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        if let Ok(mut socket) = TcpStream::connect(("127.0.0.1", port)) {
            let mut banner = [0u8; 4];
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            return socket.read_exact(&mut banner).is_ok() && &banner == b"SSH-" && {
                // Not another test's server on the same port: ours must still be running.
                child.try_wait().unwrap().is_none()
            };
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    let _ = child.wait();
    false
}

/// An ssh-agent with one key, killed when dropped.
pub(super) struct Agent {
    pub(super) socket: PathBuf,
    child: Child,
}

impl Agent {
    pub(super) fn with_keys(lab: &Lab, names: &[&str]) -> Agent {
        let socket = lab.path("agent.sock");
        let child = Command::new("ssh-agent")
            .args(["-D", "-a", socket.to_str().unwrap()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("no ssh-agent; these tests need `apt-get install openssh-client`");
        let agent = Agent { socket, child };
        eventually("the agent listens", || agent.socket.exists());
        for name in names {
            let added = Command::new("ssh-add")
                .args(["-q", &lab.text(name)])
                .env("SSH_AUTH_SOCK", &agent.socket)
                .status()
                .unwrap();
            assert!(added.success());
        }
        agent
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Answers questions with one secret, and remembers what it was asked.
#[derive(Default)]
pub(super) struct Answers {
    pub(super) secret: Option<&'static str>,
    pub(super) asked: Mutex<Vec<Question>>,
}

impl Answers {
    pub(super) fn with(secret: &'static str) -> Arc<Answers> {
        Arc::new(Answers { secret: Some(secret), asked: Mutex::default() })
    }

    pub(super) fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl Prompt for Answers {
    fn ask(&self, question: &Question) -> Option<Secret> {
        self.asked.lock().unwrap().push(question.clone());
        self.secret.map(|secret| Secret::new(secret.to_string()))
    }
}

/// Runs a program that must succeed; its output.
pub(super) fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("{program}: {e}; these tests need `apt-get install openssh-client`"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A program that runs everywhere here, made `noise` bytes longer with what does not compress.
pub(super) fn program(lab: &Lab, name: &str, noise: usize) -> PathBuf {
    let mut bytes = fs::read("/bin/true").unwrap();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..noise / 8 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    let path = lab.path(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// Nobody to ask: every encrypted key counts as locked.
#[derive(Debug)]
struct NoPrompt;

impl Prompt for NoPrompt {
    fn ask(&self, _question: &Question) -> Option<Secret> {
        None
    }
}
