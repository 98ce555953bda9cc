//! A committed transaction on the model: is it what its request must become, and what is its client told?

use std::rc::Rc;

use bytes::Bytes;
use zkops::server::tree::{CreatedNode, Txn, TxnBody};
use zkops::wire::ids::{SessionId, Zxid};
use zkops::wire::proto::{CreateMode, ErrorCode, EventType, MultiResult, Request, Response};

use super::judge::{Verdict, grants};
use super::{Model, Znode, split};

/// The runtime-inconsistency code behind the failing op of a multi (client-protocol §2.7).
const AFTER_FAILURE: i32 = -2;

impl Model {
    /// Applies a transaction. `request` is what the client sent under its session and cxid, if a client did.
    pub(crate) fn apply(&mut self, txn: &Txn, request: Option<&Request>) -> Result<(), String> {
        let (zxid, session) = (txn.header.zxid, txn.header.session);
        match (&txn.body, request) {
            (TxnBody::CreateSession { timeout_ms }, None) => {
                if let Some(timeout_ms) = self.sessions.insert(session, *timeout_ms) {
                    return Err(format!("{session} is created again; its timeout was {timeout_ms} ms"));
                }
            }
            (TxnBody::CloseSession { paths }, None | Some(Request::CloseSession)) => {
                self.close_session(session, zxid, paths.as_deref())?;
                if request.is_some() {
                    self.outcomes.insert(zxid, Ok(Response::Empty));
                }
            }
            // Where a session speaks through, the model does not know: a request may always be refused for that.
            (body, Some(_)) if is_moved(body) => {}
            (TxnBody::Error(code), Some(request)) => {
                self.must_refuse(session, request, *code)?;
                self.outcomes.insert(zxid, Err(*code));
            }
            (body, Some(request)) => {
                let verdict = self.judge(session, request);
                let outcome = self.carry_out(txn, body, request, &verdict)?;
                self.outcomes.insert(zxid, Ok(outcome));
            }
            (body, None) => return Err(format!("nobody asked for {body:?}")),
        }
        Ok(())
    }

    /// A refusal must be the one that the state calls for.
    fn must_refuse(&self, session: SessionId, request: &Request, code: i32) -> Result<(), String> {
        match self.judge(session, request) {
            Verdict::Refused(expected) if expected == code => Ok(()),
            verdict => Err(format!("{request:?} was refused with {code}, but should be {verdict:?}")),
        }
    }

    fn carry_out(
        &mut self,
        txn: &Txn,
        body: &TxnBody,
        request: &Request,
        verdict: &Verdict,
    ) -> Result<Response, String> {
        let wrong = || format!("{request:?} became {body:?}, but should be {verdict:?}");
        if let (TxnBody::Multi(subs), Request::Multi(ops)) = (body, request) {
            if subs.len() != ops.len() {
                return Err(wrong());
            }
            return match verdict {
                Verdict::MultiFails { at, code } => failed_multi(subs, *at, *code).ok_or_else(wrong),
                Verdict::Multi(verdicts) => {
                    let mut results = Vec::new();
                    for ((sub, op), verdict) in subs.iter().zip(ops).zip(verdicts) {
                        let response = self.carry_out_op(txn, &sub.body, op, verdict).ok_or_else(wrong)?;
                        results.push(multi_result(response, op));
                    }
                    Ok(Response::Multi(results))
                }
                // A multi whose session is gone or has moved fails as a whole, in its first op.
                Verdict::Refused(code) => failed_multi(subs, 0, *code).ok_or_else(wrong),
                _ => Err(wrong()),
            };
        }
        self.carry_out_op(txn, body, request, verdict).ok_or_else(wrong)
    }

    fn carry_out_op(
        &mut self,
        txn: &Txn,
        body: &TxnBody,
        request: &Request,
        verdict: &Verdict,
    ) -> Option<Response> {
        let (zxid, time_ms) = (txn.header.zxid, txn.header.time_ms);
        match (body, verdict, request) {
            (
                TxnBody::Create(create),
                Verdict::Create { path, mode, sequence },
                Request::Create(asked) | Request::Create2(asked),
            ) => {
                let plain = CreatedNode::Plain { ephemeral: mode.is_ephemeral() };
                if create.path != path.as_str() || create.data != asked.data || create.node != plain {
                    return None;
                }
                let perms = grants(asked.acl.as_deref());
                let session = txn.header.session;
                self.create(path, asked.data.clone(), perms, *mode, *sequence, zxid, time_ms, session)?;
                Some(match request {
                    Request::Create(_) => Response::Create { path: create.path.clone() },
                    _ => Response::Create2 { path: create.path.clone(), stat: self.node(path)?.stat() },
                })
            }
            (TxnBody::Delete { path }, Verdict::Delete { path: expected }, _)
                if *path == expected.as_str() =>
            {
                self.delete(path, zxid);
                Some(Response::Empty)
            }
            (
                TxnBody::SetData { path, data, version },
                Verdict::Set { path: expected, version: v },
                Request::SetData { data: asked, .. },
            ) if *path == expected.as_str() && version == v && data == asked => {
                let mut node = (**self.node(path)?).clone();
                (node.data, node.version) = (data.clone(), *version);
                (node.mzxid, node.mtime_ms) = (zxid, time_ms);
                let stat = node.stat();
                self.put(path, zxid, Some(node));
                self.happened(path, zxid, EventType::NodeDataChanged);
                Some(Response::Stat(stat))
            }
            (
                TxnBody::SetAcl { path, version, .. },
                Verdict::SetAcl { path: expected, version: v },
                Request::SetAcl { acl, .. },
            ) if *path == expected.as_str() && version == v => {
                let mut node = (**self.node(path)?).clone();
                node.aversion = *version;
                node.perms = grants(acl.as_deref());
                let stat = node.stat();
                self.put(path, zxid, Some(node));
                Some(Response::Stat(stat))
            }
            (TxnBody::Check { .. }, Verdict::Check, _) => Some(Response::Empty),
            _ => None,
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn create(
        &mut self,
        path: &str,
        data: Option<Bytes>,
        perms: i32,
        mode: CreateMode,
        sequence: Option<i32>,
        zxid: Zxid,
        time_ms: i64,
        session: SessionId,
    ) -> Option<()> {
        let (parent_path, name) = split(path);
        let mut parent = (**self.node(parent_path)?).clone();
        Rc::make_mut(&mut parent.children).insert(name.to_owned());
        parent.created += 1;
        parent.pzxid = zxid;
        self.put(parent_path, zxid, Some(parent));
        if let Some(number) = sequence {
            // Never the same number twice while the parent lives.
            let past = self.paths.get_mut(parent_path)?;
            if past.last_sequence.is_some_and(|last| number <= last) {
                return None;
            }
            past.last_sequence = Some(number);
        }
        let owner = if mode.is_ephemeral() { session.0 } else { 0 };
        let node = Znode {
            data,
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime_ms: time_ms,
            mtime_ms: time_ms,
            version: 0,
            created: 0,
            aversion: 0,
            owner,
            perms,
            children: Rc::default(),
        };
        self.put(path, zxid, Some(node));
        if mode.is_ephemeral() {
            self.ephemerals.entry(session).or_default().insert(path.to_owned());
        }
        self.happened(path, zxid, EventType::NodeCreated);
        self.happened(parent_path, zxid, EventType::NodeChildrenChanged);
        Some(())
    }

    fn delete(&mut self, path: &str, zxid: Zxid) {
        let (parent_path, name) = split(path);
        if let Some(owner) = self.node(path).map(|node| node.owner)
            && let Some(paths) = self.ephemerals.get_mut(&SessionId(owner))
        {
            paths.remove(path);
        }
        self.put(path, zxid, None);
        if let Some(past) = self.paths.get_mut(path) {
            past.last_sequence = None;
        }
        if let Some(parent) = self.node(parent_path) {
            let mut parent = (**parent).clone();
            Rc::make_mut(&mut parent.children).remove(name);
            parent.pzxid = zxid;
            self.put(parent_path, zxid, Some(parent));
        }
        self.happened(path, zxid, EventType::NodeDeleted);
        self.happened(parent_path, zxid, EventType::NodeChildrenChanged);
    }

    fn close_session(
        &mut self,
        session: SessionId,
        zxid: Zxid,
        listed: Option<&[zkops::wire::jute::Str]>,
    ) -> Result<(), String> {
        // Two closes may be on their way at once; the second finds nothing (quorum §3.2).
        self.sessions.remove(&session);
        let owned = self.ephemerals.remove(&session).unwrap_or_default();
        if let Some(listed) = listed {
            let listed: std::collections::BTreeSet<String> = listed.iter().map(|p| p.to_string()).collect();
            if listed != owned {
                return Err(format!("the end of {session} lists {listed:?}, but it owns {owned:?}"));
            }
        }
        for path in owned {
            self.delete(&path, zxid);
        }
        Ok(())
    }
}

/// Whether a request came too late for its session: that speaks through another server now, or is gone.
pub(crate) fn is_stale(body: &TxnBody) -> bool {
    is_moved(body) || fails_with(body, ErrorCode::SessionExpired)
}

/// Whether a request was refused because its session speaks through another server now.
fn is_moved(body: &TxnBody) -> bool {
    fails_with(body, ErrorCode::SessionMoved)
}

fn fails_with(body: &TxnBody, code: ErrorCode) -> bool {
    match body {
        TxnBody::Error(found) => *found == code.code(),
        TxnBody::Multi(subs) => subs.iter().any(|sub| fails_with(&sub.body, code)),
        _ => false,
    }
}

/// A failed multi's record and answer: nothing before the failing op counts, its code, −2 behind it.
fn failed_multi(subs: &[zkops::server::tree::SubTxn], at: usize, code: i32) -> Option<Response> {
    let mut results = Vec::new();
    for (index, sub) in subs.iter().enumerate() {
        let expected = match index.cmp(&at) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => code,
            std::cmp::Ordering::Greater => AFTER_FAILURE,
        };
        match sub.body {
            TxnBody::Error(found) if index >= at && found == expected => {}
            TxnBody::Error(_) => return None,
            _ if index >= at => return None,
            _ => {}
        }
        results.push(MultiResult::Error(expected));
    }
    Some(Response::Multi(results))
}

fn multi_result(response: Response, op: &Request) -> MultiResult {
    match (response, op) {
        (Response::Create { path }, _) => MultiResult::Create { path },
        (Response::Create2 { path, stat }, _) => MultiResult::Create2 { path, stat },
        (Response::Stat(stat), _) => MultiResult::SetData(stat),
        (_, Request::Check { .. }) => MultiResult::Check,
        _ => MultiResult::Delete,
    }
}
