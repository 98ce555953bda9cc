//! Watch fan-out: every watcher keeps a one-shot watch on every watched register.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::{Duration, Instant};

use zkops::client::{Error, Event, Events, Noticed};
use zkops::wire::ids::Zxid;
use zkops::wire::proto::EventType;

use super::{Desk, Random, Session, WATCHED, register_path, zxid};
use crate::check::watch::{Step, Watcher};
use crate::faults::record::excused;

/// How long after the last write its events may take.
const LAST_EVENTS: Duration = Duration::from_secs(15);
/// Without an event for so long a watcher looks at a register, where it must find nothing new.
const LULL: Duration = Duration::from_millis(100);

/// Watches until it has seen the last write of every register, over as many sessions as it takes.
pub(super) async fn watch(desk: Rc<Desk>, mut random: Random) {
    let mut patience = Patience { desk: &desk, since: None };
    while !patience.is_over() {
        let session = desk.dial(desk.servers(), random.next());
        let mut watch = Watch {
            events: session.client.events(),
            watcher: Watcher { session: session.process, ..Watcher::default() },
            unarmed: WATCHED.iter().map(|key| (*key).to_owned()).collect(),
            seen: BTreeMap::new(),
        };
        while !patience.is_over() && !session.client.state().is_final() {
            if watch.saw_all(&desk) {
                desk.records.borrow_mut().watchers.push(watch.watcher);
                session.client.close().await;
                return;
            }
            if session.client.connected(LULL).await.is_ok() && !watch.turn(&desk, &session, &mut random).await
            {
                break;
            }
        }
        watch.watcher.ended = session.client.state().is_final() || !patience.is_over();
        desk.records.borrow_mut().watchers.push(watch.watcher);
        session.client.close().await;
    }
}

/// The time that is left once the last writes are done.
struct Patience<'a> {
    desk: &'a Desk,
    since: Option<Instant>,
}

impl Patience<'_> {
    fn is_over(&mut self) -> bool {
        if self.since.is_none() && self.desk.records.borrow().goals.is_some() {
            self.since = Some(Instant::now());
        }
        self.since.is_some_and(|since| since.elapsed() > LAST_EVENTS)
    }
}

struct Watch {
    events: Events,
    watcher: Watcher,
    unarmed: BTreeSet<String>,
    seen: BTreeMap<String, u64>,
}

impl Watch {
    /// Arms one watch, or waits for an event, or looks; `false` when it cannot be known what is armed.
    async fn turn(&mut self, desk: &Desk, session: &Session, random: &mut Random) -> bool {
        if let Some(key) = self.unarmed.first().cloned() {
            return self.arm(desk, session, key).await;
        }
        if let Ok(event) = tokio::time::timeout(LULL, self.events.next()).await {
            if let Some(noticed) = event {
                self.notice(noticed);
            }
            return true;
        }
        let key = *random.one_of(&WATCHED);
        let invoked = desk.now();
        match session.client.get(&register_path(key), false).await {
            Ok(node) => {
                desk.answered(session, invoked);
                // An event that is there by now came before the answer or right behind it. If the answer shows
                // nothing new it was behind; otherwise the watch has the benefit of the doubt.
                let own = self.drain(Some(key));
                let zxid = zxid(node.stat.mzxid);
                let saw = Step::Saw { key: key.to_owned(), zxid };
                if self.seen.get(key).is_none_or(|seen| zxid > *seen) {
                    own.iter().for_each(|event| self.fired(event));
                    self.watcher.steps.push(saw);
                } else {
                    self.watcher.steps.push(saw);
                    own.iter().for_each(|event| self.fired(event));
                }
            }
            Err(error) => excused(&error),
        }
        true
    }

    async fn arm(&mut self, desk: &Desk, session: &Session, key: String) -> bool {
        let invoked = desk.now();
        match session.client.get(&register_path(&key), true).await {
            Ok(node) => {
                desk.answered(session, invoked);
                // Events of others came before; one of this key can only be the new watch's.
                let own = self.drain(Some(&key));
                let zxid = zxid(node.stat.mzxid);
                self.seen.insert(key.clone(), zxid);
                self.unarmed.remove(&key);
                self.watcher.steps.push(Step::Armed { key, zxid });
                own.iter().for_each(|event| self.fired(event));
                true
            }
            // The watch went with the connection, if the server had left it.
            Err(Error::ConnectionLoss(_)) => {
                self.drain(Some(&key));
                true
            }
            Err(error) => {
                excused(&error);
                false
            }
        }
    }

    /// Takes the events that are there; those of `kept` are given back.
    fn drain(&mut self, kept: Option<&str>) -> Vec<Event> {
        let kept = kept.map(register_path);
        let mut own = Vec::new();
        while let Some(noticed) = self.events.try_next() {
            match noticed {
                Noticed::Event(event) if event.path.is_some() && event.path == kept => own.push(event),
                noticed => self.notice(noticed),
            }
        }
        own
    }

    fn notice(&mut self, noticed: Noticed) {
        match noticed {
            Noticed::Event(event) => self.fired(&event),
            Noticed::Missed(count) => panic!("the watcher itself missed {count} events"),
        }
    }

    fn fired(&mut self, event: &Event) {
        let Some(path) = event.path.as_deref().filter(|_| event.kind != EventType::None) else { return };
        let key = path.trim_start_matches("/r/").to_owned();
        self.unarmed.insert(key.clone());
        let zxid = (event.zxid != Zxid::NONE).then(|| zxid(event.zxid));
        self.watcher.steps.push(Step::Fired { key, zxid });
    }

    fn saw_all(&self, desk: &Desk) -> bool {
        let records = desk.records.borrow();
        let saw = |(key, zxid): (&String, &u64)| self.seen.get(key).is_some_and(|seen| seen >= zxid);
        records.goals.as_ref().is_some_and(|goals| goals.iter().all(saw))
    }
}
