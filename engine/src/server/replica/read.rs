//! Requests answered from memory: reads, and what a connection may know of itself (client-protocol §2.8, §2.9).
//! What is read is written straight into the connection's buffer; the watch that it leaves is the caller's to keep.

use bytes::Bytes;

use super::bent;
use super::bounds::toil;
use super::clients::Served;
use super::watches::Kind;
use crate::server::tree::{Children, Tree};
use crate::wire::ids::Zxid;
use crate::wire::jute::{Str, Writer};
use crate::wire::proto::{ErrorCode, Id, MultiResult, OpCode, ReplyHeader, Request, Response};

/// The table in which an answered read leaves a one-shot watch on its path.
pub(super) type Leaves = Option<Kind>;

/// Answers what asks for no more than the tree and the asker. Everything else is answered −6.
pub(super) fn answer(tree: &Tree, asker: &mut Served<'_>, xid: i32, request: &Request) -> Leaves {
    let people = asker.identities().len();
    asker.toil(toil(people, 0));
    match request {
        Request::Exists { path, watch } => {
            let found = tree.exists(path, asker.identities());
            // The one read that leaves its watch on a missing node too (§2.9).
            let leaves = *watch && matches!(found, Ok(_) | Err(ErrorCode::NoNode));
            reply(tree, asker, xid, found.map(Response::Stat));
            return leaves.then_some(Kind::Data);
        }
        Request::GetData { path, watch } => {
            let is_ok = get_data(tree, asker, xid, path);
            return (*watch && is_ok).then_some(Kind::Data);
        }
        Request::GetChildren { path, watch } | Request::GetChildren2 { path, watch } => {
            let is_ok = get_children(tree, asker, xid, path, request.op() == OpCode::GetChildren2);
            return (*watch && is_ok).then_some(Kind::Child);
        }
        Request::GetAcl { path } => {
            let found = tree.get_acl(path, asker.identities());
            reply(tree, asker, xid, found.map(|(acl, stat)| Response::Acl { acl, stat }));
        }
        Request::GetAllChildrenNumber { path } => {
            let found = tree.count_children(path, asker.identities());
            asker.toil(toil(0, found.map_or(0, |count| usize::try_from(count).unwrap_or(0))));
            reply(tree, asker, xid, found.map(Response::Number));
        }
        Request::GetEphemerals { prefix } => {
            asker.toil(toil(0, tree.ephemerals_len(asker.session())));
            let paths = tree.ephemerals_of(asker.session(), prefix.as_deref());
            reply(tree, asker, xid, Ok(Response::Names(paths.into_iter().map(Str::from).collect())));
        }
        Request::MultiRead(reads) => {
            let results = read_all(tree, asker.identities(), reads);
            asker.toil(reads.len() * (1 + toil(people, 0)));
            reply(tree, asker, xid, results.map(Response::Multi));
        }
        Request::WhoAmI => {
            let users = asker.identities().iter().map(|id| (id.scheme.as_str().into(), user(id))).collect();
            reply(tree, asker, xid, Ok(Response::WhoAmI(users)));
        }
        // Its turn is all that a sync waits for here (§2.9 TRAP).
        Request::Sync { path } => reply(tree, asker, xid, Ok(Response::Path(path.clone()))),
        Request::Ping => reply(tree, asker, xid, Ok(Response::Empty)),
        // Writes, auth and session requests never come here.
        _ => reply(tree, asker, xid, Err(ErrorCode::Unimplemented)),
    }
    None
}

/// A reply as of what the tree holds now.
pub(super) fn reply(tree: &Tree, asker: &mut Served<'_>, xid: i32, result: Result<Response, ErrorCode>) {
    let zxid = tree.last_zxid();
    asker.send(|w| match result {
        Ok(response) => {
            ReplyHeader { xid, zxid, err: 0 }.encode(w);
            response.encode(w);
        }
        Err(code) => ReplyHeader { xid, zxid, err: code.code() }.encode(w),
    });
}

fn get_data(tree: &Tree, asker: &mut Served<'_>, xid: i32, path: &Str) -> bool {
    let zxid = tree.last_zxid();
    asker.send_as(|who, w| {
        let found = tree.get_data(path, who);
        reply_header(xid, zxid, found.as_ref().err()).encode(w);
        let Ok((data, stat)) = found else { return false };
        w.buffer(data);
        stat.encode(w);
        true
    })
}

fn get_children(tree: &Tree, asker: &mut Served<'_>, xid: i32, path: &Str, with_stat: bool) -> bool {
    let zxid = tree.last_zxid();
    asker.send_as(|who, w| {
        let found = tree.get_children(path, who);
        reply_header(xid, zxid, found.as_ref().err()).encode(w);
        let Ok((children, stat)) = found else { return false };
        encode_children(&children, w);
        if with_stat {
            stat.encode(w);
        }
        true
    })
}

fn reply_header(xid: i32, zxid: Zxid, error: Option<&ErrorCode>) -> ReplyHeader {
    ReplyHeader { xid, zxid, err: error.map_or(0, |code| code.code()) }
}

/// All results, or an error if they are too much for one answer: the reference makes it, of any length, and its
/// clients drop the connection for it (client-protocol §1.10).
fn read_all(tree: &Tree, who: &[Id], reads: &[Request]) -> Result<Vec<MultiResult>, ErrorCode> {
    let mut results = Vec::new();
    let mut len = 0;
    let len_max = MULTI_READ_TXNS_MAX * tree.settings().txn_len_max;
    for read in reads {
        if len > len_max && !bent::reads_without_end() {
            return Err(ErrorCode::MarshallingError);
        }
        let result = read_one(tree, who, read);
        // Who is many people is looked up as often as it reads.
        len += who.len().saturating_sub(PEOPLE_FREE) * PERSON_LEN;
        len += match &result {
            MultiResult::Data { data, .. } => data.as_ref().map_or(0, Bytes::len),
            MultiResult::Children(names) => names.iter().map(|name| name.len() + size_of::<Str>()).sum(),
            _ => 0,
        } + size_of::<MultiResult>();
        results.push(result);
    }
    Ok(results)
}

fn read_one(tree: &Tree, who: &[Id], read: &Request) -> MultiResult {
    let result = match read {
        Request::GetData { path, .. } => tree
            .get_data(path, who)
            .map(|(data, stat)| MultiResult::Data { data: data.map(Bytes::copy_from_slice), stat }),
        Request::GetChildren { path, .. } => tree
            .get_children(path, who)
            .map(|(children, _)| MultiResult::Children(children.names().map(Str::from).collect())),
        _ => Err(ErrorCode::MarshallingError),
    };
    result.unwrap_or_else(|code| MultiResult::Error(code.code()))
}

fn encode_children(children: &Children<'_>, w: &mut Writer) {
    w.count(children.count());
    children.names().for_each(|name| w.string(name));
}

/// The user of an identity as whoAmI tells it: a digest's hash stays hidden (§2.9).
fn user(id: &Id) -> Str {
    match id.scheme.as_str() {
        "digest" => id.id.split(':').next().unwrap_or_default().into(),
        _ => id.id.as_str().into(),
    }
}

/// As how much of its answer each identity counts for each read, beyond those that clients have.
const PEOPLE_FREE: usize = 16;
const PERSON_LEN: usize = 64;
/// Longest transactions that a multiRead's results may be before no further one is read: four times what a client takes
/// (`jute.maxbuffer`), as a rule.
const MULTI_READ_TXNS_MAX: usize = 2;
