//! Logs: what all members' servers wrote, in one order by one clock. `log_lines` knows how logs are written and what
//! comes before what; here hosts are asked.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;

use super::caller::Caller;
use super::log_lines::{self as lines, Line};
use super::session::{HOST_PATIENCE, Session, Source};
use crate::operator::fleet::hosts::{Fleet, Host};
use crate::operator::fleet::unit;
use crate::operator::fleet::visit::Push;
use crate::operator::plan::desired::DesiredMember;
use crate::report::Failure;
use crate::wire::ids::ServerId;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub inventory: Source,
    /// By name or id; empty: all.
    pub members: Vec<String>,
    /// Nothing older than this, milliseconds since 1970.
    pub since_ms: Option<i64>,
    /// The last so many lines of each.
    pub lines: usize,
    /// Go on with what is written from now on, until nobody listens any more.
    pub follow: bool,
}

/// What became of the look at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Every log that was wanted is seen, at the end, too. Those that are not were told as notes.
    pub is_whole: bool,
}

/// Tells lines as they are read: `tell` says whether somebody still listens. Whose log is not seen is a note, once.
///
/// # Errors
/// What concerns no single host.
pub async fn run(
    caller: &Caller,
    request: &Request,
    mut tell: impl FnMut(Line) -> bool,
) -> Result<Outcome, Failure> {
    let session = Session::load(caller, &request.inventory)?;
    let named = session.members(&request.members)?;
    session
        .with_fleet(&Push::Never, HOST_PATIENCE, async |fleet| {
            let mut heard =
                Heard { offsets: offsets(fleet).await, last: BTreeMap::new(), unseen: BTreeSet::new() };
            for (member, _) in fleet.hosts().filter(|(member, _)| !heard.offsets.contains_key(&member.id)) {
                let name = &member.name;
                caller.events.note(format!("{name}: its clock could not be measured: its times are its own"));
            }
            let first = heard.hear(fleet, &named, request.lines, &session).await;
            let mut is_heard = lines::since(first, request.since_ms).into_iter().all(&mut tell);
            while request.follow && is_heard {
                tokio::time::sleep(PAUSE).await;
                // Whoever follows ends it, no patience does.
                caller.stop.begin_anew();
                let more = heard.hear(fleet, &named, FOLLOWED_LINES, &session).await;
                is_heard = more.into_iter().all(&mut tell);
            }
            Ok(Outcome { is_whole: heard.unseen.is_empty() })
        })
        .await
}

/// How far the hosts' clocks are ahead of ours, milliseconds; nought where nobody says.
async fn offsets(fleet: &Fleet) -> BTreeMap<ServerId, f64> {
    let asked = fleet.hosts().map(|(member, host)| async move {
        Some((member.id, host.clock(CLOCK_PATIENCE).await.ok()?.offset_ms))
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// What was read of each member's log so far.
struct Heard {
    offsets: BTreeMap<ServerId, f64>,
    /// The last line told of each.
    last: BTreeMap<ServerId, String>,
    /// Whose log was not seen when it was asked for last.
    unseen: BTreeSet<ServerId>,
}

impl Heard {
    /// What is new, in order.
    async fn hear(
        &mut self,
        fleet: &Fleet,
        named: &[ServerId],
        count: usize,
        session: &Session<'_>,
    ) -> Vec<Line> {
        let is_wanted = |id: &ServerId| named.is_empty() || named.contains(id);
        for (id, member) in session.desired.members.iter().filter(|(id, _)| is_wanted(id)) {
            if let Some(why) = fleet.unreachable(*id) {
                self.miss(member, &why.text, session);
            }
        }
        let hosts = fleet.hosts().filter(|(member, _)| is_wanted(&member.id));
        let asked = hosts.map(|(member, host)| async move { (member, tail(member, host, count).await) });
        let mut logs = Vec::new();
        for (member, tail) in join_all(asked).await {
            let lines = match tail {
                Ok(lines) => lines,
                Err(why) => {
                    self.miss(member, &why, session);
                    continue;
                }
            };
            self.unseen.remove(&member.id);
            let new = lines::behind(lines, self.last.get(&member.id));
            if let Some(last) = new.last() {
                self.last.insert(member.id, last.clone());
            }
            let ahead_ms = self.offsets.get(&member.id).copied().unwrap_or_default();
            logs.push(lines::read(&member.name, ahead_ms, new));
        }
        lines::merge(logs)
    }

    fn miss(&mut self, member: &DesiredMember, why: &str, session: &Session<'_>) {
        if self.unseen.insert(member.id) {
            session.caller.events.note(format!("{}: its log is not seen: {why}", member.name));
        }
    }
}

async fn tail(member: &DesiredMember, host: &Host, count: usize) -> Result<Vec<String>, String> {
    let source = unit::log_source(&host.manager(member), member);
    let tail = host.link.within(LOG_PATIENCE).log_tail(source, count).await;
    tail.map(|tail| tail.lines).map_err(|why| why.to_string())
}

const CLOCK_PATIENCE: Duration = Duration::from_secs(5);
const LOG_PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks of somebody who follows, and what a log may grow by meanwhile.
const PAUSE: Duration = Duration::from_secs(1);
const FOLLOWED_LINES: usize = 2000;
