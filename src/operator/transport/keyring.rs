//! Secrets of one run: private keys and passwords, each asked for at most once for all
//! hosts, one question at a time. Nothing is written anywhere. Talks to nobody but the
//! caller's [`Prompt`](super::Prompt).

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use russh::keys::{PrivateKey, PublicKey};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::error::Error;
use super::known_hosts::{Checked, HostKeys};
use super::patience::{HumanTime, Patience};
use super::question::{Prompt, Question, Secret};

/// One question at a time, whoever has it.
pub(super) struct Asker {
    prompt: Arc<dyn Prompt>,
    /// Held while a human is asked, so that two questions never mix on one terminal.
    asking: tokio::sync::Mutex<()>,
    human: HumanTime,
}

pub(super) struct Keyring {
    asker: Arc<Asker>,
    /// What sudo took; held while a first one is asked for and tried.
    pub(super) sudo: tokio::sync::Mutex<Option<Secret>>,
    keys: Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<Option<Unlocked>>>>>,
    passwords: Mutex<HashMap<String, Secret>>,
}

/// What became of a key once somebody was asked for its passphrase.
#[derive(Clone)]
enum Unlocked {
    Key(Arc<PrivateKey>),
    Locked(String),
}

/// A private key file as far as it can be read without a passphrase. Not printable: it holds the key.
#[derive(Clone)]
pub(super) struct KeyFile {
    pub(super) path: PathBuf,
    pub(super) private: Option<Arc<PrivateKey>>,
    /// Known without the passphrase for OpenSSH's format, and from `path.pub` otherwise.
    pub(super) public: Option<PublicKey>,
    text: Secret,
}

impl Keyring {
    pub(super) fn new(prompt: Arc<dyn Prompt>) -> Keyring {
        Keyring {
            asker: Arc::new(Asker { prompt, asking: tokio::sync::Mutex::new(()), human: HumanTime::new() }),
            sudo: tokio::sync::Mutex::default(),
            keys: Mutex::default(),
            passwords: Mutex::default(),
        }
    }

    /// A deadline that stands still while this keyring asks.
    pub(super) fn patience(&self, host: &str, deadline: Instant) -> Patience {
        self.asker.human.patience(host, deadline)
    }

    /// Who asks.
    pub(super) fn asker(&self) -> Arc<Asker> {
        self.asker.clone()
    }

    /// A sudo password that a human gives for this host.
    pub(super) async fn ask_sudo(&self, user: &str, host: &str, attempt: u32) -> Option<Secret> {
        self.asker.ask(Question::Sudo { user: user.into(), host: host.into(), attempt }).await
    }

    /// Decrypts a key, asking for its passphrase if this run has not yet. The error says why not.
    pub(super) async fn unlock(&self, file: &KeyFile) -> Result<Arc<PrivateKey>, String> {
        if let Some(key) = &file.private {
            return Ok(key.clone());
        }
        let slot = self
            .keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(file.path.clone())
            .or_default()
            .clone();
        let mut slot = slot.lock().await;
        if slot.is_none() {
            *slot = Some(self.ask_passphrase(file).await);
        }
        match slot.as_ref() {
            Some(Unlocked::Key(key)) => Ok(key.clone()),
            Some(Unlocked::Locked(why)) => Err(why.clone()),
            None => Err("encrypted".to_string()),
        }
    }

    /// The password for `user`: the last one that worked for that name on the first attempt,
    /// a human's afterwards.
    pub(super) async fn password(&self, user: &str, host: &str, attempt: u32) -> Option<Secret> {
        if attempt == 1
            && let Some(known) = self.passwords.lock().unwrap_or_else(PoisonError::into_inner).get(user)
        {
            return Some(known.clone());
        }
        self.asker.ask(Question::Password { user: user.into(), host: host.into(), attempt }).await
    }

    pub(super) fn remember_password(&self, user: &str, password: Secret) {
        self.passwords.lock().unwrap_or_else(PoisonError::into_inner).insert(user.to_string(), password);
    }

    async fn ask_passphrase(&self, file: &KeyFile) -> Unlocked {
        for attempt in 1..=PASSPHRASE_ATTEMPTS {
            let question = Question::Passphrase { key: file.path.clone(), attempt };
            let Some(passphrase) = self.asker.ask(question).await else {
                return Unlocked::Locked("encrypted, and no passphrase was given".to_string());
            };
            let text = file.text.clone();
            let decrypted =
                off_thread(move || russh::keys::decode_secret_key(&text, Some(&passphrase)).ok()).await;
            if let Some(key) = decrypted.flatten() {
                return Unlocked::Key(Arc::new(key));
            }
        }
        Unlocked::Locked("encrypted, and the passphrase was wrong".to_string())
    }
}

impl Asker {
    async fn ask(&self, question: Question) -> Option<Secret> {
        let _turn = self.asking.lock().await;
        self.in_turn(question).await
    }

    /// Asks whether an unknown key is the host's, and records it after a yes.
    ///
    /// # Errors
    /// The key's refusal.
    pub(super) async fn trust(&self, host_keys: &HostKeys, key: &PublicKey) -> Result<(), Error> {
        let _turn = self.asking.lock().await;
        // Another connection to the same host may have asked meanwhile.
        let (again, shown) = (host_keys.clone(), key.clone());
        if let Some(Checked::Good) = off_thread(move || again.check(&shown)).await.transpose()? {
            return Ok(());
        }
        let question = host_keys.question(key);
        match self.in_turn(question.clone()).await {
            Some(answer) if question.is_trusted_by(&answer) => {
                let (record, shown) = (host_keys.clone(), key.clone());
                off_thread(move || record.learn(&shown)).await.unwrap_or_else(|| Err(host_keys.unknown(key)))
            }
            _ => Err(host_keys.unknown(key)),
        }
    }

    async fn in_turn(&self, question: Question) -> Option<Secret> {
        let prompt = self.prompt.clone();
        self.human.asking(off_thread(move || prompt.ask(&question))).await.flatten()
    }
}

impl KeyFile {
    /// Reads a key file; an encrypted one comes back without its private half.
    pub(super) fn load(path: &Path) -> Result<KeyFile, String> {
        let text = Zeroizing::new(std::fs::read_to_string(path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => NOT_FOUND.to_string(),
            _ => e.to_string(),
        })?);
        let loaded = |private: Option<PrivateKey>, public| KeyFile {
            path: path.to_path_buf(),
            private: private.map(Arc::new),
            public,
            text: text.clone(),
        };
        if let Ok(key) = PrivateKey::from_openssh(text.as_bytes()) {
            let public = Some(key.public_key().clone());
            return Ok(loaded((!key.is_encrypted()).then_some(key), public));
        }
        match russh::keys::decode_secret_key(&text, None) {
            Ok(key) => {
                let public = Some(key.public_key().clone());
                Ok(loaded(Some(key), public))
            }
            Err(_) if text.contains("ENCRYPTED") => {
                let mut public_path = path.as_os_str().to_owned();
                public_path.push(".pub");
                Ok(loaded(None, russh::keys::load_public_key(public_path).ok()))
            }
            Err(e) => Err(format!("not a private key: {e}")),
        }
    }
}

/// Runs something slow or blocking beside the runtime; `None` if it panicked.
async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

/// As ssh: three tries, then the key is passed over.
pub(super) const PASSPHRASE_ATTEMPTS: u32 = 3;
/// The outcome of a key file that is not there; worth a word only if somebody named it.
pub(super) const NOT_FOUND: &str = "not found";
