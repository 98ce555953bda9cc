//! `ssh-setup`: the passwordless login. Makes a key where there is none, logs in once with a
//! password, adds the key to the host's authorized_keys, and proves that it works.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey, PublicKey};
use tokio::time::Instant;

use super::auth::Ways;
use super::connection::Connection;
use super::dialer::Dialer;
use super::error::Error;
use super::keyring::KeyFile;
use super::patience::Patience;
use super::ssh_config::DEFAULT_KEYS;
use super::target::{Escalation, SshTarget};

/// A key pair of the operator's, as far as `ssh-setup` needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalKey {
    /// The private key's file.
    pub path: PathBuf,
    /// The line for authorized_keys.
    pub public: String,
    /// It was made just now.
    pub generated: bool,
}

/// What `ssh-setup` did on one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyInstalled {
    /// The key let us in already; no password was needed.
    Already,
    Added,
}

impl Dialer {
    /// The key that `ssh-setup` installs: `wanted`, else the first default key in ~/.ssh, else
    /// a new ed25519 key (no passphrase, mode 0600) at `wanted` or ~/.ssh/id_ed25519.
    ///
    /// # Errors
    /// [`Error::Setting`] if a key cannot be read or written.
    pub fn local_key(&self, wanted: Option<&Path>) -> Result<LocalKey, Error> {
        let ssh = self.settings.home.join(".ssh");
        let wanted = wanted.map(|path| match path.strip_prefix("~") {
            Ok(rest) => self.settings.home.join(rest),
            Err(_) => path.to_path_buf(),
        });
        let candidates = match &wanted {
            Some(path) => vec![path.clone()],
            None => DEFAULT_KEYS.iter().map(|name| ssh.join(name)).collect(),
        };
        if let Some(path) = candidates.iter().find(|path| path.exists()) {
            return existing_key(path);
        }
        let path = wanted.unwrap_or_else(|| ssh.join("id_ed25519"));
        generate_key(&path, &format!("{}@zkops", self.settings.local_user))
    }

    /// Makes sure that `key` logs in to `target`. Asks for the password only where it does not
    /// yet; a password that worked is tried on the next host first.
    ///
    /// # Errors
    /// [`Error::AuthFailed`] if the password is refused, or if the key is still refused once it
    /// is installed; everything that opening a connection and running a command can fail with.
    pub async fn install_key(
        &self,
        target: &SshTarget,
        key: &LocalKey,
        deadline: Instant,
    ) -> Result<KeyInstalled, Error> {
        let begun = Instant::now();
        let patience = self.patience(target, deadline)?;
        self.put_key(target, key, &patience).await.map_err(|error| match error {
            // What a step had left of the bound says nothing to whoever gave it.
            Error::Timeout { host, doing, .. } => {
                Error::Timeout { host, doing, after: deadline.saturating_duration_since(begun) }
            }
            other => other,
        })
    }

    async fn put_key(
        &self,
        target: &SshTarget,
        key: &LocalKey,
        patience: &Patience,
    ) -> Result<KeyInstalled, Error> {
        let only_key = Ways::OnlyKey(key.path.clone());
        match self.session(target, &only_key, patience.moved()).await {
            Ok((session, _)) => {
                session.close().await;
                return Ok(KeyInstalled::Already);
            }
            Err(Error::AuthFailed { .. }) => {}
            Err(e) => return Err(e),
        }
        let (session, user) = self.session(target, &Ways::Password, patience.moved()).await?;
        // authorized_keys is the login user's own file.
        let as_user = SshTarget { escalation: Escalation::None, ..target.clone() };
        let connection = Connection::ssh(&as_user, session, user);
        let arguments = [key.public.as_str(), blob(&key.public)];
        let adding =
            connection.script("zkops-add-key", ADD_KEY, &arguments, Bytes::new().into(), patience.moved());
        adding.await?.checked(connection.label(), "adding the key to ~/.ssh/authorized_keys")?;
        connection.close().await;
        let (session, _) = self.session(target, &only_key, patience.moved()).await?;
        session.close().await;
        Ok(KeyInstalled::Added)
    }
}

fn existing_key(path: &Path) -> Result<LocalKey, Error> {
    let unusable =
        |why: String| Error::setting("this machine", format!("cannot use the key {}", path.display()), why);
    let file = KeyFile::load(path).map_err(unusable)?;
    let public = file.public.ok_or_else(|| {
        unusable("it is encrypted and has no .pub file beside it; make one with ssh-keygen -y".to_string())
    })?;
    let public = public_line(&public).map_err(unusable)?;
    Ok(LocalKey { path: path.to_path_buf(), public, generated: false })
}

/// Writes a new ed25519 pair; never over an existing file.
fn generate_key(path: &Path, comment: &str) -> Result<LocalKey, Error> {
    let failed =
        |why: String| Error::setting("this machine", format!("cannot make the key {}", path.display()), why);
    let mut key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519)
        .map_err(|e| failed(e.to_string()))?;
    key.set_comment(comment);
    let text = key.to_openssh(LineEnding::LF).map_err(|e| failed(e.to_string()))?;
    let public = public_line(key.public_key()).map_err(failed)?;
    let mut public_path = path.as_os_str().to_owned();
    public_path.push(".pub");
    let io = |e: io::Error| failed(e.to_string());
    if let Some(directory) = path.parent().filter(|directory| !directory.exists()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(io)?;
    }
    write_new(path, 0o600, text.as_bytes()).map_err(io)?;
    write_new(Path::new(&public_path), 0o644, format!("{public}\n").as_bytes()).map_err(io)?;
    Ok(LocalKey { path: path.to_path_buf(), public, generated: true })
}

fn write_new(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn public_line(key: &PublicKey) -> Result<String, String> {
    key.to_openssh().map(|line| line.trim().to_string()).map_err(|e| e.to_string())
}

/// The second word: what makes two lines of authorized_keys the same key.
fn blob(public: &str) -> &str {
    public.split_whitespace().nth(1).unwrap_or(public)
}

/// Arguments: the line, its key. Adds the line once, on a line of its own; sshd insists on modes
/// 0700 and 0600. restorecon, where it exists, gives the files the label that SELinux wants.
const ADD_KEY: &str = r#"line=$1 key=$2
umask 077
cd || exit 1
mkdir -p .ssh && chmod 700 .ssh || exit 1
file=.ssh/authorized_keys
[ -e "$file" ] || : >"$file" || exit 1
there= rest=
while IFS= read -r old || { rest=$old; [ -n "$old" ]; }; do
  case " $old " in *" $key "*) there=1 ;; esac
  [ -z "$rest" ] || break
done <"$file"
if [ -z "$there" ]; then
  [ -z "$rest" ] || echo >>"$file" || exit 1
  printf '%s\n' "$line" >>"$file" || exit 1
fi
chmod 600 "$file" || exit 1
if command -v restorecon >/dev/null 2>&1; then restorecon -R .ssh || :; fi
"#;
