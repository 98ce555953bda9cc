//! Snapshot body → tree, from bytes that come in any pieces: a file, or the stream behind a SNAP.
//! Bounded and total on hostile bytes. Nothing is read behind the body's end.

use std::sync::Arc;

use bytes::Bytes;

use super::END;
use crate::server::tree::acl_index::Acls;
use crate::server::tree::bent;
use crate::server::tree::digest;
use crate::server::tree::node::NodeId;
use crate::server::tree::nodes::split;
use crate::server::tree::settings::Settings;
use crate::server::tree::stat::StoredStat;
use crate::server::tree::state::{self, Tree};
use crate::wire::ids::{SessionId, Zxid};
use crate::wire::jute::{Error, Result};
use crate::wire::proto::{Acl, Id};

/// Reads a whole body, and nothing behind it.
///
/// # Errors
/// Bytes that are no body, or more than one.
pub fn decode(body: Bytes, settings: Settings) -> Result<Tree> {
    let mut loader = Loader::new(settings);
    match loader.feed(&body)? {
        Some(end) if end == body.len() => loader.finish(),
        Some(end) => {
            Err(Error::Value { what: "bytes after a snapshot's end", value: (body.len() - end) as i64 })
        }
        None => Err(Error::Short { at: body.len(), missing: 1 }),
    }
}

/// Builds a tree from a body that comes in pieces.
#[derive(Debug)]
pub struct Loader {
    parser: Parser,
    tree: Tree,
    has_root: bool,
    /// Nodes come in families: the last parent is most likely the next one.
    parent: (String, NodeId),
}

impl Loader {
    pub fn new(settings: Settings) -> Loader {
        Loader {
            parser: Parser::new(settings.txn_len_max),
            tree: Tree::bare(settings),
            has_root: false,
            parent: (String::new(), NodeId::ROOT),
        }
    }

    /// Takes the next piece. `Some(n)`: the body ends after `n` bytes of this piece.
    ///
    /// # Errors
    /// Bytes that are no body: a node without parent, a node twice, an unreasonable length.
    pub fn feed(&mut self, piece: &[u8]) -> Result<Option<usize>> {
        let Loader { parser, tree, has_root, parent } = self;
        parser.feed(piece, |item| match item {
            Item::Session { .. } if bent::forgets_loaded_sessions() => Ok(()),
            Item::Session { id, timeout_ms } => {
                tree.sessions.timeouts_ms.insert(id, timeout_ms);
                Ok(())
            }
            Item::Acl { id, list } => {
                tree.acls.define(id, list);
                Ok(())
            }
            Item::Node(node) if node.path.is_empty() && !*has_root => {
                *has_root = true;
                let acl = tree.acls.hold_id(node.acl_id);
                tree.nodes.set_data(NodeId::ROOT, "", node.data);
                tree.nodes.change_stat(NodeId::ROOT, |stat| *stat = node.stat);
                tree.nodes.set_acl(NodeId::ROOT, acl);
                Ok(())
            }
            Item::Node(node) if *has_root => add(tree, parent, &node),
            Item::Node(_) => Err(Error::Value { what: "first node of a snapshot", value: 0 }),
        })
    }

    /// The tree, once [`Loader::feed`] has seen the end. Its last zxid is for the caller to set.
    ///
    /// # Errors
    /// The end was not reached, or there was no root.
    pub fn finish(self) -> Result<Tree> {
        let Loader { parser, mut tree, has_root, .. } = self;
        if !has_root || parser.section != Section::End {
            return Err(Error::Short { at: parser.position, missing: 1 });
        }
        if tree.nodes.find(state::CONFIG).is_none() {
            tree.add_config_node();
        }
        tree.acls.drop_unused();
        tree.recount_quotas();
        Ok(tree)
    }
}

fn add(tree: &mut Tree, known: &mut (String, NodeId), node: &RawNode) -> Result<()> {
    let refused = |what| Error::Value { what, value: node.path.len() as i64 };
    let (parent_path, _) = split(node.path).ok_or_else(|| refused("path of a snapshot's node"))?;
    if known.0 != parent_path {
        let parent = tree.nodes.find(parent_path);
        let parent = parent.ok_or_else(|| refused("path of a snapshot's node without parent"))?;
        *known = (parent_path.to_owned(), parent);
    }
    if tree.nodes.find(node.path).is_some() {
        return Err(refused("path of a snapshot's node that came twice"));
    }
    let acl = tree.acls.hold_id(node.acl_id);
    let id = tree.nodes.insert(known.1, node.path, node.data, node.stat, acl);
    let owner = bent::loaded_owner().unwrap_or(tree.owner(&node.stat));
    tree.sessions.node_added(id, owner);
    Ok(())
}

/// Finds a body's end in a stream, and what stands before it, without building anything.
#[derive(Debug)]
pub struct Scanner {
    parser: Parser,
}

impl Scanner {
    /// `txn_len_max`: see [`Settings`].
    pub fn new(txn_len_max: usize) -> Scanner {
        Scanner { parser: Parser::new(txn_len_max) }
    }

    /// Takes the next piece. `Some(n)`: the body ends after `n` bytes of this piece.
    ///
    /// # Errors
    /// Bytes that are no body.
    pub fn feed(&mut self, piece: &[u8]) -> Result<Option<usize>> {
        self.walk(piece, |_| Ok(()))
    }

    /// As [`Scanner::feed`], and hands out what is there, in the body's order.
    ///
    /// # Errors
    /// Bytes that are no body, and what `take` makes of one.
    pub fn walk(&mut self, piece: &[u8], take: impl FnMut(Item) -> Result<()>) -> Result<Option<usize>> {
        self.parser.feed(piece, take)
    }
}

/// One piece of a body: all sessions first, then all lists, then all nodes.
#[derive(Debug)]
pub enum Item<'a> {
    Session { id: SessionId, timeout_ms: i32 },
    Acl { id: i64, list: Arc<Acls> },
    Node(RawNode<'a>),
}

/// A node as it is written; nothing says that its parent was there.
#[derive(Debug, Clone, Copy)]
pub struct RawNode<'a> {
    /// Empty: the root.
    pub path: &'a str,
    pub data: Option<&'a [u8]>,
    pub acl_id: i64,
    pub stat: StoredStat,
}

impl RawNode<'_> {
    /// Its part of the tree's digest; the sum of all is the tree's.
    pub fn digest(&self) -> u64 {
        match self.path.starts_with(digest::OUTSIDE) {
            true => 0,
            false => digest::node(digest::prefix_crc(self.path, self.data.unwrap_or_default()), &self.stat),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    SessionCount,
    Sessions { left: usize },
    AclCount,
    Acls { left: usize },
    Nodes,
    End,
}

/// Cuts a body into items.
#[derive(Debug)]
struct Parser {
    section: Section,
    /// The beginning of an item whose end has not come yet.
    rest: Vec<u8>,
    /// Bytes of the body before `rest`.
    position: usize,
    /// Longer fields are not waited for.
    field_len_max: usize,
}

impl Parser {
    fn new(txn_len_max: usize) -> Parser {
        let field_len_max = FIELD_LEN_MAX.max(txn_len_max);
        Parser { section: Section::SessionCount, rest: Vec::new(), position: 0, field_len_max }
    }

    fn feed(&mut self, piece: &[u8], mut take: impl FnMut(Item) -> Result<()>) -> Result<Option<usize>> {
        let kept = self.rest.len();
        let mut rest = std::mem::take(&mut self.rest);
        let bytes: &[u8] = if rest.is_empty() {
            piece
        } else {
            rest.extend_from_slice(piece);
            &rest
        };
        let mut done = 0;
        while self.section != Section::End {
            let (base, field_len_max) = (self.position, self.field_len_max);
            let mut cut = Cut { bytes: &bytes[done..], at: 0, base, field_len_max };
            match self.section.item(&mut cut) {
                Ok((next, item)) => {
                    item.map_or(Ok(()), &mut take)?;
                    self.section = next;
                    self.position += cut.at;
                    done += cut.at;
                }
                Err(Stop::Short) => break,
                Err(Stop::Bad(error)) => return Err(error),
            }
        }
        if self.section == Section::End {
            // What was kept from before is all of the body: an item ends with its last byte.
            return Ok(Some(done.saturating_sub(kept)));
        }
        if bytes.len() - done > self.field_len_max.saturating_mul(ITEM_FIELDS_MAX) {
            return Err(Error::Length { at: self.position, len: (bytes.len() - done) as i64 });
        }
        self.rest = if rest.is_empty() {
            piece[done..].to_vec()
        } else {
            rest.drain(..done);
            rest
        };
        Ok(None)
    }
}

impl Section {
    /// Reads what stands here and says what stands behind it.
    fn item<'a>(self, cut: &mut Cut<'a>) -> Cutting<(Section, Option<Item<'a>>)> {
        Ok(match self {
            Section::SessionCount => (Section::Sessions { left: cut.count()? }, None),
            Section::Sessions { left: 0 } => (Section::AclCount, None),
            Section::Sessions { left } => {
                let session = Item::Session { id: SessionId(cut.long()?), timeout_ms: cut.int()? };
                (Section::Sessions { left: left - 1 }, Some(session))
            }
            Section::AclCount => (Section::Acls { left: cut.count()? }, None),
            Section::Acls { left: 0 } => (Section::Nodes, None),
            Section::Acls { left } => {
                let acl = Item::Acl { id: cut.long()?, list: cut.acl_list()? };
                (Section::Acls { left: left - 1 }, Some(acl))
            }
            Section::Nodes => match cut.text()? {
                END => (Section::End, None),
                path => {
                    let node = RawNode { path, data: cut.buffer()?, acl_id: cut.long()?, stat: cut.stat()? };
                    (Section::Nodes, Some(Item::Node(node)))
                }
            },
            Section::End => (Section::End, None),
        })
    }
}

/// Why an item was not read.
enum Stop {
    /// Its end has not come yet.
    Short,
    Bad(Error),
}

type Cutting<T> = std::result::Result<T, Stop>;

/// A cursor that tells "not yet" from "never". (`jute::Reader` has all bytes from the start.)
struct Cut<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Bytes of the body before these, for messages.
    base: usize,
    field_len_max: usize,
}

impl<'a> Cut<'a> {
    fn take(&mut self, len: usize) -> Cutting<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at + len).ok_or(Stop::Short)?;
        self.at += len;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Cutting<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn int(&mut self) -> Cutting<i32> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    fn long(&mut self) -> Cutting<i64> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    fn count(&mut self) -> Cutting<usize> {
        let at = self.base + self.at;
        let count = self.int()?;
        usize::try_from(count).map_err(|_| Stop::Bad(Error::Length { at, len: count.into() }))
    }

    fn buffer(&mut self) -> Cutting<Option<&'a [u8]>> {
        let at = self.base + self.at;
        let len = self.int()?;
        match usize::try_from(len) {
            Ok(len) if len <= self.field_len_max => self.take(len).map(Some),
            Err(_) if len == -1 => Ok(None),
            _ => Err(Stop::Bad(Error::Length { at, len: len.into() })),
        }
    }

    fn text(&mut self) -> Cutting<&'a str> {
        let at = self.base + self.at;
        let bytes = self.buffer()?.ok_or(Stop::Bad(Error::Null { at }))?;
        std::str::from_utf8(bytes).map_err(|_| Stop::Bad(Error::Utf8 { at }))
    }

    /// Ids as the reference reads them: what is not UTF-8 becomes U+FFFD.
    fn text_lossy(&mut self) -> Cutting<String> {
        let at = self.base + self.at;
        let bytes = self.buffer()?.ok_or(Stop::Bad(Error::Null { at }))?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    fn acl_list(&mut self) -> Cutting<Arc<Acls>> {
        let at = self.base + self.at;
        let count = self.count()?;
        if count > self.field_len_max / Acl::LEN_MIN {
            return Err(Stop::Bad(Error::Length { at, len: count as i64 }));
        }
        let mut list = Vec::new();
        for _ in 0..count {
            let perms = self.int()?;
            let (scheme, id) = (self.text_lossy()?, self.text_lossy()?);
            list.push(Acl { perms, id: Id { scheme, id } });
        }
        Ok(Acls::shared(list))
    }

    fn stat(&mut self) -> Cutting<StoredStat> {
        Ok(StoredStat {
            czxid: Zxid(self.long()?),
            mzxid: Zxid(self.long()?),
            ctime_ms: self.long()?,
            mtime_ms: self.long()?,
            version: self.int()?,
            cversion: self.int()?,
            aversion: self.int()?,
            owner: self.long()?,
            pzxid: Zxid(self.long()?),
        })
    }
}

/// The longest field, or what `jute.maxbuffer` allows if that is more: it may have been larger in earlier days.
const FIELD_LEN_MAX: usize = 64 << 20;
/// A path and data of such length, and a piece behind them.
const ITEM_FIELDS_MAX: usize = 4;
