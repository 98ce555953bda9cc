//! Check: everything that would make a deployment fail, found without changing anything.

use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::caller::Caller;
use super::look::{look, reach};
use super::refusal;
use super::session::Source;
use crate::operator::fleet::visit::Push;
use crate::operator::plan::Goal;
use crate::operator::plan::desired::Desired;
use crate::operator::plan::preflight::{self, Finding, Level};
use crate::report::Failure;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub inventory: Source,
}

/// What was found, and what it comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub findings: Findings,
    /// Why a deployment would fail; `None`: the hosts are fit.
    pub unfit: Option<Failure>,
}

/// One finding a check and member.
#[derive(Clone, Debug, PartialEq)]
pub struct Findings {
    pub desired: Arc<Desired>,
    pub list: Vec<Finding>,
}

impl Findings {
    /// What stops nothing, as one line each. What fails is told by [`Outcome::unfit`].
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        let warnings = self.list.iter().filter(|finding| finding.level == Level::Warn);
        warnings.map(|finding| preflight::warning(&self.desired, finding))
    }
}

/// # Errors
/// Where nothing could be looked at. What was found is an outcome, also where it is bad.
pub async fn run(caller: &Caller, request: &Request) -> Result<Outcome, Failure> {
    let looked = look(caller, &request.inventory, Push::Beside, async |_, fleet, mut facts| {
        reach(fleet, &mut facts).await;
        Ok(facts)
    });
    let (session, facts) = looked.await?;
    let list = preflight::check(&session.desired, &facts);
    let unfit = if preflight::worst(&list) == Level::Fail {
        Some(refusal::failed_checks(&session.desired, &list))
    } else {
        // No finding of a host: one that is not reached, or an ensemble that deploy would not make this of.
        session.plan(&facts, &Goal::Deploy).err()
    };
    Ok(Outcome { findings: Findings { desired: session.desired, list }, unfit })
}

impl Serialize for Findings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rows = self.list.iter().map(|finding| Row {
            check: finding.check.title(&self.desired),
            member: self.desired.name(finding.member),
            level: match finding.level {
                Level::Ok => "ok",
                Level::Warn => "warn",
                Level::Fail => "fail",
            },
            evidence: &finding.evidence,
            fix: finding.fix.as_deref(),
        });
        let fit = preflight::worst(&self.list) != Level::Fail;
        Document { fit, findings: rows.collect() }.serialize(serializer)
    }
}

#[derive(Serialize)]
#[serde(tag = "event", rename = "findings")]
struct Document<'a> {
    fit: bool,
    findings: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    check: String,
    member: String,
    level: &'static str,
    evidence: &'a str,
    fix: Option<&'a str>,
}
