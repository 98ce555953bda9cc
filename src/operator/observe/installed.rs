//! What a host shows of the layout: which slot counts, what an older layout left, and whose the directories are.
//! Conversions only, beside the one question about owners.

use std::path::PathBuf;
use std::time::Duration;

use crate::operator::fleet::hosts::Host;
use crate::operator::host::files::{AccountRecord, FileKind, LookOwners, OwnersReport, PathStat};
use crate::operator::plan::account::{Account, Known, OwnerFacts, OwnersFacts};
use crate::operator::plan::desired::DesiredMember;
use crate::operator::plan::layout::{Current, LayoutFacts, Slot};

/// What must be looked at for [`layout`].
pub(super) fn paths(member: &DesiredMember) -> Vec<PathBuf> {
    let legacy = member.legacy_files();
    [member.link_path()].into_iter().chain(legacy).map(PathBuf::from).collect()
}

/// `stats` is what was found at [`paths`], among other things.
pub(super) fn layout(member: &DesiredMember, stats: &[PathStat]) -> LayoutFacts {
    let at = |path: &str| stats.iter().find(|stat| stat.path.as_os_str() == path);
    let legacy = member.legacy_files().into_iter();
    let legacy = legacy.filter(|path| at(path).is_some_and(|stat| stat.found.is_some())).collect();
    LayoutFacts { current: current(at(&member.link_path())), legacy }
}

fn current(stat: Option<&PathStat>) -> Current {
    let Some(stat) = stat.filter(|stat| stat.problem.is_none()) else { return Current::NotSeen };
    let Some(found) = &stat.found else { return Current::Absent };
    if found.kind != FileKind::Symlink {
        return Current::Odd("no link".to_owned());
    }
    match found.link_target.as_ref().map(|target| target.to_string_lossy()) {
        None => Current::NotSeen,
        Some(target) => {
            Slot::of_target(&target).map_or_else(|| Current::Odd(format!("a link to {target}")), Current::Is)
        }
    }
}

/// Whose the directories of the member are; `deep`: and what is in them. `None`: nobody could look.
pub(super) async fn owners(
    member: &DesiredMember,
    host: &Host,
    deep: bool,
    deadline: Duration,
) -> Option<OwnersFacts> {
    let (var, dynamic) = (member.var_dir(), member.dynamic_dir());
    let dirs = [&member.dirs.data, &member.dirs.data_log, &dynamic, &var].map(PathBuf::from);
    let ways = [&member.dirs.install, &member.dirs.data, &member.dirs.data_log].map(PathBuf::from);
    let user = member.run_as.as_ref().filter(|_| host.machine().uid == 0).map(|run_as| run_as.user.clone());
    let asked = user.is_some();
    let request = LookOwners { user, dirs: dirs.to_vec(), ways: ways.to_vec(), deep };
    let report = host.link.within(deadline).look_owners(request).await.ok()?;
    told(*report, asked)
}

/// One directory that could not be looked at, and nothing is known.
fn told(report: OwnersReport, asked: bool) -> Option<OwnersFacts> {
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
        if dir.problem.is_some() {
            return None;
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
    Some(facts)
}
