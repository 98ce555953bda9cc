//! Logging in: the agent's identities, key files, and (only while a key is being installed) a
//! password. As in ssh, a key is first shown to the server, and a passphrase is asked for only
//! when the server wants that very key.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, HashAlg, PrivateKeyWithHashAlg, PublicKey};
use russh::{MethodKind, SendError};
use tokio::net::UnixStream;

use super::error::{Error, Tried};
use super::keyring::{KeyFile, Keyring, NOT_FOUND};
use super::patience::Patience;
use super::session::{Client, LastWords};
use super::ssh_config::{KeysFrom, Resolved};

/// Which ways in are allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ways {
    /// Agent and key files, as resolved.
    Keys,
    /// This key file and nothing else: proves that an installed key works.
    OnlyKey(PathBuf),
    /// A password that a human gives, by whichever method the server has for it.
    Password,
}

/// Why there is no login.
pub(super) enum NoLogin {
    /// The connection went away meanwhile: worth another try.
    Dropped(String),
    Final(Error),
}

impl From<Error> for NoLogin {
    fn from(e: Error) -> NoLogin {
        NoLogin::Final(e)
    }
}

/// One login in progress.
pub(super) struct Login<'a> {
    pub(super) handle: &'a mut Handle<Client>,
    pub(super) to: &'a Resolved,
    pub(super) keyring: &'a Keyring,
    pub(super) agent: Option<&'a Path>,
    pub(super) lost: &'a LastWords,
    pub(super) patience: &'a Patience,
    pub(super) tried: Vec<Tried>,
    /// Public keys that the server has refused already.
    pub(super) refused: Vec<KeyData>,
}

impl Login<'_> {
    pub(super) async fn run(mut self, ways: &Ways) -> Result<(), NoLogin> {
        let in_ = match ways {
            Ways::Keys => self.by_keys().await?,
            Ways::OnlyKey(path) => match KeyFile::load(path) {
                Ok(file) => self.by_file(&file).await?,
                Err(why) => self.failed(&path.display().to_string(), &why),
            },
            Ways::Password => self.by_password().await?,
        };
        if in_ {
            return Ok(());
        }
        Err(NoLogin::Final(Error::AuthFailed {
            host: self.to.label.clone(),
            user: self.to.user.clone(),
            tried: self.tried,
        }))
    }

    /// Agent identities that belong to the named files first: no passphrase needed for them.
    /// Then, where the inventory names a key, that key, because the server's patience
    /// (MaxAuthTries, 6) must not be used up by what else is in the agent; otherwise the agent.
    async fn by_keys(&mut self) -> Result<bool, NoLogin> {
        let files = self.key_files();
        let publics: Vec<&KeyData> =
            files.iter().filter_map(|file| file.public.as_ref()).map(PublicKey::key_data).collect();
        let (mut agent, identities) = self.identities().await?;
        let (ours, others): (Vec<_>, Vec<_>) =
            identities.into_iter().partition(|identity| publics.contains(&identity_key(identity).key_data()));
        let others = if self.to.identities_only { Vec::new() } else { others };
        if self.by_agent(&mut agent, ours).await? {
            return Ok(true);
        }
        let named = self.to.keys_from == KeysFrom::Inventory;
        if !named && self.by_agent(&mut agent, others.clone()).await? {
            return Ok(true);
        }
        for file in &files {
            if self.by_file(file).await? {
                return Ok(true);
            }
        }
        Ok(named && self.by_agent(&mut agent, others).await?)
    }

    /// Key files that can be read; the others are noted, but a default key that is simply not
    /// there is not worth a word.
    fn key_files(&mut self) -> Vec<KeyFile> {
        let mut files = Vec::new();
        for path in &self.to.keys.clone() {
            match KeyFile::load(path) {
                Ok(file) => files.push(file),
                Err(why) if why == NOT_FOUND && self.to.keys_from == KeysFrom::Default => {}
                Err(why) => {
                    self.failed(&path.display().to_string(), &why);
                }
            }
        }
        files
    }

    async fn identities(&mut self) -> Result<(Option<Agent>, Vec<AgentIdentity>), NoLogin> {
        let Some(socket) = self.agent else { return Ok((None, Vec::new())) };
        let patience = self.patience;
        let asked = patience.bound("asking the ssh agent for its keys", async {
            let mut agent = AgentClient::connect_uds(socket).await?;
            if let Some(binding) = self.handle.agent_session_binding() {
                // Agents that are not OpenSSH's do not know session binding; they need none.
                let _ = agent.bind_session(binding, false).await;
            }
            let identities = agent.request_identities().await?;
            Ok::<_, russh::keys::Error>((agent, identities))
        });
        match asked.await? {
            Ok((agent, identities)) => Ok((Some(agent), identities)),
            Err(why) => {
                self.failed(&format!("agent at {}", socket.display()), &why.to_string());
                Ok((None, Vec::new()))
            }
        }
    }

    async fn by_agent(
        &mut self,
        agent: &mut Option<Agent>,
        identities: Vec<AgentIdentity>,
    ) -> Result<bool, NoLogin> {
        let Some(agent) = agent else { return Ok(false) };
        for identity in identities {
            let key = identity_key(&identity);
            let method = format!("agent key {}", key.fingerprint(HashAlg::Sha256));
            let hash = self.rsa_hash(&key.algorithm()).await?;
            let user = self.to.user.clone();
            let patience = self.patience;
            let answer = patience.bound("logging in with the ssh agent", async {
                match identity {
                    AgentIdentity::PublicKey { key, .. } => {
                        self.handle.authenticate_publickey_with(user, key, hash, agent).await
                    }
                    AgentIdentity::Certificate { certificate, .. } => {
                        self.handle.authenticate_certificate_with(user, certificate, hash, agent).await
                    }
                }
            });
            match answer.await? {
                Ok(answer) => {
                    if self.accepted(&method, answer)? {
                        return Ok(true);
                    }
                    self.refused.push(key.key_data().clone());
                }
                // The agent would not sign (locked, or its user said no).
                Err(why) => {
                    self.alive()?;
                    self.failed(&method, &why.to_string());
                }
            }
        }
        Ok(false)
    }

    async fn by_file(&mut self, file: &KeyFile) -> Result<bool, NoLogin> {
        let method = file.path.display().to_string();
        if let Some(public) = &file.public {
            if self.refused.contains(public.key_data()) {
                return Ok(false);
            }
            if file.private.is_none() {
                match self.probe(&method, public).await? {
                    Probed::Wanted => {}
                    Probed::Refused => return Ok(false),
                    Probed::In => return Ok(true),
                }
            }
        }
        let private = match self.keyring.unlock(file).await {
            Ok(private) => private,
            Err(why) => return Ok(self.failed(&method, &why)),
        };
        let hash = self.rsa_hash(&private.algorithm()).await?;
        let user = self.to.user.clone();
        let key = PrivateKeyWithHashAlg::new(Arc::clone(&private), hash);
        let answer = self.handle.authenticate_publickey(user, key);
        let answer = self.patience.bound("logging in with a key", answer).await?;
        let accepted = self.accepted(&method, answer.map_err(|_| self.dropped())?)?;
        if !accepted {
            self.refused.push(private.public_key().key_data().clone());
        }
        Ok(accepted)
    }

    /// Would the server take this key? Asked before a human is bothered for its passphrase.
    async fn probe(&mut self, method: &str, public: &PublicKey) -> Result<Probed, NoLogin> {
        let hash = self.rsa_hash(&public.algorithm()).await?;
        let user = self.to.user.clone();
        let mut probe = Probe;
        let answer = self.handle.authenticate_publickey_with(user, public.clone(), hash, &mut probe);
        match self.patience.bound("asking whether the server takes a key", answer).await? {
            Err(ProbeError::Wanted) => Ok(Probed::Wanted),
            Err(ProbeError::Closed) => Err(self.dropped()),
            Ok(answer) => {
                if self.accepted(method, answer)? {
                    return Ok(Probed::In);
                }
                self.refused.push(public.key_data().clone());
                Ok(Probed::Refused)
            }
        }
    }

    async fn by_password(&mut self) -> Result<bool, NoLogin> {
        let none = self.handle.authenticate_none(self.to.user.clone());
        let methods =
            match self.patience.bound("asking how to log in", none).await?.map_err(|_| self.dropped())? {
                AuthResult::Success => return Ok(true),
                AuthResult::Failure { remaining_methods, .. } => remaining_methods,
            };
        self.alive()?;
        let plain = methods.contains(&MethodKind::Password);
        if !plain && !methods.contains(&MethodKind::KeyboardInteractive) {
            return Ok(self.failed("password", "the server allows no passwords (PasswordAuthentication no)"));
        }
        for attempt in 1..=PASSWORD_ATTEMPTS {
            let Some(password) = self.keyring.password(&self.to.user, &self.to.label, attempt).await else {
                return Ok(self.failed("password", "none was given"));
            };
            let accepted = if plain {
                let user = self.to.user.clone();
                let answer = self.handle.authenticate_password(user, password.as_str());
                let answer = self.patience.bound("logging in with a password", answer).await?;
                self.accepted("password", answer.map_err(|_| self.dropped())?)?
            } else {
                self.by_dialogue(&password).await?
            };
            if accepted {
                self.keyring.remember_password(&self.to.user, password);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// keyboard-interactive with PAM: the password is the answer to every question, and lists
    /// without questions want an answer too.
    async fn by_dialogue(&mut self, password: &str) -> Result<bool, NoLogin> {
        let start = self.handle.authenticate_keyboard_interactive_start(self.to.user.clone(), None);
        let mut answer = self.patience.bound("logging in with a password", start).await?;
        for _ in 0..DIALOGUE_MAX {
            let prompts = match answer.map_err(|_| self.dropped())? {
                KeyboardInteractiveAuthResponse::Success => return Ok(true),
                KeyboardInteractiveAuthResponse::Failure { .. } => break,
                KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => prompts.len(),
            };
            let respond =
                self.handle.authenticate_keyboard_interactive_respond(vec![password.to_string(); prompts]);
            answer = self.patience.bound("logging in with a password", respond).await?;
        }
        self.alive()?;
        Ok(self.failed("password (keyboard-interactive)", REFUSED))
    }

    /// SHA-2 for RSA unless the server says that it has only SHA-1.
    async fn rsa_hash(&self, algorithm: &Algorithm) -> Result<Option<HashAlg>, NoLogin> {
        if !matches!(algorithm, Algorithm::Rsa { .. }) {
            return Ok(None);
        }
        let supported =
            self.patience.bound("asking for signature types", self.handle.best_supported_rsa_hash());
        let supported = supported.await?.map_err(|_| self.dropped())?;
        Ok(supported.unwrap_or(Some(HashAlg::Sha512)))
    }

    fn accepted(&mut self, method: &str, answer: AuthResult) -> Result<bool, NoLogin> {
        match answer {
            AuthResult::Success => Ok(true),
            AuthResult::Failure { partial_success: true, .. } => {
                Ok(self.failed(method, "accepted, but the server wants a second factor as well"))
            }
            AuthResult::Failure { .. } => {
                self.failed(method, REFUSED);
                self.alive()?;
                Ok(false)
            }
        }
    }

    /// The library reports a connection that went away as a refusal; tell them apart.
    fn alive(&mut self) -> Result<(), NoLogin> {
        if !self.handle.is_closed() {
            return Ok(());
        }
        let why = self.lost.get();
        if !why.contains("authentication failures") {
            return Err(NoLogin::Dropped(why));
        }
        self.failed("the rest", &format!("the server hung up: {why}"));
        Err(NoLogin::Final(Error::AuthFailed {
            host: self.to.label.clone(),
            user: self.to.user.clone(),
            tried: std::mem::take(&mut self.tried),
        }))
    }

    fn dropped(&self) -> NoLogin {
        NoLogin::Dropped(self.lost.get())
    }

    fn failed(&mut self, method: &str, outcome: &str) -> bool {
        self.tried.push(Tried { method: method.to_string(), outcome: outcome.to_string() });
        false
    }
}

type Agent = AgentClient<UnixStream>;

fn identity_key(identity: &AgentIdentity) -> PublicKey {
    match identity {
        AgentIdentity::PublicKey { key, .. } => PublicKey::new(key.key_data().clone(), ""),
        AgentIdentity::Certificate { certificate, .. } => {
            PublicKey::new(certificate.public_key().clone(), "")
        }
    }
}

/// What the server thinks of a key that it has only been shown.
enum Probed {
    Wanted,
    Refused,
    /// It asked for no signature at all.
    In,
}

/// A signer that never signs: being asked to is the answer it wants.
struct Probe;

enum ProbeError {
    Wanted,
    Closed,
}

impl From<SendError> for ProbeError {
    fn from(_: SendError) -> ProbeError {
        ProbeError::Closed
    }
}

impl russh::Signer for Probe {
    type Error = ProbeError;

    async fn auth_sign(
        &mut self,
        _key: &AgentIdentity,
        _hash: Option<HashAlg>,
        _to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, ProbeError> {
        Err(ProbeError::Wanted)
    }
}

const REFUSED: &str = "refused";
/// As ssh's NumberOfPasswordPrompts.
const PASSWORD_ATTEMPTS: u32 = 3;
/// Rounds of questions; PAM needs two or three.
const DIALOGUE_MAX: u32 = 10;
