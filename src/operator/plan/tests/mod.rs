//! Facts and a goal in, the text of a plan out. `world` builds ensembles and carries plans out
//! over facts, so that every goal is also held to its laws.

mod blindness;
mod causes;
mod deploy;
mod fresh;
mod laws;
mod layout;
mod lifecycle;
mod moves;
mod one_id;
mod outdated;
mod ports;
mod preflight;
mod repair;
mod status;
mod without;
mod world;

use super::{Goal, Stop, plan};
use world::World;

/// The plan's text, or the reason why there is none.
fn show(world: &World, goal: &Goal) -> String {
    match plan(&world.desired, &world.facts, goal) {
        Ok(plan) => plan.to_string(),
        Err(Stop::Refused(refused)) => {
            let mut text = format!("REFUSED {}\n", refused.what);
            for line in &refused.evidence {
                text += &format!("  {line}\n");
            }
            for line in &refused.next {
                text += &format!("  next: {line}\n");
            }
            text
        }
        Err(Stop::Unreachable(away)) => {
            away.iter().map(|refused| format!("UNREACHABLE {}\n", refused.what)).collect()
        }
        Err(Stop::Preflight(findings)) => findings
            .iter()
            .filter(|finding| finding.level != super::preflight::Level::Ok)
            .map(|finding| {
                let fix = finding.fix.as_deref().unwrap_or("-");
                format!(
                    "{:?} {:?} {}: {} | {fix}\n",
                    finding.level, finding.check, finding.member, finding.evidence
                )
            })
            .collect(),
    }
}

/// One plan, one expected text; indentation of the expectation does not matter.
#[track_caller]
fn check(world: &World, goal: &Goal, expected: &str) {
    let lines =
        |text: &str| text.lines().map(str::trim).filter(|line| !line.is_empty()).map(String::from).collect();
    let (shown, expected): (Vec<String>, Vec<String>) = (lines(&show(world, goal)), lines(expected));
    assert_eq!(shown.join("\n"), expected.join("\n"));
}
