//! Is this host key the one that was recorded? Follows OpenSSH, whose rules russh's own
//! checker does not: `@revoked`, wildcards and negation, several keys per host, entries
//! without a port, a wrong key of another type. Certificates are not supported: lines with
//! `@cert-authority` are passed over, and no certificate algorithm is ever offered.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use russh::keys::ssh_key::known_hosts::{Entry, HostPatterns, Marker};
use russh::keys::{Algorithm, HashAlg, PrivateKey, PublicKey};
use rustix::fs::{FlockOperation, flock};
use sha1::{Digest, Sha1};

use super::error::Error;
use super::question::Question;
use super::target::HostKeyPolicy;

/// Where one host's keys may be recorded, and what to do when they are not.
#[derive(Debug, Clone)]
pub(super) struct HostKeys {
    /// For messages: the member's name and address.
    pub(super) host: String,
    /// The name that is looked up, and the port.
    pub(super) address: String,
    pub(super) port: u16,
    /// User's, global and inventory files; missing ones are empty.
    pub(super) files: Vec<PathBuf>,
    /// Which file learns an accepted key.
    pub(super) learn: PathBuf,
    pub(super) policy: HostKeyPolicy,
    /// HashKnownHosts; `None`: as the file's other lines are.
    pub(super) hashed: Option<bool>,
    /// How ssh itself would be started for it, once.
    pub(super) ssh: String,
}

/// What becomes of a key that a server shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checked {
    Good,
    /// Nobody has an opinion, and a person may be asked for one.
    Unknown,
}

/// What the files say about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Known,
    Unknown,
    Changed { file: PathBuf, line: usize },
    Revoked { file: PathBuf, line: usize },
}

impl HostKeys {
    /// Accepts the key or says why not; an unknown key is recorded first where the policy
    /// says so. Blocks on files: call it where blocking is allowed.
    pub(super) fn check(&self, key: &PublicKey) -> Result<Checked, Error> {
        match (self.verdict(key)?, self.policy) {
            (Verdict::Known, _) => Ok(Checked::Good),
            (Verdict::Unknown, HostKeyPolicy::AcceptNew) => self.learn(key).map(|()| Checked::Good),
            (Verdict::Unknown, HostKeyPolicy::Ask) => Ok(Checked::Unknown),
            (verdict, _) => Err(self.refusal(key, verdict)),
        }
    }

    /// What a person is asked about an unknown key.
    pub(super) fn question(&self, key: &PublicKey) -> Question {
        Question::HostKey {
            host: self.host.clone(),
            algorithm: key.algorithm().to_string(),
            fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
            file: self.learn.clone(),
        }
    }

    /// Why an unknown key is not accepted.
    pub(super) fn unknown(&self, key: &PublicKey) -> Error {
        self.refusal(key, Verdict::Unknown)
    }

    /// Key types recorded for this host, so that the server can be asked for one of them first
    /// (a server with several host keys would otherwise show one that nobody knows).
    pub(super) fn known_algorithms(&self) -> Result<Vec<Algorithm>, Error> {
        let mut found = Vec::new();
        for file in &self.files {
            for line in lines(&self.read(file)?) {
                if let (None, Ok(key)) = (line.marker, &line.key)
                    && (line.names(&self.name()) || line.names(&self.plain_name()))
                    && !found.contains(&key.algorithm())
                {
                    found.push(key.algorithm());
                }
            }
        }
        Ok(found)
    }

    fn verdict(&self, key: &PublicKey) -> Result<Verdict, Error> {
        let mut seen = Seen::default();
        for file in &self.files {
            seen.look(file, &self.read(file)?, &self.name(), &self.plain_name(), key);
        }
        Ok(seen.verdict())
    }

    /// Records the key under a lock, after looking again: another operator may have been faster.
    pub(super) fn learn(&self, key: &PublicKey) -> Result<(), Error> {
        let failed = |why: io::Error| self.unusable(&self.learn, why);
        if let Some(directory) = self.learn.parent().filter(|d| !d.as_os_str().is_empty() && !d.exists()) {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.learn)
            .map_err(failed)?;
        lock(&file).map_err(failed)?;
        match self.verdict(key)? {
            Verdict::Unknown => {}
            Verdict::Known => return Ok(()),
            verdict => return Err(self.refusal(key, verdict)),
        }
        let line = key.to_openssh().map_err(|e| self.unusable(&self.learn, e))?;
        // The comment of a received key is empty; the type and the key are the first two words.
        let words: Vec<&str> = line.split_whitespace().take(2).collect();
        let name = if self.hashes()? { hashed(&self.name()) } else { self.name() };
        append_line(&mut file, &format!("{name} {}", words.join(" "))).map_err(failed)
    }

    /// Names that are hashed elsewhere in the file are not to be read here either.
    fn hashes(&self) -> Result<bool, Error> {
        let found =
            |text: String| lines(&text).any(|line| matches!(line.hosts, HostPatterns::HashedName { .. }));
        self.hashed.map_or_else(|| self.read(&self.learn).map(found), Ok)
    }

    fn refusal(&self, key: &PublicKey, verdict: Verdict) -> Error {
        let host = self.host.clone();
        let algorithm = key.algorithm().to_string();
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        match verdict {
            Verdict::Changed { file, line } => {
                Error::HostKeyChanged { host, algorithm, fingerprint, file, line }
            }
            Verdict::Revoked { file, line } => {
                Error::HostKeyRevoked { host, algorithm, fingerprint, file, line }
            }
            Verdict::Known | Verdict::Unknown => {
                let (file, ssh) = (self.learn.clone(), self.ssh.clone());
                Error::HostKeyUnknown { host, algorithm, fingerprint, file, ssh }
            }
        }
    }

    /// An unreadable file is an error: taken for empty, it would hide a changed key.
    fn read(&self, file: &Path) -> Result<String, Error> {
        match fs::read(file) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(e) => Err(self.unusable(file, e)),
        }
    }

    fn unusable(&self, file: &Path, why: impl std::fmt::Display) -> Error {
        Error::KnownHosts { host: self.host.clone(), file: file.to_path_buf(), why: why.to_string() }
    }

    /// The name as known_hosts writes it: the port only when it is not 22.
    fn name(&self) -> String {
        match self.port {
            22 => self.plain_name(),
            port => format!("[{}]:{port}", self.plain_name()),
        }
    }

    fn plain_name(&self) -> String {
        self.address.to_lowercase()
    }
}

/// What all files together have shown so far about one key.
#[derive(Debug, Default)]
pub(super) struct Seen {
    matched: bool,
    revoked: Option<(PathBuf, usize)>,
    other: Option<(PathBuf, usize)>,
}

impl Seen {
    /// Reads one file's text. `name` carries the port when it is not 22; `plain_name` never
    /// does: as in OpenSSH, an entry without a port can vouch for a key on any port, but a
    /// different key there says nothing about this port.
    pub(super) fn look(&mut self, file: &Path, text: &str, name: &str, plain_name: &str, key: &PublicKey) {
        for line in lines(text) {
            let (exact, plain) = (line.names(name), line.names(plain_name));
            if !exact && !plain {
                continue;
            }
            let same = line.key.as_ref().is_ok_and(|recorded| recorded.key_data() == key.key_data());
            let here = || (file.to_path_buf(), line.number);
            match line.marker {
                Some(Marker::CertAuthority) => {}
                Some(Marker::Revoked) if same => self.revoked = self.revoked.take().or_else(|| Some(here())),
                Some(Marker::Revoked) => {}
                None if same => self.matched = true,
                None if exact => self.other = self.other.take().or_else(|| Some(here())),
                None => {}
            }
        }
    }

    pub(super) fn verdict(self) -> Verdict {
        match self {
            Seen { revoked: Some((file, line)), .. } => Verdict::Revoked { file, line },
            Seen { matched: true, .. } => Verdict::Known,
            Seen { other: Some((file, line)), .. } => Verdict::Changed { file, line },
            Seen { .. } => Verdict::Unknown,
        }
    }
}

/// One line that names hosts. A key that cannot be parsed still names its hosts: it counts as
/// another key, because passing it over would let a new one in.
struct Line {
    number: usize,
    marker: Option<Marker>,
    hosts: HostPatterns,
    key: Result<PublicKey, ()>,
}

impl Line {
    fn names(&self, name: &str) -> bool {
        match &self.hosts {
            HostPatterns::HashedName { salt, hash } => hmac_sha1(salt, name.as_bytes()) == *hash,
            HostPatterns::Patterns(patterns) => {
                let mut named = false;
                for pattern in patterns {
                    match pattern.strip_prefix('!') {
                        Some(negated) if glob(&negated.to_lowercase(), name) => return false,
                        Some(_) => {}
                        None => named |= glob(&pattern.to_lowercase(), name),
                    }
                }
                named
            }
        }
    }
}

/// Lines with their numbers in the file; blank lines, comments and lines without hosts are left out.
/// Fields may be separated by any blanks, which the parser of ssh_key does not allow for.
fn lines(text: &str) -> impl Iterator<Item = Line> + '_ {
    text.lines().enumerate().filter_map(|(index, line)| {
        let mut words = line.split_whitespace().take_while(|word| !word.starts_with('#')).peekable();
        let marker = match words.next_if(|word| word.starts_with('@')) {
            Some(marker) => Some(marker.parse::<Marker>().ok()?),
            None => None,
        };
        let hosts = words.next()?;
        let key: Vec<&str> = words.take(2).collect();
        let entry = format!("{hosts} {}", key.join(" ")).parse::<Entry>();
        Some(Line {
            number: index + 1,
            marker,
            hosts: hosts.parse().ok()?,
            key: entry.map(|entry| entry.public_key().clone()).map_err(|_| ()),
        })
    })
}

/// `*` and `?` only: brackets are literal, they surround names with a port.
pub(super) fn glob(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == b'?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

/// A name as ssh hides it in known_hosts.
fn hashed(name: &str) -> String {
    // Of a random key: as random as it, and as long as ssh's salts are.
    let random = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519);
    let random = random.ok().and_then(|key| key.public_key().to_bytes().ok()).unwrap_or_default();
    let salt: [u8; 20] = Sha1::digest(random).into();
    let hash = hmac_sha1(&salt, name.as_bytes());
    HostPatterns::HashedName { salt: salt.to_vec(), hash }.to_string()
}

/// HMAC-SHA1 (RFC 2104): how a hashed name is made from its salt.
pub(super) fn hmac_sha1(key: &[u8], message: &[u8]) -> [u8; 20] {
    let mut block = [0u8; 64];
    if key.len() > block.len() {
        block[..20].copy_from_slice(&Sha1::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha1::new().chain_update(block.map(|b| b ^ 0x36)).chain_update(message).finalize();
    Sha1::new().chain_update(block.map(|b| b ^ 0x5c)).chain_update(inner).finalize().into()
}

/// Takes the file's lock, but does not wait for ever for a program that holds it.
fn lock(file: &File) -> io::Result<()> {
    for _ in 0..LOCK_TRIES {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(LOCK_PAUSE),
            Err(e) => return Err(e.into()),
        }
    }
    Err(io::Error::new(io::ErrorKind::WouldBlock, "another program holds the lock"))
}

/// Appends on a line of its own even if the file's last line was left unfinished.
fn append_line(file: &mut File, line: &str) -> io::Result<()> {
    let mut text = String::new();
    if file.metadata()?.len() > 0 && file.metadata()?.is_file() {
        let mut last = [0u8];
        file.seek(io::SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            text.push('\n');
        }
    }
    text.push_str(line);
    text.push('\n');
    file.write_all(text.as_bytes())?;
    file.sync_data().or_else(|e| if file.metadata()?.is_file() { Err(e) } else { Ok(()) })
}

/// Appending a line takes microseconds, so two seconds mean a stuck program.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(20);
