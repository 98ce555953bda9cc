//! How connections come to be: name → address → (jump hosts) → key exchange → login, with
//! retries for servers that drop connections before login (MaxStartups) and a bound on how
//! many logins run at once. One dialer serves all hosts of a run.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use russh::client::{Handle, connect_stream};
use russh::keys::Algorithm;
use russh::{ChannelOpenFailure, Preferred};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::auth::{Login, NoLogin, Ways};
use super::connection::Connection;
use super::error::Error;
use super::keyring::Keyring;
use super::patience::Patience;
use super::question::Prompt;
use super::session::{Client, ClientError, LastWords, Session, describe, settings};
use super::ssh_config::{Config, Resolved, bracketed};
use super::target::{SshTarget, Target};

/// Where the operator's own ssh settings are, and who answers questions.
#[derive(Clone)]
pub struct Settings {
    /// Home of `.ssh`.
    pub home: PathBuf,
    /// The user's ssh configuration file.
    pub ssh_config: PathBuf,
    pub global_known_hosts: PathBuf,
    /// SSH_AUTH_SOCK.
    pub agent: Option<PathBuf>,
    /// Login name where nothing else names one.
    pub local_user: String,
    pub prompt: Arc<dyn Prompt>,
    /// After so long without a word from the other side it is asked for one; three such questions without an answer
    /// end the connection.
    pub keepalive: Duration,
}

impl Settings {
    /// The settings of whoever runs this process.
    pub fn of_this_user(prompt: Arc<dyn Prompt>) -> Settings {
        let home = std::env::home_dir().unwrap_or_else(|| PathBuf::from("/"));
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Settings {
            ssh_config: home.join(".ssh/config"),
            home,
            global_known_hosts: PathBuf::from("/etc/ssh/ssh_known_hosts"),
            agent: variable("SSH_AUTH_SOCK").map(PathBuf::from),
            local_user: variable("USER")
                .or_else(|| variable("LOGNAME"))
                .unwrap_or_else(|| "root".to_string()),
            prompt,
            keepalive: Duration::from_secs(3),
        }
    }
}

/// Opens connections; keeps what they share: keys asked for once, jump hosts dialled once.
pub struct Dialer {
    pub(super) settings: Settings,
    config: Config,
    keyring: Keyring,
    logins: Semaphore,
    jumps: Mutex<HashMap<String, Arc<tokio::sync::Mutex<JumpState>>>>,
}

/// The connection to a jump host, or why there is none, with the time of that finding.
#[derive(Default)]
enum JumpState {
    #[default]
    Never,
    Up(Arc<Session>),
    Failed(Instant, Error),
}

impl Dialer {
    /// Reads ~/.ssh/config.
    ///
    /// # Errors
    /// [`Error::Setting`] if it cannot be read or parsed.
    pub fn new(settings: Settings) -> Result<Dialer, Error> {
        let config = Config::load(
            &settings.ssh_config,
            &settings.home,
            &settings.local_user,
            &settings.global_known_hosts,
        )?;
        Ok(Dialer {
            keyring: Keyring::new(settings.prompt.clone()),
            config,
            settings,
            logins: Semaphore::new(LOGINS_MAX),
            jumps: Mutex::default(),
        })
    }

    /// Reaches a host and logs in, and proves that sudo works where it is to be used.
    /// The deadline stands still while a human is asked for a passphrase.
    ///
    /// # Errors
    /// Everything up to login, each with its own variant of [`Error`].
    pub async fn open(&self, target: &Target, deadline: Instant) -> Result<Connection, Error> {
        let (connection, deadline) = match target {
            Target::Local(local) => (Connection::local(local), deadline),
            Target::Ssh(ssh) => {
                let patience = self.patience(ssh, deadline)?;
                let session = self.session(ssh, &Ways::Keys, deadline).await?;
                (Connection::ssh(ssh, session.0, session.1), patience.moved())
            }
        };
        connection.escalate(&self.keyring, deadline).await
    }

    /// Whether the way to a host leads through a jump host, by the target or by ~/.ssh/config.
    ///
    /// # Errors
    /// [`Error::Setting`] when ~/.ssh/config says something unusable about it.
    pub fn is_behind_jump(&self, target: &Target) -> Result<bool, Error> {
        match target {
            Target::Local(_) => Ok(false),
            Target::Ssh(ssh) => Ok(self.config.resolve(ssh)?.jump.is_some()),
        }
    }

    /// A deadline for all that is done with a host: it moves by the time that people take for their answers.
    pub(super) fn patience(&self, target: &SshTarget, deadline: Instant) -> Result<Patience, Error> {
        Ok(self.keyring.patience(&self.config.resolve(target)?.label, deadline))
    }

    /// A logged-in session, and the user it is for.
    pub(super) async fn session(
        &self,
        target: &SshTarget,
        ways: &Ways,
        deadline: Instant,
    ) -> Result<(Arc<Session>, String), Error> {
        let to = self.config.resolve(target)?;
        let patience = self.keyring.patience(&to.label, deadline);
        let session = Box::pin(self.dial(&to, ways, &patience, deadline, &[])).await?;
        Ok((Arc::new(session), to.user))
    }

    /// Tries until the server lets us log in or says no; a server that hangs up before the login
    /// is finished (MaxStartups, a grace time spent on a human) is tried again.
    async fn dial(
        &self,
        to: &Resolved,
        ways: &Ways,
        patience: &Patience,
        deadline: Instant,
        chain: &[String],
    ) -> Result<Session, Error> {
        let through = match &to.jump {
            Some(jump) => Some(self.jump(to, jump, deadline, chain).await?),
            None => None,
        };
        let mut attempt = 1;
        loop {
            let why = match self.attempt(to, ways, patience, through.clone()).await {
                Ok(session) => return Ok(session),
                Err(NoLogin::Final(e)) => return Err(e),
                Err(NoLogin::Dropped(why)) => why,
            };
            let pause = backoff(attempt);
            if attempt == ATTEMPTS_MAX || patience.left() <= pause {
                return Err(unreachable(
                    to,
                    format!("the server hung up before login, {attempt} times: {why}"),
                ));
            }
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    async fn attempt(
        &self,
        to: &Resolved,
        ways: &Ways,
        patience: &Patience,
        through: Option<Arc<Session>>,
    ) -> Result<Session, NoLogin> {
        let lost = LastWords::default();
        let host_keys = to.host_keys.clone();
        let client = Client { host_keys: host_keys.clone(), asker: self.keyring.asker(), lost: lost.clone() };
        let known = tokio::task::spawn_blocking(move || host_keys.known_algorithms()).await;
        let config =
            Arc::new(settings(preferring(&known.unwrap_or(Ok(Vec::new()))?), self.settings.keepalive));
        let exchanging = "exchanging keys (is it an SSH server?)";
        let (mut handle, _login) = match &through {
            None => {
                let socket = connect(to, patience).await?;
                let permit = self.permit(patience).await?;
                let handle = connect_stream(config, socket, client);
                (patience.bound(exchanging, handle).await?, permit)
            }
            Some(jump) => {
                let permit = self.permit(patience).await?;
                let channel =
                    patience.bound("connecting through the jump host", jump.forward(&to.address, to.port));
                let channel = channel.await?.map_err(|e| not_forwarded(to, jump, e))?;
                let handle = connect_stream(config, channel.into_stream(), client);
                (patience.bound(exchanging, handle).await?, permit)
            }
        }
        .map_handle(to, &lost)?;
        let login = Login {
            handle: &mut handle,
            to,
            keyring: &self.keyring,
            agent: self.settings.agent.as_deref().filter(|_| *ways == Ways::Keys),
            lost: &lost,
            patience,
            tried: Vec::new(),
            refused: Vec::new(),
        };
        login.run(ways).await?;
        Ok(Session::new(to.label.clone(), handle, lost, through))
    }

    /// Logins cost CPU on this machine and start-up slots on a shared jump host. A server that
    /// has not even sent its banner holds no permit, so that dead hosts delay nobody.
    async fn permit(&self, patience: &Patience) -> Result<tokio::sync::SemaphorePermit<'_>, NoLogin> {
        match patience.bound("waiting for other logins", self.logins.acquire()).await? {
            Ok(permit) => Ok(permit),
            Err(_) => Err(NoLogin::Dropped("the dialer was closed".to_string())),
        }
    }

    /// One connection per jump host, shared by everything behind it. Its failure is shared as
    /// well with everyone who was waiting for it: no second round of refused logins.
    async fn jump(
        &self,
        to: &Resolved,
        jump: &SshTarget,
        deadline: Instant,
        chain: &[String],
    ) -> Result<Arc<Session>, Error> {
        let asked = Instant::now();
        let resolved = self.config.resolve(jump)?;
        let key = route(&resolved);
        if chain.contains(&key) {
            let why = "it is to be reached through itself; look for a ProxyJump loop in ~/.ssh/config";
            return Err(Error::setting(&to.label, format!("the jump host {}", resolved.label), why));
        }
        let chain = [chain, std::slice::from_ref(&key)].concat();
        let state = self.jumps.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().clone();
        let patience = self.keyring.patience(&to.label, deadline);
        let doing = format!("connecting to {}", resolved.label);
        let mut state = patience.bound(&doing, state.lock()).await?;
        match &*state {
            JumpState::Up(session) if !session.is_closed() => return Ok(session.clone()),
            JumpState::Failed(at, e) if *at >= asked => return Err(e.clone()),
            _ => {}
        }
        // Whoever held the lock may have asked somebody meanwhile.
        let deadline = patience.moved();
        let patience = self.keyring.patience(&resolved.label, deadline);
        match Box::pin(self.dial_jump(&resolved, &patience, deadline, &chain)).await {
            Ok(session) => {
                let session = Arc::new(session);
                *state = JumpState::Up(session.clone());
                Ok(session)
            }
            Err(e) => {
                *state = JumpState::Failed(Instant::now(), e.clone());
                Err(e)
            }
        }
    }
}

impl Dialer {
    /// With a key, else with a password that a person gives: there is no other way past it.
    async fn dial_jump(
        &self,
        to: &Resolved,
        patience: &Patience,
        deadline: Instant,
        chain: &[String],
    ) -> Result<Session, Error> {
        let mut by_key = match Box::pin(self.dial(to, &Ways::Keys, patience, deadline, chain)).await {
            Err(Error::AuthFailed { host, user, tried }) => (host, user, tried),
            other => return other,
        };
        let deadline = patience.moved();
        match Box::pin(self.dial(to, &Ways::Password, patience, deadline, chain)).await {
            Err(Error::AuthFailed { tried, .. }) => {
                by_key.2.extend(tried);
                Err(Error::AuthFailed { host: by_key.0, user: by_key.1, tried: by_key.2 })
            }
            other => other,
        }
    }

    /// The jump hosts on the way to a host, the nearest to us first.
    ///
    /// # Errors
    /// [`Error::Setting`] when ~/.ssh/config says something unusable about them.
    pub fn jumps(&self, target: &SshTarget) -> Result<Vec<SshTarget>, Error> {
        let mut jumps = Vec::new();
        let mut next = self.config.resolve(target)?.jump;
        while let Some(jump) = next.filter(|_| jumps.len() < JUMPS_MAX) {
            next = self.config.resolve(&jump)?.jump;
            jumps.push(jump);
        }
        jumps.reverse();
        Ok(jumps)
    }
}

/// A finished key exchange, or what its failure means.
trait Exchanged<T> {
    fn map_handle(self, to: &Resolved, lost: &LastWords) -> Result<T, NoLogin>;
}

impl<P> Exchanged<(Handle<Client>, P)> for (Result<Handle<Client>, ClientError>, P) {
    fn map_handle(self, to: &Resolved, lost: &LastWords) -> Result<(Handle<Client>, P), NoLogin> {
        match self.0 {
            Ok(handle) => Ok((handle, self.1)),
            Err(ClientError::HostKey(e)) => Err(NoLogin::Final(*e)),
            Err(ClientError::Ssh(e)) => Err(match &e {
                russh::Error::Disconnect | russh::Error::HUP => NoLogin::Dropped(lost.get()),
                russh::Error::IO(io) if hung_up(io) => NoLogin::Dropped(io.to_string()),
                _ => NoLogin::Final(unreachable(to, format!("no SSH connection: {e}"))),
            }),
        }
    }
}

/// The first address that answers with a banner. A name with several addresses has them tried side by side, each one a
/// little later than the one before: a dead one, or a family that leads nowhere, costs next to nothing.
async fn connect(to: &Resolved, patience: &Patience) -> Result<TcpStream, NoLogin> {
    let lookup = patience.bound("looking up its name", lookup_host((to.address.as_str(), to.port)));
    let addresses: Vec<SocketAddr> = match lookup.await? {
        Ok(addresses) => addresses.collect(),
        Err(e) => return Err(unreachable(to, format!("its name cannot be resolved: {e}")).into()),
    };
    let shown: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
    let doing = format!("connecting to {}", shown.join(" and "));
    let mut waiting = addresses.into_iter();
    let mut tried = FuturesUnordered::new();
    let mut last = unreachable(to, "its name has no address".to_string()).into();
    let any = async {
        loop {
            match waiting.next() {
                Some(address) => tried.push(connect_one(address)),
                None if tried.is_empty() => return Err(last),
                None => {}
            }
            let more = waiting.len() > 0;
            tokio::select! {
                Some(result) = tried.next() => match result {
                    Ok(socket) => return Ok(socket),
                    Err(e) if hung_up(&e) => last = NoLogin::Dropped(e.to_string()),
                    Err(e) => last = unreachable(to, e.to_string()).into(),
                },
                () = tokio::time::sleep(STAGGER), if more => {}
            }
        }
    };
    patience.bound(&doing, any).await?
}

async fn connect_one(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    // The server speaks first; hearing nothing is the business of the caller's deadline.
    match socket.peek(&mut [0u8]).await? {
        0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed before the SSH banner")),
        _ => Ok(socket),
    }
}

fn hung_up(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

fn not_forwarded(to: &Resolved, jump: &Session, e: russh::Error) -> NoLogin {
    let via = jump.label();
    match e {
        russh::Error::ChannelOpenFailure(ChannelOpenFailure::AdministrativelyProhibited) => unreachable(
            to,
            format!(
                "{via} does not forward connections (AllowTcpForwarding or PermitOpen in its sshd_config)"
            ),
        )
        .into(),
        russh::Error::ChannelOpenFailure(why) => {
            unreachable(to, format!("asked through {via}: {}", describe(&why))).into()
        }
        _ => NoLogin::Final(jump.lost("connecting through it")),
    }
}

fn unreachable(to: &Resolved, why: String) -> Error {
    let address = format!("{}:{}", bracketed(&to.address), to.port);
    Error::Unreachable { host: to.label.clone(), address, why }
}

/// What makes two jump hosts the same one.
fn route(to: &Resolved) -> String {
    let via = to.jump.as_ref().map(|jump| format!("{}:{:?}", jump.host, jump.port));
    format!("{}@{}:{} via {via:?} keys {:?}", to.user, to.address, to.port, to.keys)
}

/// Types that known_hosts has for this host first; ssh-rsa with SHA-1 signatures never.
fn preferring(known: &[Algorithm]) -> Preferred {
    let all = Preferred::DEFAULT.key;
    let usable = all.iter().filter(|algorithm| !matches!(algorithm, Algorithm::Rsa { hash: None }));
    let is_known = |algorithm: &&Algorithm| match algorithm {
        Algorithm::Rsa { .. } => known.iter().any(|k| matches!(k, Algorithm::Rsa { .. })),
        other => known.contains(other),
    };
    let (first, rest): (Vec<_>, Vec<_>) = usable.cloned().partition(|algorithm| is_known(&algorithm));
    Preferred { key: first.into_iter().chain(rest).collect::<Vec<_>>().into(), ..Preferred::DEFAULT }
}

/// 100, 200, 400 … ms, each up to as much again, so that many clients do not come back together.
fn backoff(attempt: u32) -> Duration {
    let base = Duration::from_millis(50 << attempt.min(6));
    let spread = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |now| now.subsec_micros() % 1000);
    base + base * spread / 1000
}

/// sshd's MaxStartups starts to drop at 10 unauthenticated connections.
const LOGINS_MAX: usize = 8;
/// With `backoff` this lasts about ten seconds, if the deadline allows it.
const ATTEMPTS_MAX: u32 = 7;
/// As RFC 8305 has it, a name's next address is tried so much later.
const STAGGER: Duration = Duration::from_millis(250);
/// Longer chains are loops.
const JUMPS_MAX: usize = 8;
