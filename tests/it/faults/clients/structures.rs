//! A set, a queue, a lock, sequence numbers and presence, built of znodes as programs build them.

use std::time::Duration;

use bytes::Bytes;
use zkops::client::Error;
use zkops::wire::proto::{Acl, CreateMode, ErrorCode};

use super::{Desk, Random, Session};
use crate::check::ephemeral::{Life, Sighting};
use crate::check::history::{Op, Outcome};
use crate::check::queue::{self, QueueOp};
use crate::check::{lock, set};
use crate::faults::record::{answer, excused, unheard};

const LOCK: &str = "/l/lock";
/// Rounds of one take: each means that another client was quicker.
const ROUNDS_MAX: usize = 100;

/// Adds a child or reads them all.
pub(super) async fn set(desk: &Desk, session: &Session, random: &mut Random) -> bool {
    if random.below(3) == 0 {
        read_set(desk, session).await;
        return true;
    }
    let element = desk.number();
    let path = format!("/s/{element}");
    let ask = async {
        session.client.create(&path, None, Acl::open(), CreateMode::Persistent).await?;
        Ok(set::Reply::Added)
    };
    desk.call(session, ("s", set::Call::Add(element)), ask, |records, op| records.sets.push(op)).await;
    true
}

pub(super) async fn read_set(desk: &Desk, session: &Session) -> Option<set::Reply> {
    let ask = async {
        desk.catch_up(session, "/s").await?;
        let (names, _) = session.client.children("/s", false).await?;
        Ok(set::Reply::Members(names.iter().map(|name| name.parse().expect("names are numbers")).collect()))
    };
    desk.call(session, ("s", set::Call::Read), ask, |records, op| records.sets.push(op)).await
}

/// Puts an item or takes the first one.
pub(super) async fn queue(desk: &Desk, session: &Session, random: &mut Random) -> bool {
    if random.below(2) == 0 {
        take(desk, session).await;
        return true;
    }
    let item = desk.number();
    let data = Some(Bytes::from(item.to_string()));
    let ask = async {
        let path =
            session.client.create("/q/n-", data, Acl::open(), CreateMode::PersistentSequential).await?;
        // Numbers begin at 0, which the checker takes for none.
        Ok(queue::Reply::Put { order: 1 + sequence_number(&path, "/q/n-") })
    };
    desk.call(session, ("q", queue::Call::Put(item)), ask, |records, op| records.queues.push(op)).await;
    true
}

/// Takes the child with the lowest number: whoever deletes it has it.
pub(super) async fn take(desk: &Desk, session: &Session) -> Option<queue::Reply> {
    let invoked = desk.now();
    let (call, outcome) = match try_take(desk, session).await {
        Ok(reply) => {
            desk.answered(session, invoked);
            (queue::Call::Take, Outcome::Ok(reply))
        }
        Err((error, Some(item))) => (queue::Call::TakeOf(item), unheard(&error)),
        Err((error, None)) => {
            excused(&error);
            (queue::Call::Take, Outcome::Failed)
        }
    };
    let completed = desk.now();
    let op: QueueOp = Op { process: session.process, key: "q".to_owned(), call, invoked, completed, outcome };
    let reply = op.reply().cloned();
    desk.records.borrow_mut().queues.push(op);
    reply
}

/// An error comes with the item whose deletion was asked for; without one, nothing changed.
async fn try_take(desk: &Desk, session: &Session) -> Result<queue::Reply, (Error, Option<u64>)> {
    let client = &session.client;
    desk.catch_up(session, "/q").await.map_err(|error| (error, None))?;
    for _ in 0..ROUNDS_MAX {
        let (names, _) = client.children("/q", false).await.map_err(|error| (error, None))?;
        let Some(first) = names.first() else { return Ok(queue::Reply::Empty) };
        let path = format!("/q/{first}");
        let node = match client.get(&path, false).await {
            Ok(node) => node,
            Err(Error::Code(ErrorCode::NoNode, _)) => continue,
            Err(error) => return Err((error, None)),
        };
        let text = String::from_utf8_lossy(node.data.as_deref().unwrap_or_default()).into_owned();
        let item = text.parse().expect("items are numbers");
        match client.delete(&path, None).await {
            Ok(()) => return Ok(queue::Reply::Took(item)),
            Err(Error::Code(ErrorCode::NoNode, _)) => {}
            Err(error) => return Err((error, Some(item))),
        }
    }
    panic!("a take lost {ROUNDS_MAX} races one after the other");
}

/// Tries to get the lock, holds it for a moment, gives it back.
pub(super) async fn lock(desk: &Desk, session: &Session, random: &mut Random) -> bool {
    let me = session.process;
    let ask = async {
        let made = session.client.create(LOCK, None, Acl::open(), CreateMode::Ephemeral).await;
        answer(made, |_| true, |code| (code == ErrorCode::NodeExists).then_some(false))
    };
    let note = |records: &mut super::Records, op| records.locks.push(op);
    match desk.call(session, ("l", lock::Call::Acquire(me)), ask, note).await {
        Some(true) => {
            // The time of the critical section.
            let end = desk.now() + random.below(80) * 1000;
            while desk.now() < end {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        // An earlier try whose answer was lost may have got it.
        Some(false) if is_mine(session).await => {}
        Some(false) | None => return true,
    }
    let ask = async {
        let deleted = session.client.delete(LOCK, None).await;
        answer(deleted, |()| true, |code| (code == ErrorCode::NoNode).then_some(false))
    };
    // Without an answer the lock may be ours or another's by now, and is left to the end of the session.
    desk.call(session, ("l", lock::Call::Release(me)), ask, note).await.is_some()
}

async fn is_mine(session: &Session) -> bool {
    let stat = session.client.exists(LOCK, false).await;
    let owner = stat.ok().flatten().map_or(0, |stat| stat.ephemeral_owner);
    owner != 0 && owner == session.client.status().session.0
}

/// Draws a sequence number.
pub(super) async fn ids(desk: &Desk, session: &Session, _: &mut Random) -> bool {
    let ask = async {
        let path =
            session.client.create("/i/n-", None, Acl::open(), CreateMode::PersistentSequential).await?;
        Ok(sequence_number(&path, "/i/n-"))
    };
    desk.call(session, ("i", ()), ask, |records, op| records.ids.push(op)).await;
    true
}

fn sequence_number(path: &str, prefix: &str) -> u64 {
    path.trim_start_matches(prefix).parse().expect("a sequence number is a number")
}

/// Shows that it is there by an ephemeral of its own, and looks for one of the others.
pub(super) async fn presence(desk: &Desk, session: &Session, random: &mut Random) -> bool {
    let key = session.process.to_string();
    let is_known = desk.records.borrow().lives.iter().any(|(process, _)| *process == session.process);
    if !is_known {
        let path = format!("/e/{key}");
        if session.client.create(&path, None, Acl::open(), CreateMode::Ephemeral).await.is_err() {
            return false;
        }
        let id = session.client.status().session.0.cast_unsigned();
        let life = Life { key, session: id, created: desk.now(), alive_until: 0, deleted: None, over: None };
        desk.records.borrow_mut().lives.push((session.process, life));
        return true;
    }
    let keys: Vec<String> = {
        let records = desk.records.borrow();
        records.lives.iter().rev().take(4).map(|(_, life)| life.key.clone()).collect()
    };
    let key = random.one_of(&keys).clone();
    let path = format!("/e/{key}");
    let invoked = desk.now();
    let looked = async {
        desk.catch_up(session, &path).await?;
        session.client.exists(&path, false).await
    };
    match looked.await {
        Ok(stat) => {
            desk.answered(session, invoked);
            let owner = stat.map(|stat| stat.ephemeral_owner.cast_unsigned());
            let sighting = Sighting { key, invoked, completed: desk.now(), owner };
            desk.records.borrow_mut().sightings.push(sighting);
        }
        Err(error) => excused(&error),
    }
    // Now and then one leaves, and its ephemeral with it.
    random.below(60) != 0
}
