//! What can go wrong between the operator and a host, typed so that callers can branch.
//! Every message says what, where, why and what to do now. Nothing here retries or prints.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::status::Status;

/// A failure to reach a host or to do something on it. Cloneable: hosts behind one jump
/// host share the failure of its connection.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// No connection: refused, no route, name unknown, or the server hung up before login.
    #[error(
        "{host}: cannot reach {address}: {why}. Check that the machine is up, that the address and port are right and that sshd listens there"
    )]
    Unreachable { host: String, address: String, why: String },

    /// The deadline of the wait passed.
    #[error(
        "{host}: no answer {} while {doing}. The machine may be down, overloaded or behind a firewall that drops packets; check it, then run again",
        Within(*.after)
    )]
    Timeout { host: String, doing: String, after: Duration },

    /// The host key is in no known_hosts file and the policy is not to learn it.
    #[error("{host}: unknown {algorithm} host key {fingerprint}. Nothing was sent. Compare it with `ssh-keygen -lf` on the host's console, then accept it: run this again on a terminal or with --accept-new-host-keys, or `{ssh}` once (it will be written to {})", .file.display())]
    HostKeyUnknown { host: String, algorithm: String, fingerprint: String, file: PathBuf, ssh: String },

    /// Another key is recorded for this host: a reinstalled machine, or somebody in the middle.
    #[error("{host}: HOST KEY CHANGED: the host shows {algorithm} {fingerprint}, but another key is recorded in {}:{line}. Nothing was sent. If the machine was reinstalled, verify the key on its console and remove that line; otherwise someone may be intercepting the connection", .file.display())]
    HostKeyChanged { host: String, algorithm: String, fingerprint: String, file: PathBuf, line: usize },

    /// The host shows a key that a known_hosts file marks `@revoked`.
    #[error("{host}: the host shows {algorithm} {fingerprint}, which {}:{line} marks as @revoked. Nothing was sent. Give the host a new host key, or find out who answers at that address", .file.display())]
    HostKeyRevoked { host: String, algorithm: String, fingerprint: String, file: PathBuf, line: usize },

    /// A known_hosts file exists but cannot be read or written; an unreadable one must not count as empty.
    #[error("{host}: cannot use {}: {why}. Host keys cannot be verified without it; fix the file, then run again", .file.display())]
    KnownHosts { host: String, file: PathBuf, why: String },

    /// Every way to log in was refused.
    #[error("{host}: login as {user} refused; tried {}. Put a key on the host with `zkops ssh-setup`, or name the right one with `ssh: {{ key: … }}`", Tries(.tried))]
    AuthFailed { host: String, user: String, tried: Vec<Tried> },

    /// Privileges could not be gained on the host.
    #[error(
        "{host}: sudo does not work: {why}. Run this on a terminal and give the password of {user} when asked, give {user} a NOPASSWD rule (visudo), or log in as root"
    )]
    Sudo { host: String, user: String, why: String },
    /// There is no such program on the host.
    #[error(
        "{host}: there is no sudo at {path}: {why}. Install it there as root, or name where it is: `ssh: {{ sudo: … }}`"
    )]
    SudoMissing { host: String, path: String, why: String },
    /// Its rules do not let this user become root, whatever password is given.
    #[error(
        "{host}: sudo does not let {user} become root there: {why}. As root there: visudo -f /etc/sudoers.d/zkops, with the line `{user} ALL=(ALL) ALL`"
    )]
    SudoNotAllowed { host: String, user: String, why: String },
    /// sudo runs on terminals alone there.
    #[error(
        "{host}: sudo wants a terminal there: {why}. Put `Defaults:{user} !requiretty` into its sudoers (visudo), or log in as root"
    )]
    SudoTty { host: String, user: String, why: String },

    /// The login is good, and no command runs behind it: a shell like nologin.
    #[error(
        "{host}: the login shell of {user} runs no commands there{}. As root there: usermod -s /bin/sh {user}; or log in as somebody else (`ssh: {{ user: … }}`)", Said(.said)
    )]
    NoShell { host: String, user: String, said: String },

    /// The connection, or one channel of it, went away in the middle of something.
    #[error(
        "{host}: connection lost while {doing}: {why}. Run again; every step checks what is already done"
    )]
    Lost { host: String, doing: String, why: String },

    /// The server refused to open a channel or to run the command at all.
    #[error(
        "{host}: the server refused {what}: {why}. Check ForceCommand, MaxSessions and AllowTcpForwarding in its sshd_config"
    )]
    Refused { host: String, what: String, why: String },

    /// A command ran and failed, where success was needed.
    #[error("{host}: `{command}` ended with {status}{}", Evidence(.stderr))]
    Command { host: String, command: String, status: Status, stderr: String },

    /// The binary could not be put in place; nothing half-done was left behind.
    #[error("{host}: cannot install {path}: {fault}{}", Evidence(.evidence))]
    Install { host: String, path: String, fault: Fault, evidence: String },

    /// A setting cannot be used: ssh config, key path, quoting, local binary.
    #[error("{host}: {what}: {why}")]
    Setting { host: String, what: String, why: String },

    /// Something on the operator's own machine failed (a child process, a file).
    #[error("{host}: {doing}: {why}")]
    Local { host: String, doing: String, why: String },
}

impl Error {
    pub(super) fn setting(host: &str, what: impl Into<String>, why: impl fmt::Display) -> Error {
        Error::Setting { host: host.into(), what: what.into(), why: why.to_string() }
    }

    pub(super) fn local(host: &str, doing: impl Into<String>, why: impl fmt::Display) -> Error {
        Error::Local { host: host.into(), doing: doing.into(), why: why.to_string() }
    }
}

/// One attempt to log in and what became of it, for the message of [`Error::AuthFailed`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// `agent key SHA256:…`, `~/.ssh/id_ed25519`, `password`.
    pub method: String,
    /// `refused`, `encrypted and no passphrase given`, `not found` …
    pub outcome: String,
}

/// Why an upload or an installation failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// No space, no inodes or no quota left.
    DiskFull,
    /// The file system is mounted read-only.
    ReadOnly,
    /// The login user may not write there.
    NotWritable,
    /// The path, or a directory on the way to it, is something else.
    WrongKind,
    /// The file system forbids execution.
    NoExec { mount: String },
    /// The machine cannot run this binary at all.
    WrongArchitecture { theirs: Box<str>, ours: Box<str> },
    /// The binary was written correctly but does not run.
    DoesNotRun { status: Status },
    /// What arrived is not what was sent.
    Damaged { expected: Box<str>, found: Box<str> },
    /// The host lacks every program that could do a needed job.
    MissingTool { tools: &'static str },
    /// Anything else; the evidence is what the tool on the host said.
    Other { stage: String },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::DiskFull => f.write_str("the disk is full; free some space there (df -h), then run again"),
            Fault::ReadOnly => {
                f.write_str("the file system is read-only; remount it (check dmesg for disk errors) or choose another install_dir")
            }
            Fault::NotWritable => f.write_str(
                "the login user may not write there; choose another install_dir, fix its owner, or use sudo",
            ),
            Fault::WrongKind => f.write_str(
                "a part of that path exists and is not what it should be; move it away or choose another install_dir",
            ),
            Fault::NoExec { mount } => {
                write!(
                    f,
                    "programs may not be run there ({mount}); choose an install_dir on a file system without noexec"
                )
            }
            Fault::WrongArchitecture { theirs, ours } => {
                write!(f, "the host is {theirs}, this binary is for {ours}; use a zkops built for {theirs}")
            }
            Fault::DoesNotRun { status } => {
                write!(
                    f,
                    "the binary arrived intact but does not run there ({status}); check SELinux/AppArmor denials and the kernel's age"
                )
            }
            Fault::Damaged { expected, found } => {
                write!(
                    f,
                    "what arrived is damaged (SHA-256 {found}, expected {expected}); nothing was changed, run again"
                )
            }
            Fault::MissingTool { tools } => write!(f, "the host has none of {tools}; install one of them"),
            Fault::Other { stage } => write!(f, "`{stage}` failed on the host"),
        }
    }
}

/// Evidence from the host, indented under the message, if there is any.
struct Evidence<'a>(&'a str);

impl fmt::Display for Evidence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.0.lines().filter(|line| !line.trim().is_empty()) {
            write!(f, "\n    {}", printable(line))?;
        }
        Ok(())
    }
}

/// A line of the host's, if it said one.
struct Said<'a>(&'a str);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => Ok(()),
            said => write!(f, ": {said:?}"),
        }
    }
}

/// What a host says is shown on the operator's terminal: no control characters.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '?' } else { c }).collect()
}

/// What was left of a bound that was used up before says nothing.
struct Within(Duration);

impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 < WORTH_A_WORD {
            true => f.write_str("in time"),
            false => write!(f, "within {:.1?}", self.0),
        }
    }
}

struct Tries<'a>(&'a [Tried]);

impl fmt::Display for Tries<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing, because no key was found");
        }
        for (i, tried) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{} ({})", tried.method, tried.outcome)?;
        }
        Ok(())
    }
}

/// Tests have deadlines of some ten milliseconds, people none.
const WORTH_A_WORD: Duration = Duration::from_millis(1);
