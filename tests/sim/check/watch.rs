//! The watch contract (client-protocol §5): a watch fires exactly once, at the first change after it was set,
//! before its client sees anything as new as that change; none is missed over a reconnect. A persistent one tells
//! every change of its node and its children, in order, as long as the connection lasts that it was set on.

use std::collections::{BTreeMap, BTreeSet};

use zkops::wire::ids::{SessionId, Zxid};
use zkops::wire::proto::EventType;

use super::Checks;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// On a node that is there.
    Data,
    /// On a node that is not there.
    Exist,
    Child,
}

/// What one session watches, as its client knows it.
#[derive(Debug, Default)]
pub(crate) struct Book {
    /// Set at this zxid: the first change after it must be told.
    armed: BTreeMap<(String, Kind), Zxid>,
    /// Persistent watches: how much of the path's past has been told or was before it.
    steady: BTreeMap<String, usize>,
    /// Reconnected, and the server has not taken the watches in yet.
    restoring: bool,
    /// Deleted nodes that were told while restoring, data and child watches at once: once more is in order.
    told_twice: BTreeSet<String>,
}

impl Kind {
    fn tells(self, event: EventType) -> bool {
        match self {
            Kind::Data | Kind::Exist => {
                matches!(event, EventType::NodeCreated | EventType::NodeDataChanged | EventType::NodeDeleted)
            }
            Kind::Child => matches!(event, EventType::NodeChildrenChanged | EventType::NodeDeleted),
        }
    }
}

impl Book {
    pub(crate) fn arm(&mut self, path: &str, kind: Kind, at: Zxid) {
        self.armed.insert((path.to_owned(), kind), at);
    }

    pub(crate) fn clear(&mut self) {
        self.armed.clear();
        self.steady.clear();
        self.restoring = false;
    }

    /// A connection is up: what is armed is on its way to the server.
    pub(crate) fn reconnected(&mut self) {
        self.restoring = !(self.armed.is_empty() && self.steady.is_empty());
    }

    pub(crate) fn len(&self) -> usize {
        self.armed.len() + self.steady.len()
    }
}

impl Checks {
    /// A persistent watch stands, as of `zxid`. Setting it again changes nothing.
    pub(crate) fn arm_steadily(&self, book: &mut Book, path: &str, zxid: Zxid) {
        let past = self.model.events(path, Zxid::NONE, zxid).len();
        book.steady.entry(path.to_owned()).or_insert(past);
    }

    /// A notification has arrived. Catch-up events after a reconnect carry no zxid.
    pub(crate) fn notified(
        &mut self,
        book: &mut Book,
        session: SessionId,
        event: EventType,
        path: &str,
        zxid: Zxid,
    ) {
        if let Some(told) = book.steady.get_mut(path) {
            // What a persistent watch tells must be the next thing that happened.
            let next = self.model.events(path, Zxid::NONE, zxid).get(*told).copied();
            *told += 1;
            if next != Some((zxid, event)) {
                let what = format!("{session} is told {event:?} of {path} at {zxid}; the next is {next:?}");
                self.fail("persistent watch", what);
            }
            return;
        }
        let kinds = [Kind::Data, Kind::Exist, Kind::Child].into_iter().filter(|kind| kind.tells(event));
        let fired: Vec<(Kind, Zxid)> =
            kinds.filter_map(|kind| Some((kind, book.armed.remove(&(path.to_owned(), kind))?))).collect();
        if book.restoring && fired.len() > 1 {
            book.told_twice.insert(path.to_owned());
        }
        if fired.is_empty() && book.restoring && book.told_twice.remove(path) {
            return;
        }
        if fired.is_empty() {
            let what = format!("{session} is told {event:?} of {path} at {zxid}, which it does not watch");
            return self.fail("watch once", what);
        }
        if zxid.0 <= 0 {
            if !book.restoring {
                self.fail("watch", format!("{session} is told {event:?} of {path} without a zxid"));
            }
            return;
        }
        for (kind, since) in fired {
            let first = self.model.events(path, since, zxid).iter().find(|(_, what)| kind.tells(*what));
            if first != Some(&(zxid, event)) {
                let what = format!(
                    "{session} is told {event:?} of {path} at {zxid}; {kind:?} since {since}: the first is {first:?}"
                );
                return self.fail("watch", what);
            }
        }
    }

    /// The client sees `zxid`: every watched change up to it must have been told before.
    pub(crate) fn watches_kept(&mut self, book: &Book, session: SessionId, zxid: Zxid) {
        if book.restoring {
            return;
        }
        for (path, told) in &book.steady {
            if let Some((at, what)) = self.model.events(path, Zxid::NONE, zxid).get(*told) {
                let what = format!("{session} sees {zxid} and was not told {what:?} of {path} at {at}");
                return self.fail("persistent watch before read", what);
            }
        }
        for ((path, kind), since) in &book.armed {
            let missed = self.model.events(path, *since, zxid).iter().find(|(_, what)| kind.tells(*what));
            if let Some((at, what)) = missed {
                let what = format!(
                    "{session} sees {zxid} and was not told {what:?} of {path} at {at}, {kind:?} since {since}"
                );
                return self.fail("watch before read", what);
            }
        }
    }

    /// The server has taken all watches in again, at `zxid`: those whose node differs have fired.
    pub(crate) fn restored(&mut self, book: &mut Book, session: SessionId, zxid: Zxid) {
        book.restoring = false;
        book.told_twice.clear();
        // What was missed is not told: only what comes from here on.
        for (path, told) in &mut book.steady {
            *told = self.model.events(path, Zxid::NONE, zxid).len();
        }
        let mut missed = None;
        for ((path, kind), since) in &mut book.armed {
            let node = self.model.node_at(path, zxid);
            let differs = match kind {
                Kind::Data => node.is_none_or(|node| node.mzxid() > *since),
                Kind::Child => node.is_none_or(|node| node.pzxid() > *since),
                Kind::Exist => node.is_some(),
            };
            if differs {
                missed = Some(format!(
                    "{session} reconnects at {zxid}: {kind:?} of {path} since {since} is not told"
                ));
            }
            *since = zxid;
        }
        if let Some(what) = missed {
            self.fail("watch over reconnect", what);
        }
    }
}
