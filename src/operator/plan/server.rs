//! A member's server, asked two ways: at its client port from the operator's machine, and by the
//! agent on its own host. Each way says by name why it does not see; [`Sight`] is what both prove.
//! It asks nobody.

use super::seen::Seen;
use crate::wire::ids::Zxid;

/// What was seen of one server, by each way of asking.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Server {
    /// At its client port from here, or carried behind a jump host.
    pub from_here: ServerView,
    /// At its client port by the agent on its own host.
    pub on_host: ServerView,
}

/// What one way of asking came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ServerView {
    /// This way was not taken.
    #[default]
    Unasked,
    /// It was, and nothing was learnt of the server.
    Blind(Blind),
    /// The server itself says that it serves nobody: no leader, or not yet synced. Its words.
    NotServing {
        words: String,
    },
    Serving(Box<ServerFacts>),
}

/// Why a way of asking does not see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blind {
    pub cause: BlindCause,
    /// How the attempt ended, in words.
    pub why: String,
}

/// The kinds of not seeing, because they are mended in different places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BlindCause {
    /// Packets are dropped, or it hangs.
    Timeout,
    /// The host answers, nobody listens there.
    Refused,
    NoRoute,
    /// Accepted and closed without a word: whoever asks has used up the server's connections.
    Limit,
    /// The word is not in the server's whitelist.
    Whitelist,
    /// It answers, but not as a server does.
    Odd,
    /// The agent on the host could not ask.
    Agent,
    /// The host itself is not reached.
    HostAway,
}

/// What both ways together prove of a server.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Sight<'a> {
    /// One way or the other shows that it serves.
    Serving(&'a ServerFacts),
    /// It says that it does not, or its host proves that no process of it runs.
    NotServing(String),
    /// Nothing is proven; what each way came to.
    Unseen(String),
}

#[derive(Clone, Debug, PartialEq)]
pub struct ServerFacts {
    pub mode: Mode,
    pub zxid: Zxid,
    pub version: String,
    pub connections: u64,
    pub uptime_ms: Option<u64>,
    /// Free where its data is; `None`: it does not say.
    pub disk_free_bytes: Option<u64>,
    /// What it was started with is no more what its next start would find: another zoo.cfg; absent: it does not say.
    pub config_changed: Seen<bool>,
    /// The same of its data: its directory was moved or removed under it.
    pub data_moved: Seen<bool>,
    /// A leader's own count of voters that follow in sync; absent for those who do not lead.
    pub synced_followers: Seen<u32>,
    /// A leader's own count of observers in sync; absent for those who do not lead.
    pub synced_observers: Seen<u32>,
    /// A commit asked for through this server; `None`: not tried.
    pub canary: Option<Canary>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Standalone,
    Leader,
    Follower,
    Observer,
    ReadOnly,
}

impl Mode {
    pub fn word(self) -> &'static str {
        match self {
            Mode::Standalone => "standalone",
            Mode::Leader => "leader",
            Mode::Follower => "follower",
            Mode::Observer => "observer",
            Mode::ReadOnly => "read-only",
        }
    }
}

/// A transaction that changes nothing, sent through one server and committed by a quorum.
#[derive(Clone, Debug, PartialEq)]
pub enum Canary {
    Committed { zxid: Zxid, latency_us: u64 },
    Failed { why: String },
}

impl ServerView {
    pub fn blind(cause: BlindCause, why: impl Into<String>) -> ServerView {
        ServerView::Blind(Blind { cause, why: why.into() })
    }

    pub fn serving(&self) -> Option<&ServerFacts> {
        match self {
            ServerView::Serving(server) => Some(server),
            ServerView::Unasked | ServerView::Blind(_) | ServerView::NotServing { .. } => None,
        }
    }

    pub fn asked(&self) -> bool {
        *self != ServerView::Unasked
    }
}

impl Server {
    /// Seen from here alone.
    pub fn from_here(view: ServerView) -> Server {
        Server { from_here: view, on_host: ServerView::Unasked }
    }

    pub fn asked(&self) -> bool {
        self.from_here.asked() || self.on_host.asked()
    }

    /// What the server itself says, by whichever way sees it; the way from here goes first, because
    /// it is the clients' and carries the canary.
    pub fn serving(&self) -> Option<&ServerFacts> {
        self.from_here.serving().or_else(|| self.on_host.serving())
    }

    /// Its words, when it says that it serves nobody and no way shows the contrary.
    pub(crate) fn not_serving(&self) -> Option<&str> {
        if self.serving().is_some() {
            return None;
        }
        [&self.from_here, &self.on_host].into_iter().find_map(|view| match view {
            ServerView::NotServing { words } => Some(words.as_str()),
            _ => None,
        })
    }

    /// What each way that was taken came to, for people; empty where the server is seen.
    pub(crate) fn blindness(&self) -> Vec<String> {
        let ways = [("from here", &self.from_here), ("on its host", &self.on_host)];
        let blind = ways.into_iter().filter_map(|(way, view)| match view {
            ServerView::Blind(blind) => Some(format!("asked {way}: {}", blind.why)),
            ServerView::Unasked | ServerView::NotServing { .. } | ServerView::Serving(_) => None,
        });
        blind.collect()
    }
}
