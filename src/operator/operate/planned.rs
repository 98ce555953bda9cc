//! A plan that is shown instead of carried out, as a document for machines; as text it shows itself.

use serde::{Serialize, Serializer};

use crate::operator::plan::step::{Plan, Step, Wave};
use crate::report::Exit;

/// The plan, and whose it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    pub cluster: String,
    pub plan: Plan,
}

impl Planned {
    /// Changes are pending, or nothing is to be done.
    pub fn exit(&self) -> Exit {
        if self.plan.is_empty() { Exit::Done } else { Exit::Pending }
    }
}

impl Serialize for Planned {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Planned { cluster, plan } = self;
        let document = Document {
            cluster,
            title: &plan.title,
            fingerprint: plan.fingerprint(),
            pending: !plan.is_empty(),
            waves: plan.waves.iter().map(WaveDocument::of).collect(),
            warnings: &plan.warnings,
        };
        document.serialize(serializer)
    }
}

#[derive(Serialize)]
#[serde(tag = "event", rename = "plan")]
struct Document<'a> {
    cluster: &'a str,
    title: &'a str,
    fingerprint: String,
    pending: bool,
    waves: Vec<WaveDocument<'a>>,
    warnings: &'a [String],
}

#[derive(Serialize)]
struct WaveDocument<'a> {
    title: &'a str,
    steps: Vec<StepDocument<'a>>,
    gates: Vec<String>,
}

#[derive(Serialize)]
struct StepDocument<'a> {
    member: &'a str,
    step: String,
    why: &'a str,
    risk: String,
    undo: Option<&'a str>,
}

impl WaveDocument<'_> {
    fn of(wave: &Wave) -> WaveDocument<'_> {
        WaveDocument {
            title: &wave.title,
            steps: wave.steps.iter().map(StepDocument::of).collect(),
            gates: wave.gates.iter().map(|gate| gate.condition.to_string()).collect(),
        }
    }
}

impl StepDocument<'_> {
    fn of(step: &Step) -> StepDocument<'_> {
        StepDocument {
            member: &step.name,
            step: step.action.to_string(),
            why: &step.why,
            risk: step.risk.to_string(),
            undo: step.undo.as_deref(),
        }
    }
}
