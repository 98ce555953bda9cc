//! One znode of a snapshot: for people, for machines, and which ones are asked for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Serialize, Serializer};

use super::question::{Znode, holds};
use super::{entry, text};
use crate::server::tree::snapshot::RawNode;
use crate::wire::ids::SessionId;
use crate::wire::proto::{Acl, Owner};

/// The lists of a snapshot by number; all come before the first znode.
#[derive(Debug, Default)]
pub struct Lists(BTreeMap<i64, String>);

/// Which znodes; nothing said: all.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    pub below: Option<Znode>,
    /// Ephemerals of this session.
    pub session: Option<SessionId>,
    /// Stands in the path or in the data.
    pub text: Option<String>,
}

/// What of each is shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shown {
    pub stat: bool,
    pub acl: bool,
    pub data: bool,
}

#[derive(Debug, Serialize)]
#[serde(tag = "event", rename = "znode")]
pub struct Told {
    path: String,
    data_len: Option<usize>,
    data: Option<String>,
    data_base64: Option<String>,
    version: i32,
    cversion: i32,
    aversion: i32,
    czxid: String,
    mzxid: String,
    pzxid: String,
    ctime: String,
    mtime: String,
    mode: &'static str,
    session: Option<String>,
    ttl_ms: Option<i64>,
    acl: Option<String>,
}

/// Where a znode comes from, as a snapshot tells it.
#[derive(Debug, Serialize)]
pub struct Origin {
    file: String,
    czxid: String,
    ctime: String,
    mode: &'static str,
    #[serde(serialize_with = "shown")]
    pub session: Option<SessionId>,
}

impl Origin {
    pub fn of(node: &RawNode, file: &str) -> Origin {
        let (mode, session) = match owner(node) {
            Owner::None => ("persistent", None),
            Owner::Session(session) => ("ephemeral", Some(session)),
            Owner::Container => ("container", None),
            Owner::Ttl { .. } => ("ttl", None),
        };
        let stat = &node.stat;
        let (czxid, ctime) = (stat.czxid.to_string(), text::time(stat.ctime_ms));
        Origin { file: file.to_owned(), czxid, ctime, mode, session }
    }

    /// One line, for people.
    pub fn line(&self) -> String {
        let Origin { file, czxid, ctime, mode, .. } = self;
        let session = self.session.map(|session| format!(" of session {session}")).unwrap_or_default();
        format!("created {ctime} ({czxid}), {mode}{session}: so says {}", text::plain(file))
    }
}

fn shown<S: Serializer>(session: &Option<SessionId>, to: S) -> Result<S::Ok, S::Error> {
    session.map(|session| session.to_string()).serialize(to)
}

impl Lists {
    pub fn define(&mut self, id: i64, list: &[Acl]) {
        self.0.insert(id, text::acl(list));
    }

    /// `None`: the snapshot has no list of that number.
    pub(super) fn get(&self, id: i64) -> Option<&str> {
        match id {
            OPEN_ID => Some(OPEN),
            id => self.0.get(&id).map(String::as_str),
        }
    }
}

impl Wanted {
    pub fn takes(&self, node: &RawNode) -> bool {
        let path = path(node);
        let says = |text: &String| {
            holds(path.as_bytes(), text.as_bytes()) || holds(node.data.unwrap_or_default(), text.as_bytes())
        };
        self.below.as_ref().is_none_or(|below| below.covers(path))
            && self.session.is_none_or(|session| owner(node) == Owner::Session(session))
            && self.text.as_ref().is_none_or(says)
    }
}

/// What stands above the lines.
pub fn header() -> String {
    format!("{:<24}  {:<12}  {:>7}  {:>8}  {:<18}  PATH\n", "MODIFIED", "MZXID", "VERSION", "BYTES", "OWNER")
}

/// A line, with those below it that are asked for.
pub fn line(node: &RawNode, lists: &Lists, shown: Shown) -> String {
    let stat = &node.stat;
    let owned = match owner(node) {
        Owner::None => "-".to_owned(),
        Owner::Session(session) => session.to_string(),
        Owner::Container => "container".to_owned(),
        Owner::Ttl { ms } => format!("ttl {ms} ms"),
    };
    let bytes = node.data.map_or_else(|| "-".to_owned(), |data| data.len().to_string());
    let (time, mzxid, version) = (text::time(stat.mtime_ms), stat.mzxid.to_string(), stat.version);
    let path = text::plain(path(node));
    let mut line = format!("{time:<24}  {mzxid:<12}  {version:>7}  {bytes:>8}  {owned:<18}  {path}\n");
    if shown.stat {
        let (created, czxid, pzxid) = (text::time(stat.ctime_ms), stat.czxid, stat.pzxid);
        let (cversion, aversion) = (stat.cversion, stat.aversion);
        _ = writeln!(
            line,
            "    created {created}, czxid {czxid}, pzxid {pzxid}, cversion {cversion}, aversion {aversion}"
        );
    }
    if shown.acl || shown.stat {
        _ = writeln!(line, "    acl {}", acl(node, lists));
    }
    if let Some(data) = node.data.filter(|data| shown.data && !data.is_empty()) {
        _ = writeln!(line, "    data {}", text::data(data));
    }
    line
}

pub fn document(node: &RawNode, lists: &Lists, shown: Shown) -> Told {
    let stat = &node.stat;
    let (data, data_base64) = node.data.filter(|_| shown.data).map_or((None, None), entry::written);
    let (mode, session, ttl_ms) = match owner(node) {
        Owner::None => ("persistent", None, None),
        Owner::Session(session) => ("ephemeral", Some(session.to_string()), None),
        Owner::Container => ("container", None, None),
        Owner::Ttl { ms } => ("ttl", None, Some(ms)),
    };
    Told {
        path: path(node).to_owned(),
        data_len: node.data.map(<[u8]>::len),
        data,
        data_base64,
        version: stat.version,
        cversion: stat.cversion,
        aversion: stat.aversion,
        czxid: stat.czxid.to_string(),
        mzxid: stat.mzxid.to_string(),
        pzxid: stat.pzxid.to_string(),
        ctime: text::time(stat.ctime_ms),
        mtime: text::time(stat.mtime_ms),
        mode,
        session,
        ttl_ms,
        acl: lists.get(node.acl_id).map(str::to_owned),
    }
}

/// As clients call it: in the file the root's path is empty.
pub(super) fn path<'a>(node: &RawNode<'a>) -> &'a str {
    if node.path.is_empty() { "/" } else { node.path }
}

/// A number that says TTL is one: no server gives out session ids that begin so, unless it is the 255th.
pub(super) fn owner(node: &RawNode) -> Owner {
    Owner::from_stored(node.stat.owner, true)
}

pub(super) fn acl<'a>(node: &RawNode, lists: &'a Lists) -> Cow<'a, str> {
    let unknown = || format!("list {}, which the snapshot does not have", node.acl_id).into();
    lists.get(node.acl_id).map_or_else(unknown, Cow::from)
}

/// What the reference writes for `world:anyone:cdrwa` of the nodes that it makes itself.
const OPEN_ID: i64 = -1;
const OPEN: &str = "world:anyone:cdrwa";
