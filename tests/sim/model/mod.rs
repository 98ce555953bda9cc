//! What every server should hold, written a second time and simply: the committed transactions applied to a
//! map, with the whole past of each path, so that any answer can be compared with the state at its zxid.
//!
//! It shares the vocabulary of `proto` and the decoded transactions with the server, and nothing else: neither
//! how requests are checked (`judge`) nor how they are applied (`apply`).

mod apply;
mod judge;

pub(crate) use apply::is_stale;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use bytes::Bytes;
use zkops::wire::ids::{SessionId, Zxid};
use zkops::wire::proto::{EventType, Perms, Response, Stat};

/// One znode at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Znode {
    pub(crate) data: Option<Bytes>,
    czxid: Zxid,
    mzxid: Zxid,
    pzxid: Zxid,
    ctime_ms: i64,
    mtime_ms: i64,
    version: i32,
    /// Children ever created; what clients see is derived (client-protocol §2.11).
    created: i32,
    aversion: i32,
    owner: i64,
    /// What anyone may do.
    pub(crate) perms: i32,
    children: Rc<BTreeSet<String>>,
}

/// A path's past: what it was from each zxid on, and what happened there, both oldest first.
#[derive(Debug, Default)]
struct Past {
    states: Vec<(Zxid, Option<Rc<Znode>>)>,
    events: Vec<(Zxid, EventType)>,
    /// Sequence numbers given to children of this path, ever.
    last_sequence: Option<i32>,
}

/// The committed state and all its past.
#[derive(Debug, Default)]
pub(crate) struct Model {
    paths: BTreeMap<String, Past>,
    sessions: BTreeMap<SessionId, i32>,
    ephemerals: BTreeMap<SessionId, BTreeSet<String>>,
    /// What the client of each committed write must be told.
    outcomes: BTreeMap<Zxid, Result<Response, i32>>,
}

impl Model {
    /// A new database: `/`, `/zookeeper` and what stands below it.
    pub(crate) fn new() -> Model {
        let mut model = Model::default();
        let children = |names: &[&str]| Rc::new(names.iter().map(|name| (*name).to_owned()).collect());
        let born = |children| Znode {
            data: Some(Bytes::new()),
            czxid: Zxid::ZERO,
            mzxid: Zxid::ZERO,
            pzxid: Zxid::ZERO,
            ctime_ms: 0,
            mtime_ms: 0,
            version: 0,
            created: 0,
            aversion: 0,
            owner: 0,
            perms: Perms::ALL,
            children,
        };
        model.put("/", Zxid::ZERO, Some(born(children(&["zookeeper"]))));
        model.put("/zookeeper", Zxid::ZERO, Some(born(children(&["config", "quota"]))));
        model
    }

    /// The node as of now.
    pub(crate) fn node(&self, path: &str) -> Option<&Rc<Znode>> {
        self.paths.get(path)?.states.last()?.1.as_ref()
    }

    /// The node as it was right after `zxid`.
    pub(crate) fn node_at(&self, path: &str, zxid: Zxid) -> Option<&Rc<Znode>> {
        let states = &self.paths.get(path)?.states;
        let after = states.partition_point(|(at, _)| *at <= zxid);
        states[..after].last()?.1.as_ref()
    }

    /// What happened at a path after `since` and up to `upto`, oldest first.
    pub(crate) fn events(&self, path: &str, since: Zxid, upto: Zxid) -> &[(Zxid, EventType)] {
        let Some(past) = self.paths.get(path) else { return &[] };
        let from = past.events.partition_point(|(at, _)| *at <= since);
        let to = past.events.partition_point(|(at, _)| *at <= upto);
        &past.events[from..to.max(from)]
    }

    pub(crate) fn session_timeout_ms(&self, session: SessionId) -> Option<i32> {
        self.sessions.get(&session).copied()
    }

    pub(crate) fn sessions(&self) -> impl Iterator<Item = SessionId> + '_ {
        self.sessions.keys().copied()
    }

    pub(crate) fn outcome(&self, zxid: Zxid) -> Option<&Result<Response, i32>> {
        self.outcomes.get(&zxid)
    }

    /// Every node there is, with its path.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (&str, &Rc<Znode>)> {
        self.paths.iter().filter_map(|(path, past)| Some((path.as_str(), past.states.last()?.1.as_ref()?)))
    }

    fn put(&mut self, path: &str, zxid: Zxid, node: Option<Znode>) {
        let past = match self.paths.get_mut(path) {
            Some(past) => past,
            None => self.paths.entry(path.to_owned()).or_default(),
        };
        let node = node.map(Rc::new);
        match past.states.last_mut() {
            Some((at, state)) if *at == zxid => *state = node,
            _ => past.states.push((zxid, node)),
        }
    }

    fn happened(&mut self, path: &str, zxid: Zxid, what: EventType) {
        if let Some(past) = self.paths.get_mut(path) {
            past.events.push((zxid, what));
        }
    }
}

impl Znode {
    /// As clients see it: the derived fields derived.
    pub(crate) fn stat(&self) -> Stat {
        let count = self.children.len() as i32;
        Stat {
            czxid: self.czxid,
            mzxid: self.mzxid,
            ctime_ms: self.ctime_ms,
            mtime_ms: self.mtime_ms,
            version: self.version,
            cversion: self.created.wrapping_mul(2).wrapping_sub(count),
            aversion: self.aversion,
            ephemeral_owner: self.owner,
            data_length: self.data.as_ref().map_or(0, Bytes::len) as i32,
            num_children: count,
            pzxid: self.pzxid,
        }
    }

    pub(crate) fn children(&self) -> &BTreeSet<String> {
        &self.children
    }

    pub(crate) fn mzxid(&self) -> Zxid {
        self.mzxid
    }

    pub(crate) fn pzxid(&self) -> Zxid {
        self.pzxid
    }
}

/// A path's parent and last name.
pub(crate) fn split(path: &str) -> (&str, &str) {
    match path.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((parent, name)) => (parent, name),
        None => ("/", path),
    }
}
