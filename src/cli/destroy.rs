//! `zkops destroy`: asks for the cluster's name, then takes away what deploy put on the hosts.

use super::env::Env;
use super::opts::Destroy;
use super::prompt;
use super::record::{self, Record};
use super::session::{HOST_PATIENCE, Session};
use crate::operator::fleet::hosts::Fleet;
use crate::operator::fleet::visit::Push;
use crate::operator::observe::look::Depth;
use crate::operator::plan::Goal;
use crate::report::{Event, Exit, Failure};

pub(super) async fn run(opts: &Destroy, env: &Env) -> Result<Exit, Failure> {
    let session = Session::load(env, opts.inventory.as_deref())?;
    let cluster = &session.desired.cluster;
    let taken_away = session.with_fleet(env, &Push::Never, HOST_PATIENCE, async |fleet| {
        take_away(&session, fleet, opts, env).await
    });
    if let Some(shown) = taken_away.await? {
        return Ok(shown);
    }
    Record::forget(&record::state_dir(), cluster)
        .map_err(|why| Failure::new(Exit::Failed, format!("{why:#}")))?;
    let kept = if opts.data { "" } else { "; its data stays" };
    env.report.event(Event::Note { text: format!("{cluster} is gone{kept}") });
    env.report.value(&serde_json::json!({ "event": "done", "verb": "destroy", "cluster": cluster }));
    Ok(Exit::Done)
}

/// `Some`: it was only shown.
async fn take_away(
    session: &Session,
    fleet: &mut Fleet,
    opts: &Destroy,
    env: &Env,
) -> Result<Option<Exit>, Failure> {
    let cluster = &session.desired.cluster;
    let mut facts = session.facts(env, fleet, Depth::State).await;
    let plan = session.plan(&facts, &Goal::Destroy { data: opts.data })?;
    if opts.dry_run {
        return Ok(Some(session.show(env, &plan)));
    }
    if !opts.yes && !plan.is_empty() {
        env.report.text(&plan.to_string());
        let question = match opts.data {
            true => format!("type {cluster} to destroy it WITH ITS DATA"),
            false => format!("type {cluster} to destroy it (data stays)"),
        };
        prompt::typed(&env.report, &question, cluster, "--yes")?;
    }
    let mut again = format!("zkops destroy {}", session.desired.inventory);
    if opts.data {
        again += " --data";
    }
    session.apply(env, fleet, &plan, &mut facts, again).await.map(|_| None)
}
