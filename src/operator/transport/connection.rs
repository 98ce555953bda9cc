//! A reached host: one connection, reused for everything. What is done on it beyond running
//! commands is in `bootstrap` and `clock`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use super::error::{Error, printable};
use super::exec::{ExecOutput, Stdin, Stream, brief, escalated, quote, shell, sudo_refusal};
use super::keyring::{Keyring, PASSPHRASE_ATTEMPTS};
use super::local;
use super::question::Secret;
use super::session::Session;
use super::status::Status;
use super::target::{Escalation, LocalTarget, SshTarget};
use super::tunnel::Tunnel;

/// An open connection to one host. Every method takes `&self`: commands may run side by side.
pub struct Connection {
    /// The member's name with user and address, for messages.
    label: String,
    user: String,
    route: Route,
    escalation: Escalation,
    /// What sudo wants to read first; nothing where it wants nothing.
    sudo: Option<Secret>,
}

enum Route {
    Local,
    Ssh(Arc<Session>),
}

impl Connection {
    pub(super) fn local(target: &LocalTarget) -> Connection {
        Connection {
            label: format!("{} (this machine)", target.name),
            user: "the user who runs zkops".to_string(),
            route: Route::Local,
            escalation: target.escalation.clone(),
            sudo: None,
        }
    }

    pub(super) fn ssh(target: &SshTarget, session: Arc<Session>, user: String) -> Connection {
        Connection {
            label: session.label().to_string(),
            user,
            route: Route::Ssh(session),
            escalation: target.escalation.clone(),
            sudo: None,
        }
    }

    /// `node-1 (root@192.168.17.130:22)`.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The way to TCP ports on the host's side, for a host behind a jump host: there is no other.
    pub fn tunnel(&self) -> Option<Tunnel> {
        match &self.route {
            Route::Ssh(session) => Some(Tunnel::new(session.clone())),
            Route::Local => None,
        }
    }

    /// Ends the connection in good order; dropping it does the same without a goodbye.
    pub async fn close(self) {
        if let Route::Ssh(session) = &self.route {
            session.close().await;
        }
    }

    /// Runs a shell command line (`/bin/sh -c`) to its end, with the target's rights.
    ///
    /// # Errors
    /// Not for a command that fails: its status says so, see [`ExecOutput::checked`].
    pub async fn exec(
        &self,
        command: &str,
        stdin: impl Into<Bytes>,
        deadline: Instant,
    ) -> Result<ExecOutput, Error> {
        let stdin: Bytes = stdin.into();
        self.run(&brief(command), self.words(shell(command)), stdin.into(), deadline).await
    }

    /// Starts a shell command line and hands over its streams (`zkops host` speaks on them).
    ///
    /// # Errors
    /// [`Error::Lost`], [`Error::Refused`], [`Error::Timeout`]; a command that ends at once says
    /// why in [`Stream::stderr_tail`].
    pub async fn stream(&self, command: &str, deadline: Instant) -> Result<Stream, Error> {
        self.start(&brief(command), self.words(shell(command)), deadline).await
    }

    /// A stream without the target's rights, for what needs none.
    pub(super) async fn stream_as_login_user(
        &self,
        command: &str,
        deadline: Instant,
    ) -> Result<Stream, Error> {
        self.open(&brief(command), shell(command), deadline).await
    }

    /// Runs a script of ours with arguments; `name` is its `$0`.
    pub(super) async fn script(
        &self,
        name: &str,
        script: &str,
        arguments: &[&str],
        stdin: Stdin<'_>,
        deadline: Instant,
    ) -> Result<ExecOutput, Error> {
        let mut words = shell(script);
        words.push(name.to_string());
        words.extend(arguments.iter().map(|argument| (*argument).to_string()));
        self.run(name, self.words(words), stdin, deadline).await
    }

    /// Proves that commands get the rights they need, with the password that a person gives where sudo wants one.
    pub(super) async fn escalate(
        mut self,
        keyring: &Keyring,
        deadline: Instant,
    ) -> Result<Connection, Error> {
        if self.escalation == Escalation::None {
            return Ok(self);
        }
        let Err(refused) = self.prove_escalation(deadline).await else { return Ok(self) };
        let wants_password = matches!(&refused, Error::Sudo { why, .. } if why.contains(PASSWORD_REQUIRED));
        if !wants_password {
            return Err(self.no_shell(deadline).await.unwrap_or(refused));
        }
        // All hosts find out at once that they want one: they wait for the first to have it.
        let mut known = keyring.sudo.lock().await;
        if let Some(secret) = known.clone() {
            drop(known);
            if self.takes(secret, deadline).await? {
                return Ok(self);
            }
            known = keyring.sudo.lock().await;
        }
        for attempt in 1..=PASSPHRASE_ATTEMPTS {
            let Some(secret) = keyring.ask_sudo(&self.user, &self.label, attempt).await else { break };
            if self.takes(secret.clone(), deadline).await? {
                known.get_or_insert(secret);
                drop(known);
                return Ok(self);
            }
        }
        Err(refused)
    }

    /// Why commands come to nothing here whatever they are, asked where one failed: a login shell like nologin says a line
    /// and ends.
    pub async fn no_shell(&self, deadline: Instant) -> Option<Error> {
        let Route::Ssh(session) = &self.route else { return None };
        let line = self.line(&shell(ASK_SHELL)).ok()?;
        let output =
            session.exec("asking its shell for a word", &line, Bytes::new().into(), deadline).await.ok()?;
        let said = output.stdout_text() + &output.stderr_text();
        let first = said.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        let no_shell = Error::NoShell {
            host: self.label.clone(),
            user: self.user.clone(),
            said: printable(&brief(first)),
        };
        (!said.contains(SHELL_ANSWER)).then_some(no_shell)
    }

    /// Sudo takes this password; it is kept then.
    async fn takes(&mut self, secret: Secret, deadline: Instant) -> Result<bool, Error> {
        self.sudo = Some(secret);
        // The clock went on while somebody typed; a try is one command.
        match self.prove_escalation(deadline.max(Instant::now() + SUDO_PATIENCE)).await {
            Ok(()) => Ok(true),
            Err(Error::Sudo { .. }) => {
                self.sudo = None;
                Ok(false)
            }
            Err(other) => Err(other),
        }
    }

    async fn prove_escalation(&self, deadline: Instant) -> Result<(), Error> {
        let output = self.exec("exit 0", Bytes::new(), deadline).await?;
        if output.status.success() {
            return Ok(());
        }
        let said = output.stderr_text();
        if let (Escalation::Sudo { path }, Status::Code(NOT_FOUND)) = (&self.escalation, &output.status) {
            let why = printable(&brief(&said));
            return Err(Error::SudoMissing { host: self.label.clone(), path: path.clone(), why });
        }
        Err(self.no_sudo(format!("{}; {}", output.status, said.trim())))
    }

    fn words(&self, words: Vec<String>) -> Vec<String> {
        escalated(&self.escalation, self.sudo.is_some(), words)
    }

    async fn run(
        &self,
        what: &str,
        words: Vec<String>,
        stdin: Stdin<'_>,
        deadline: Instant,
    ) -> Result<ExecOutput, Error> {
        let stdin = Stdin { first: self.sudo_line(), ..stdin };
        let output = match &self.route {
            Route::Local => local::exec(&self.label, what, &words, stdin, deadline).await?,
            Route::Ssh(session) => session.exec(what, &self.line(&words)?, stdin, deadline).await?,
        };
        match sudo_refusal(&self.escalation, &output) {
            Some(why) => Err(self.no_sudo(why)),
            None => Ok(output),
        }
    }

    /// Starts with the target's rights.
    async fn start(&self, what: &str, words: Vec<String>, deadline: Instant) -> Result<Stream, Error> {
        let mut stream = self.open(what, words, deadline).await?;
        if let Some(line) = self.sudo_line() {
            // A command that ended at once says why itself.
            let _ended = stream.write_all(&line).await;
        }
        Ok(stream)
    }

    /// What sudo reads before the command reads the rest.
    fn sudo_line(&self) -> Option<Bytes> {
        self.sudo.as_ref().map(|secret| Bytes::from(format!("{}\n", secret.as_str())))
    }

    async fn open(&self, what: &str, words: Vec<String>, deadline: Instant) -> Result<Stream, Error> {
        match &self.route {
            Route::Local => local::stream(&self.label, what, &words),
            Route::Ssh(session) => session.stream(what, &self.line(&words)?, deadline).await,
        }
    }

    /// sshd gives the line to the login shell; `exec` spares that shell's process.
    fn line(&self, words: &[String]) -> Result<String, Error> {
        Ok(format!("exec {}", quote(&self.label, words.iter().map(String::as_str))?))
    }

    fn no_sudo(&self, why: String) -> Error {
        let (host, user) = (self.label.clone(), self.user.clone());
        if TTY_REQUIRED.iter().any(|words| why.contains(words)) {
            return Error::SudoTty { host, user, why };
        }
        let forbids = |line: &&str| NOT_ALLOWED.iter().any(|words| line.contains(words));
        if let Some(line) = why.lines().find(forbids) {
            return Error::SudoNotAllowed { host, user, why: printable(&brief(line)) };
        }
        Error::Sudo { host, user, why }
    }
}

/// sudo's words (in the C locale) where only the password is missing.
const PASSWORD_REQUIRED: &str = "password is required";
/// And where it runs on terminals alone, which no password changes.
const TTY_REQUIRED: [&str; 1] = ["must have a tty"];
/// And where its rules know better, before a password was asked for or after it.
const NOT_ALLOWED: [&str; 3] =
    ["is not in the sudoers file", "may not run sudo", "is not allowed to execute"];
/// The status of a shell or of env that finds no such program.
const NOT_FOUND: i32 = 127;
/// Said by a shell that runs it, and by nothing that only shows it.
const ASK_SHELL: &str = "echo zkops-$((3 + 4))-shell";
const SHELL_ANSWER: &str = "zkops-7-shell";
/// For trying a password, however long it took to type.
const SUDO_PATIENCE: Duration = Duration::from_secs(10);
