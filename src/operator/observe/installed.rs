//! What a host shows of the layout: which slot counts, what an older layout left, and whose the directories are.
//! Conversions only, beside the one question about owners.

use std::path::PathBuf;
use std::time::Duration;

use super::answer::{seen, wall_ms};
use crate::operator::fleet::hosts::Host;
use crate::operator::host::files::{AccountRecord, FileKind, Found, LookOwners, OwnersReport};
use crate::operator::plan::desired::DesiredMember;
use crate::operator::plan::layout::{Current, LayoutFacts, Slot};
use crate::operator::plan::owners::{Account, Known, OwnerFacts, OwnersFacts};
use crate::operator::plan::seen::Seen;

/// What must be looked at for [`layout`].
pub(super) fn paths(member: &DesiredMember) -> Vec<PathBuf> {
    let legacy = member.legacy_files();
    [member.link_path()].into_iter().chain(legacy).map(PathBuf::from).collect()
}

/// `found` is what stands at [`paths`].
pub(super) fn layout<'a>(member: &DesiredMember, found: impl Fn(&str) -> Seen<&'a Found>) -> LayoutFacts {
    let mut legacy = Seen::Is(Vec::new());
    for path in member.legacy_files() {
        match (found(&path), &mut legacy) {
            (Seen::Is(_), Seen::Is(all)) => all.push(path),
            (Seen::Unseen(why), _) => legacy = Seen::Unseen(why),
            _ => {}
        }
    }
    if legacy.is_and(Vec::is_empty) {
        legacy = Seen::Absent;
    }
    LayoutFacts { current: found(&member.link_path()).map(current), legacy }
}

fn current(found: &Found) -> Current {
    if found.kind != FileKind::Symlink {
        return Current::Odd("no link".to_owned());
    }
    let target = found.link_target.as_ref().map_or_else(String::new, |to| to.to_string_lossy().into_owned());
    Slot::of_target(&target).map_or_else(|| Current::Odd(format!("a link to {target:?}")), Current::Slot)
}

/// Whose the directories of the member are; `deep`: and what is in them.
pub(super) async fn owners(
    member: &DesiredMember,
    host: &Host,
    deep: bool,
    deadline: Duration,
) -> Seen<OwnersFacts> {
    let (var, dynamic) = (member.var_dir(), member.dynamic_dir());
    let dirs = [&member.dirs.data, &member.dirs.data_log, &dynamic, &var].map(PathBuf::from);
    let ways = [&member.dirs.install, &member.dirs.data, &member.dirs.data_log].map(PathBuf::from);
    let user = member.run_as.as_ref().filter(|_| host.machine().uid == 0).map(|run_as| run_as.user.clone());
    let asked = user.is_some();
    let request = LookOwners { user, dirs: dirs.to_vec(), ways: ways.to_vec(), deep };
    match seen(host.link.within(deadline).look_owners(request).await) {
        Seen::Is(report) => told(*report, asked),
        Seen::Absent => Seen::default(),
        Seen::Unseen(why) => Seen::Unseen(why),
    }
}

/// One directory that could not be looked at, and nothing is known.
fn told(report: OwnersReport, asked: bool) -> Seen<OwnersFacts> {
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    let named = |AccountRecord { user, group }| Account { user, group };
    let mut facts = OwnersFacts {
        account: match report.account {
            Some(account) => Known::Is(named(account)),
            None if asked => Known::Missing { can_make: report.can_make },
            None => Known::NotAsked,
        },
        barred: report.barred.map(text),
        ..OwnersFacts::default()
    };
    for dir in report.dirs {
        if let Some(problem) = dir.problem {
            return Seen::unseen(problem.to_string(), wall_ms());
        }
        let Some(found) = dir.found else { continue };
        let facts_of = OwnerFacts {
            owner: Account { user: found.user, group: found.group },
            mode: found.mode,
            target: found.target.map(text),
            stranger: found.stranger.map(text),
        };
        facts.dirs.insert(text(dir.path), facts_of);
    }
    Seen::Is(facts)
}
