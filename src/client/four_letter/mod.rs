//! The four-letter words, asked from outside (operations §8.1, §8.2), and `srvr` and `mntr` as types.
//! Which words a server answers is its whitelist's matter: by default `srvr` alone.

mod mntr;
mod srvr;

use std::io;
use std::str::FromStr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Route, Server};

pub use mntr::Mntr;
pub use srvr::{Latency, Srvr};

/// Why there is no answer to a word.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no connection: {0}")]
    Connect(io::Error),
    #[error("no answer to {word:?} within {ms} ms")]
    Timeout { word: String, ms: u64 },
    #[error("connection lost while waiting for the answer to {word:?}: {why}")]
    Lost { word: String, why: io::Error },
    /// The server closed without a word: no ZooKeeper server, or one that does not know the word.
    #[error(
        "{0:?} was answered with nothing: the port belongs to something else, or the word is unknown there"
    )]
    Silent(String),
    #[error(
        "{0:?} is not in the server's 4lw.commands.whitelist: add it to zoo.cfg and restart, or ask srvr"
    )]
    NotWhitelisted(String),
    /// It runs, but has no leader (§8.1).
    #[error("the server is up but not serving: it has no leader")]
    NotServing,
    #[error("the answer to {word:?} is longer than {ANSWER_BYTES_MAX} bytes")]
    TooLong { word: String },
    #[error("the answer to {word:?} lacks a readable {field:?} line")]
    Malformed { word: &'static str, field: &'static str },
}

/// What a server says it is, the `Mode:` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    Standalone,
    Leader,
    Follower,
    Observer,
    ReadOnly,
}

impl Mode {
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Standalone => "standalone",
            Mode::Leader => "leader",
            Mode::Follower => "follower",
            Mode::Observer => "observer",
            Mode::ReadOnly => "read-only",
        }
    }
}

impl FromStr for Mode {
    type Err = ();

    fn from_str(text: &str) -> Result<Mode, ()> {
        [Mode::Standalone, Mode::Leader, Mode::Follower, Mode::Observer, Mode::ReadOnly]
            .into_iter()
            .find(|mode| mode.name() == text)
            .ok_or(())
    }
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Sends `word` on a connection of its own and reads until the server closes it, all within `deadline`.
///
/// # Errors
/// See [`Error`]; the two refusals every server knows are told apart from answers.
pub async fn ask(route: &Route, server: &Server, word: &str, deadline: Duration) -> Result<String, Error> {
    let late = || Error::Timeout {
        word: word.to_owned(),
        ms: u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX),
    };
    let answer =
        tokio::time::timeout(deadline, exchange(route, server, word)).await.map_err(|_| late())??;
    told(word, answer)
}

/// What was answered to `word`, whoever asked: the refusals that every server knows are told apart.
///
/// # Errors
/// [`Error::Silent`], [`Error::NotWhitelisted`], [`Error::NotServing`].
pub fn told(word: &str, answer: String) -> Result<String, Error> {
    if answer.is_empty() {
        return Err(Error::Silent(word.to_owned()));
    }
    if answer.ends_with("is not executed because it is not in the whitelist.\n") {
        return Err(Error::NotWhitelisted(word.to_owned()));
    }
    if answer.trim_end() == "This ZooKeeper instance is not currently serving requests" {
        return Err(Error::NotServing);
    }
    Ok(answer)
}

/// `srvr`, parsed.
///
/// # Errors
/// As [`ask`], or an answer that is none.
pub async fn srvr(route: &Route, server: &Server, deadline: Duration) -> Result<Srvr, Error> {
    ask(route, server, "srvr", deadline).await?.parse()
}

/// `mntr`, parsed. Often not whitelisted: fall back to [`srvr()`].
///
/// # Errors
/// As [`ask`], or an answer that is none.
pub async fn mntr(route: &Route, server: &Server, deadline: Duration) -> Result<Mntr, Error> {
    ask(route, server, "mntr", deadline).await?.parse()
}

async fn exchange(route: &Route, server: &Server, word: &str) -> Result<String, Error> {
    let lost = |why| Error::Lost { word: word.to_owned(), why };
    let mut link = route.open(server.clone()).await.map_err(Error::Connect)?;
    link.writer.write_all(word.as_bytes()).await.map_err(lost)?;
    link.writer.flush().await.map_err(lost)?;
    let mut answer = Vec::new();
    match (&mut link.reader).take(ANSWER_BYTES_MAX + 1).read_to_end(&mut answer).await {
        Ok(_) => {}
        // A server may reset instead of closing once it has said everything.
        Err(_) if !answer.is_empty() => {}
        Err(why) => return Err(lost(why)),
    }
    if answer.len() as u64 > ANSWER_BYTES_MAX {
        return Err(Error::TooLong { word: word.to_owned() });
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The longest answer taken; `wchc` of a busy server is the largest there is.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

#[cfg(test)]
mod tests;
