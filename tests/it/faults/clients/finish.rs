//! After the work: every server must show all that anybody was promised, and nothing of sessions that are over.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use zkops::client::ConnectString;

use super::{Desk, Random, Session, VOLATILE, WATCHED, ask_register, structures};
use crate::check::queue;
use crate::check::register::{Call, Reply};

/// How long a healed ensemble may take for any one answer.
const SOON: Duration = Duration::from_secs(20);

/// One more write of every watched register: what every watcher must come to see.
pub(super) async fn last_writes(desk: &Desk, random: &mut Random) {
    let session = desk.dial(desk.servers(), random.next());
    let mut goals = BTreeMap::new();
    for key in WATCHED {
        let end = Instant::now() + SOON;
        let zxid = loop {
            let call = Call::Set { value: desk.number(), version: None };
            if let Some(Reply::Written { zxid, .. }) = ask_register(desk, &session, key, call).await {
                break zxid;
            }
            assert!(Instant::now() < end, "no write commits after all faults are healed");
        };
        goals.insert(key.to_owned(), zxid);
    }
    session.client.close().await;
    desk.records.borrow_mut().goals = Some(goals);
}

/// Reads everything through every server, empties the queue, and waits until no ephemeral is left.
pub(super) async fn last_reads(desk: &Desk, servers: &[ConnectString], random: &mut Random) {
    for server in servers {
        let session = desk.dial(server.clone(), random.next());
        for key in WATCHED.iter().chain([&VOLATILE]) {
            insist(&session, server, async || ask_register(desk, &session, key, Call::Get).await.is_some())
                .await;
        }
        insist(&session, server, async || structures::read_set(desk, &session).await.is_some()).await;
        insist(&session, server, async || has_all_ids(desk, &session).await).await;
        session.client.close().await;
    }
    let session = desk.dial(desk.servers(), random.next());
    let all = desk.servers();
    insist(&session, &all, async || structures::take(desk, &session).await == Some(queue::Reply::Empty))
        .await;
    // Every session but this one was closed or must expire.
    insist(&session, &all, async || {
        let left = async {
            desk.catch_up(&session, "/").await?;
            let (there, _) = session.client.children("/e", false).await?;
            let (held, _) = session.client.children("/l", false).await?;
            Ok::<_, zkops::client::Error>(there.len() + held.len())
        };
        left.await.is_ok_and(|left| left == 0)
    })
    .await;
    session.client.close().await;
}

/// Every number that was given out is there. More may be: of calls that nobody heard the end of.
async fn has_all_ids(desk: &Desk, session: &Session) -> bool {
    if desk.catch_up(session, "/i").await.is_err() {
        return false;
    }
    let Ok((names, _)) = session.client.children("/i", false).await else { return false };
    let there: std::collections::BTreeSet<u64> = names
        .iter()
        .map(|name| name.trim_start_matches("n-").parse().expect("a sequence number is a number"))
        .collect();
    let records = desk.records.borrow();
    let lost: Vec<&u64> =
        records.ids.iter().filter_map(|op| op.reply()).filter(|number| !there.contains(number)).collect();
    assert!(lost.is_empty(), "acknowledged sequential znodes are lost: {lost:?}");
    true
}

/// Again and again until it succeeds.
async fn insist(session: &Session, server: &ConnectString, attempt: impl AsyncFn() -> bool) {
    let end = Instant::now() + SOON;
    while !attempt().await {
        assert!(
            Instant::now() < end,
            "not within {SOON:?} after all faults are healed, through {server:?}: {:?}",
            session.client.status()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
