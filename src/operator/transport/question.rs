//! What a human may be asked on the way to a host, and who asks. It knows no terminal: that is the caller's.

use std::path::PathBuf;

use zeroize::Zeroizing;

/// A passphrase or password; wiped from memory when dropped.
pub type Secret = Zeroizing<String>;

/// Who answers questions. Called on a thread where blocking is allowed, one question at a time.
pub trait Prompt: Send + Sync + 'static {
    /// `None`: there is nobody to ask, or they gave up. It is not asked again for this run.
    fn ask(&self, question: &Question) -> Option<Secret>;
}

/// What a human may be asked. Answers must not be echoed, but the one about a host key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// The passphrase of an encrypted private key that the host accepts. `attempt` counts from 1.
    Passphrase { key: PathBuf, attempt: u32 },
    /// The login password (only while a key is being installed). `attempt` counts from 1.
    Password { user: String, host: String, attempt: u32 },
    /// The password that sudo wants of this user; the first one is tried on all hosts. `attempt` counts from 1.
    Sudo { user: String, host: String, attempt: u32 },
    /// Whether this is the host: the type and SHA-256 fingerprint of a key that nobody has recorded. The answer is yes,
    /// or the fingerprint; everything else is no.
    HostKey { host: String, algorithm: String, fingerprint: String, file: PathBuf },
}

impl Question {
    /// The answer says that it is the host.
    pub(super) fn is_trusted_by(&self, answer: &str) -> bool {
        let answer = answer.trim();
        answer.eq_ignore_ascii_case("yes")
            || matches!(self, Question::HostKey { fingerprint, .. } if fingerprint == answer)
    }
}
