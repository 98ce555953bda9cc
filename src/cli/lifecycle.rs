//! `zkops start`, `zkops stop` and `zkops restart`.

use super::env::Env;
use super::opts::Members;
use super::session::{self, HOST_PATIENCE, Session};
use crate::operator::fleet::visit::Push;
use crate::operator::observe::look::Depth;
use crate::operator::plan::Goal;
use crate::report::{Exit, Failure};
use crate::wire::ids::ServerId;

/// Which of the three was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Start,
    Stop,
    Restart,
}

impl Verb {
    fn word(self) -> &'static str {
        match self {
            Verb::Start => "start",
            Verb::Stop => "stop",
            Verb::Restart => "restart",
        }
    }

    fn goal(self, members: Vec<ServerId>) -> Goal {
        match self {
            Verb::Start => Goal::Start { members },
            Verb::Stop => Goal::Stop { members },
            Verb::Restart => Goal::Restart { members },
        }
    }
}

pub(super) async fn run(verb: Verb, opts: &Members, env: &Env) -> Result<Exit, Failure> {
    let session = Session::load(env, opts.inventory.as_deref())?;
    let goal = verb.goal(session.members(&opts.members)?);
    let carried_out = session.with_fleet(env, &Push::Never, HOST_PATIENCE, async |fleet| {
        let mut facts = session.facts(env, fleet, Depth::State).await;
        let plan = session.plan(&facts, &goal)?;
        if !opts.dry_run {
            session.apply(env, fleet, &plan, &mut facts, again(verb, opts)).await?;
        }
        Ok(plan)
    });
    let plan = carried_out.await?;
    if opts.dry_run {
        return Ok(session.show(env, &plan));
    }
    session::none_skipped(&plan)?;
    let done = if plan.is_empty() { plan.to_string() } else { format!("{}: done\n", plan.title) };
    env.report.text(&done);
    env.report.value(
        &serde_json::json!({ "event": "done", "verb": verb.word(), "cluster": session.desired.cluster }),
    );
    Ok(Exit::Done)
}

fn again(verb: Verb, opts: &Members) -> String {
    let mut again = vec!["zkops".to_owned(), verb.word().to_owned()];
    again.extend(opts.members.iter().cloned());
    if let Some(inventory) = &opts.inventory {
        again.extend(["--inventory".to_owned(), inventory.display().to_string()]);
    }
    again.join(" ")
}
