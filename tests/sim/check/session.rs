//! What a client is told (client-protocol §1.8, §2): replies in order, writes with the result that the state
//! machine gives them and a zxid later than everything acknowledged before they were asked, reads with the state
//! at their zxid, never going back, a sync that has seen all that was acknowledged before it.

use zkops::server::tree::Txn;
use zkops::wire::ids::{SessionId, Zxid};
use zkops::wire::proto::{ErrorCode, OpCode, Request, Response};

use super::Checks;

/// A request on the wire, as its client remembers it.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) session: SessionId,
    pub(crate) xid: i32,
    pub(crate) request: Request,
    /// The newest write that anybody had been told of when it was asked.
    pub(crate) acked_before: Zxid,
}

impl Checks {
    /// A reply has reached its client. `seen` is the newest zxid the session has seen.
    pub(crate) fn replied(
        &mut self,
        sent: &Sent,
        zxid: Zxid,
        err: i32,
        response: Option<&Response>,
        seen: Zxid,
    ) {
        if zxid < seen && zxid.0 > 0 {
            let what = format!("{} got {zxid} for {:?} after {seen}", sent.session, sent.request);
            return self.fail("session monotone", what);
        }
        let op = sent.request.op();
        if op.is_write() {
            self.write_replied(sent, zxid, err, response);
        } else if op == OpCode::Sync {
            if zxid < sent.acked_before {
                let what = format!(
                    "a sync of {} gave {zxid}, {} was acknowledged before",
                    sent.session, sent.acked_before
                );
                self.fail("sync", what);
            }
        } else {
            self.read_replied(sent, zxid, err, response);
        }
    }

    fn write_replied(&mut self, sent: &Sent, zxid: Zxid, err: i32, response: Option<&Response>) {
        let Some(txn) = self.committed_txn(zxid) else {
            let what = format!(
                "{:?} of {} is answered with {zxid}, which is not committed",
                sent.request, sent.session
            );
            return self.fail("ack without commit", what);
        };
        let header = match Txn::decode(txn.clone()) {
            Ok(txn) => txn.header,
            Err(error) => return self.fail("txn", format!("{zxid}: {error}")),
        };
        if header.session != sent.session || header.cxid != sent.xid {
            let what = format!(
                "{:?} of {} is answered with {zxid}, which is cxid {} of {}",
                sent.request, sent.session, header.cxid, header.session
            );
            return self.fail("reply", what);
        }
        if zxid <= sent.acked_before {
            let what =
                format!("{:?} became {zxid} after {} was acknowledged", sent.request, sent.acked_before);
            return self.fail("real-time order", what);
        }
        let told = match err {
            0 => Ok(response.cloned()),
            code => Err(code),
        };
        let expected = self.model.outcome(zxid).cloned().map(|outcome| outcome.map(Some));
        if expected.as_ref() != Some(&told) {
            let what = format!("{:?} at {zxid}: told {told:?}, should be {expected:?}", sent.request);
            return self.fail("write result", what);
        }
        self.acked = self.acked.max(zxid);
    }

    fn read_replied(&mut self, sent: &Sent, zxid: Zxid, err: i32, response: Option<&Response>) {
        let (Request::GetData { path, .. }
        | Request::Exists { path, .. }
        | Request::GetChildren { path, .. }
        | Request::GetChildren2 { path, .. }) = &sent.request
        else {
            return;
        };
        if zxid > self.last_committed() && !zxid.is_epoch_start() {
            let what = format!("{:?} shows {zxid}, which is not committed", sent.request);
            return self.fail("dirty read", what);
        }
        let node = self.model.node_at(path, zxid).cloned();
        let fits = match (&node, err, response) {
            (None, code, _) => code == ErrorCode::NoNode.code(),
            (Some(node), 0, Some(Response::Data { data, stat })) => {
                *data == node.data && *stat == node.stat()
            }
            (Some(node), 0, Some(Response::Stat(stat))) => *stat == node.stat(),
            (Some(node), 0, Some(Response::Names(names))) => same_names(names, node.children()),
            (Some(node), 0, Some(Response::Children2 { names, stat })) => {
                same_names(names, node.children()) && *stat == node.stat()
            }
            _ => false,
        };
        if !fits {
            let what = format!(
                "{:?} at {zxid} of {}: got error {err}, {response:?}, should be {node:?}",
                sent.request, sent.session
            );
            self.fail("read", what);
        }
    }

    /// Bytes leave a server for a client: nothing uncommitted may show.
    pub(crate) fn emits(&mut self, node: usize, zxid: Zxid) {
        if zxid > self.last_committed() && !zxid.is_epoch_start() {
            // A role may end in the very step that applies its last transaction: only its answer tells.
            self.agree(node, zxid);
        }
        if zxid > self.last_committed() && !zxid.is_epoch_start() {
            let last = self.last_committed();
            self.fail("ack without commit", format!("n{} tells of {zxid}, committed is {last}", node + 1));
        }
    }
}

fn same_names(names: &[zkops::wire::jute::Str], children: &std::collections::BTreeSet<String>) -> bool {
    let mut names: Vec<&str> = names.iter().map(|name| &**name).collect();
    names.sort_unstable();
    names.iter().copied().eq(children.iter().map(String::as_str))
}
