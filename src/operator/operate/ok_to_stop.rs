//! Ok to stop: whether members may go down now, for what reboots hosts; nothing is changed.

use serde::Serialize;

use super::caller::Caller;
use super::session::{HOST_PATIENCE, Session, Source};
use crate::operator::apply::lock;
use crate::operator::fleet::visit::Push;
use crate::operator::observe::look::Depth;
use crate::operator::plan::Goal;
use crate::report::Failure;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub inventory: Source,
    /// By name or id, at least one: all of them at once.
    pub members: Vec<String>,
}

/// They may: the others were seen to serve without them, and nobody was at work on the hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename = "ok_to_stop")]
pub struct Outcome {
    pub cluster: String,
    pub members: Vec<String>,
}

/// # Errors
/// Exit code 4 with the reason, where they may not, or where it is not proven that they may; 6 where somebody is at work.
pub async fn run(caller: &Caller, request: &Request) -> Result<Outcome, Failure> {
    let session = Session::load(caller, &request.inventory)?;
    let members = session.members(&request.members)?;
    let goal = Goal::Stop { members: members.clone() };
    let asked = session.with_fleet(&Push::Never, HOST_PATIENCE, async |fleet| {
        let facts = session.facts(fleet, Depth::State).await;
        session.plan(&facts, &goal)?;
        // Behind the look: whoever began before it has a lock by now.
        lock::nobody_at_work(fleet, &caller.run(request.command())).await
    });
    asked.await?;
    let members = members.iter().map(|id| session.desired.name(*id)).collect();
    Ok(Outcome { cluster: session.desired.cluster.clone(), members })
}

impl Request {
    /// As one would type it.
    fn command(&self) -> String {
        let mut words = vec!["zkops".to_owned(), "ok-to-stop".to_owned()];
        words.extend(self.members.iter().cloned());
        if let Source::File(inventory) = &self.inventory {
            words.extend(["--inventory".to_owned(), inventory.display().to_string()]);
        }
        words.join(" ")
    }
}
