//! A reached host: one connection, reused for everything. What is done on it beyond running
//! commands is in `bootstrap` and `clock`.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use super::error::Error;
use super::exec::{ExecOutput, Stdin, Stream, brief, escalated, quote, shell, sudo_refusal};
use super::local;
use super::session::Session;
use super::target::{Escalation, LocalTarget, SshTarget};
use super::tunnel::Tunnel;

/// An open connection to one host. Every method takes `&self`: commands may run side by side.
pub struct Connection {
    /// The member's name with user and address, for messages.
    label: String,
    user: String,
    route: Route,
    escalation: Escalation,
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
        }
    }

    pub(super) fn ssh(target: &SshTarget, session: Arc<Session>, user: String) -> Connection {
        Connection {
            label: session.label().to_string(),
            user,
            route: Route::Ssh(session),
            escalation: target.escalation.clone(),
        }
    }

    /// `node-1 (root@192.168.17.130:22)`.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The way to TCP ports on the host's side, for a host behind a jump host: there is no other.
    pub fn tunnel(&self) -> Option<Tunnel> {
        match &self.route {
            Route::Ssh(session) if session.is_carried() => Some(Tunnel::new(session.clone())),
            Route::Ssh(_) | Route::Local => None,
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
        self.run(&brief(command), escalated(&self.escalation, shell(command)), stdin.into(), deadline).await
    }

    /// Starts a shell command line and hands over its streams (`zkops host` speaks on them).
    ///
    /// # Errors
    /// [`Error::Lost`], [`Error::Refused`], [`Error::Timeout`]; a command that ends at once says
    /// why in [`Stream::stderr_tail`].
    pub async fn stream(&self, command: &str, deadline: Instant) -> Result<Stream, Error> {
        self.start(&brief(command), escalated(&self.escalation, shell(command)), deadline).await
    }

    /// A stream without the target's rights, for what needs none.
    pub(super) async fn stream_as_login_user(
        &self,
        command: &str,
        deadline: Instant,
    ) -> Result<Stream, Error> {
        self.start(&brief(command), shell(command), deadline).await
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
        self.run(name, escalated(&self.escalation, words), stdin, deadline).await
    }

    /// Fails early and clearly where sudo would ask for a password.
    pub(super) async fn prove_escalation(&self, deadline: Instant) -> Result<(), Error> {
        if self.escalation == Escalation::None {
            return Ok(());
        }
        let output = self.exec("exit 0", Bytes::new(), deadline).await?;
        if output.status.success() {
            return Ok(());
        }
        let why = format!("{}; {}", output.status, output.stderr_text().trim());
        Err(self.no_sudo(why))
    }

    async fn run(
        &self,
        what: &str,
        words: Vec<String>,
        stdin: Stdin<'_>,
        deadline: Instant,
    ) -> Result<ExecOutput, Error> {
        let output = match &self.route {
            Route::Local => local::exec(&self.label, what, &words, stdin, deadline).await?,
            Route::Ssh(session) => session.exec(what, &self.line(&words)?, stdin, deadline).await?,
        };
        match sudo_refusal(&self.escalation, &output) {
            Some(why) => Err(self.no_sudo(why)),
            None => Ok(output),
        }
    }

    async fn start(&self, what: &str, words: Vec<String>, deadline: Instant) -> Result<Stream, Error> {
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
        Error::Sudo { host: self.label.clone(), user: self.user.clone(), why }
    }
}
