//! Secrets of one run: private keys and passwords, each asked for at most once for all
//! hosts, one question at a time. Nothing is written anywhere. Talks to nobody but the
//! caller's [`Prompt`].

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use russh::keys::{PrivateKey, PublicKey};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::patience::{HumanTime, Patience};

/// A passphrase or password; wiped from memory when dropped.
pub type Secret = Zeroizing<String>;

/// Who answers questions. Called on a thread where blocking is allowed, one question at a time.
pub trait Prompt: Send + Sync + 'static {
    /// `None`: there is nobody to ask, or they gave up. It is not asked again for this run.
    fn ask(&self, question: &Question) -> Option<Secret>;
}

/// What a human may be asked. Answers must not be echoed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// The passphrase of an encrypted private key that the host accepts. `attempt` counts from 1.
    Passphrase { key: PathBuf, attempt: u32 },
    /// The login password (only while a key is being installed). `attempt` counts from 1.
    Password { user: String, host: String, attempt: u32 },
}

pub(super) struct Keyring {
    prompt: Arc<dyn Prompt>,
    /// Held while a human is asked, so that two questions never mix on one terminal.
    asking: tokio::sync::Mutex<()>,
    human: HumanTime,
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
            prompt,
            asking: tokio::sync::Mutex::new(()),
            human: HumanTime::new(),
            keys: Mutex::default(),
            passwords: Mutex::default(),
        }
    }

    /// A deadline that stands still while this keyring asks.
    pub(super) fn patience(&self, host: &str, deadline: Instant) -> Patience {
        self.human.patience(host, deadline)
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
        self.ask(Question::Password { user: user.into(), host: host.into(), attempt }).await
    }

    pub(super) fn remember_password(&self, user: &str, password: Secret) {
        self.passwords.lock().unwrap_or_else(PoisonError::into_inner).insert(user.to_string(), password);
    }

    async fn ask_passphrase(&self, file: &KeyFile) -> Unlocked {
        for attempt in 1..=PASSPHRASE_ATTEMPTS {
            let question = Question::Passphrase { key: file.path.clone(), attempt };
            let Some(passphrase) = self.ask(question).await else {
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

    async fn ask(&self, question: Question) -> Option<Secret> {
        let _turn = self.asking.lock().await;
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
const PASSPHRASE_ATTEMPTS: u32 = 3;
/// The outcome of a key file that is not there; worth a word only if somebody named it.
pub(super) const NOT_FOUND: &str = "not found";
