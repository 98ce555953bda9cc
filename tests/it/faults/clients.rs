//! The clients of a trial: six workloads on one thread, in the clients' namespace, until they are told to stop; then
//! the last reads, through every server.

mod finish;
mod structures;
mod watchers;

use std::rc::Rc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::{JoinSet, LocalSet};
use zkops::client::ConnectString;
use zkops::wire::proto::{Acl, CreateMode, ErrorCode, Stat};

use super::network;
use super::random::Random;
use super::record::{Desk, Records, Session, Signals, answer};
use crate::check::register::{Call, Reply};

/// Registers that are watched, and are only ever set.
const WATCHED: [&str; 3] = ["a", "b", "c"];
/// One that comes and goes.
const VOLATILE: &str = "v";
/// Between two calls of one client, at most: some 300 calls a second in all.
const PAUSE_MS_MAX: u64 = 70;

/// The thread of all clients.
pub(crate) struct Clients {
    pub(crate) signals: Signals,
    thread: Option<JoinHandle<Records>>,
}

impl Clients {
    /// Starts working against servers of these addresses; everything hangs on the seed but the timing.
    pub(crate) fn start(namespace: String, servers: Vec<String>, mut random: Random) -> Clients {
        let signals = Signals::default();
        let shared = signals.clone();
        let thread = std::thread::spawn(move || {
            network::enter(&namespace);
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let all = servers.join(",").parse().expect("addresses make a connect string");
            let each = servers.iter().map(|one| one.parse().expect("so does one")).collect::<Vec<_>>();
            LocalSet::new().block_on(&runtime, work(Desk::new(all, shared), &each, &mut random))
        });
        Clients { signals, thread: Some(thread) }
    }

    /// Stops the work, and gives what was written down once the last reads are done.
    pub(crate) fn finish(&mut self) -> Records {
        self.signals.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let thread = self.thread.take().expect("it is finished once");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.signals.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // The test has failed already, and says why.
            let _ = thread.join();
        }
    }
}

async fn work(desk: Rc<Desk>, servers: &[ConnectString], random: &mut Random) -> Records {
    prepare(&desk, random).await;
    let mut tasks = JoinSet::new();
    for _ in 0..3 {
        tasks.spawn_local(turns(desk.clone(), random.fork(), register));
    }
    for _ in 0..2 {
        tasks.spawn_local(turns(desk.clone(), random.fork(), structures::set));
        tasks.spawn_local(turns(desk.clone(), random.fork(), structures::queue));
        tasks.spawn_local(turns(desk.clone(), random.fork(), structures::lock));
        tasks.spawn_local(turns(desk.clone(), random.fork(), structures::ids));
        tasks.spawn_local(turns(desk.clone(), random.fork(), structures::presence));
    }
    let mut watching = JoinSet::new();
    for _ in 0..3 {
        watching.spawn_local(watchers::watch(desk.clone(), random.fork()));
    }
    // A panic of one is the trial's.
    while let Some(ended) = tasks.join_next().await {
        ended.expect("no client panics");
    }
    finish::last_writes(&desk, random).await;
    while let Some(ended) = watching.join_next().await {
        ended.expect("no watcher panics");
    }
    finish::last_reads(&desk, servers, random).await;
    desk.records.take()
}

/// The parents of everything, and the registers.
async fn prepare(desk: &Desk, random: &mut Random) {
    let session = desk.session(random.next()).await.expect("the ensemble serves");
    for path in ["/r", "/s", "/q", "/l", "/i", "/e"] {
        let made = session.client.create(path, None, Acl::open(), CreateMode::Persistent).await;
        made.unwrap_or_else(|error| panic!("{path}: {error}"));
    }
    for key in WATCHED {
        ask_register(desk, &session, key, Call::Create { value: desk.number() }).await;
    }
    session.client.close().await;
}

/// One client: its turns one after the other, over as many sessions as it takes. A turn that wants a new session
/// says `false`.
async fn turns<T: AsyncFn(&Desk, &Session, &mut Random) -> bool>(
    desk: Rc<Desk>,
    mut random: Random,
    turn: T,
) {
    while let Some(session) = desk.session(random.next()).await {
        while session.ready(&desk).await && turn(&desk, &session, &mut random).await {
            tokio::time::sleep(Duration::from_millis(random.below(PAUSE_MS_MAX))).await;
        }
        session.client.close().await;
    }
}

async fn register(desk: &Desk, session: &Session, random: &mut Random) -> bool {
    let key = *random.one_of(&WATCHED);
    let value = desk.number();
    let version = Some(random.below(4) as i32);
    match random.below(20) {
        0..6 => _ = ask_register(desk, session, key, Call::Set { value, version: None }).await,
        6..9 => {
            // Compare and set, by what a read had shown.
            if let Some(Reply::Node { version, .. }) = ask_register(desk, session, key, Call::Get).await {
                let call = Call::Set { value, version: Some(version) };
                ask_register(desk, session, key, call).await;
            }
        }
        9..14 => _ = ask_register(desk, session, key, Call::Get).await,
        14..16 => {
            let ask = read(session, key);
            desk.call(session, (key, Call::Get), ask, |records, op| records.told.push(op)).await;
        }
        16 => _ = ask_register(desk, session, VOLATILE, Call::Create { value }).await,
        17 => _ = ask_register(desk, session, VOLATILE, Call::Set { value, version }).await,
        18 => _ = ask_register(desk, session, VOLATILE, Call::Get).await,
        _ => _ = ask_register(desk, session, VOLATILE, Call::Delete { version }).await,
    }
    true
}

/// One call on a register; a read comes after catching up.
async fn ask_register(desk: &Desk, session: &Session, key: &str, call: Call) -> Option<Reply> {
    let path = register_path(key);
    let client = &session.client;
    let data = |value: u64| Some(Bytes::from(value.to_string()));
    let ask = async {
        match call.clone() {
            Call::Create { value } => {
                let created = client.create2(&path, data(value), Acl::open(), CreateMode::Persistent).await;
                answer(created, |created| written(&created.stat), refused)
            }
            Call::Set { value, version } => {
                answer(client.set(&path, data(value), version).await, |stat| written(&stat), refused)
            }
            Call::Delete { version } => {
                answer(client.delete(&path, version).await, |()| Reply::Deleted, refused)
            }
            Call::Get => {
                desk.catch_up(session, &path).await?;
                read(session, key).await
            }
        }
    };
    let note = |records: &mut Records, op: crate::check::register::RegisterOp| {
        records.told.push(op.clone());
        records.register.push(op);
    };
    desk.call(session, (key, call.clone()), ask, note).await
}

async fn read(session: &Session, key: &str) -> Result<Reply, zkops::client::Error> {
    let got = session.client.get(&register_path(key), false).await;
    answer(got, |node| shown(&node), refused)
}

fn shown(node: &zkops::client::Node) -> Reply {
    let text = node.data.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
    let value = text.parse().unwrap_or_else(|_| panic!("a register holds a number, not {text:?}"));
    Reply::Node { value, version: node.stat.version, zxid: zxid(node.stat.mzxid) }
}

fn written(stat: &Stat) -> Reply {
    Reply::Written { version: stat.version, zxid: zxid(stat.mzxid) }
}

fn refused(code: ErrorCode) -> Option<Reply> {
    match code {
        ErrorCode::NoNode => Some(Reply::NoNode),
        ErrorCode::NodeExists => Some(Reply::NodeExists),
        ErrorCode::BadVersion => Some(Reply::BadVersion),
        _ => None,
    }
}

fn register_path(key: &str) -> String {
    format!("/r/{key}")
}

fn zxid(zxid: zkops::wire::ids::Zxid) -> u64 {
    u64::try_from(zxid.0).expect("a znode's zxid is not negative")
}
