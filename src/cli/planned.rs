//! A plan that is not carried out, as a verb ends with it: `zkops plan`, and every `--dry-run`.

use super::env::Env;
use crate::operator::operate::planned::Planned;
use crate::report::Exit;

pub(super) fn show(env: &Env, planned: &Planned) -> Exit {
    env.report.value(planned);
    let plan = &planned.plan;
    env.report.text(&format!("{plan}fingerprint {}\n", plan.fingerprint()));
    planned.exit()
}
