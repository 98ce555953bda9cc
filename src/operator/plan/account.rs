//! Whom a member's server runs as, and whether its directories are theirs already. Where we are not root, and on this
//! very machine, servers run as whoever deploys; data that somebody else than root has already keeps its owner.

use super::desired::{Desired, DesiredMember};
use super::facts::{Facts, HostFacts};
use super::owners::{Account, Known, OwnerFacts};
use super::{Refused, Stop};

/// Whom the member's server runs as on that host; `None`: whoever deploys.
pub fn of(member: &DesiredMember, host: &HostFacts) -> Option<Account> {
    let wanted = member.run_as.as_ref().filter(|_| host.root)?;
    let owners = host.owners.is();
    let kept = || data_dirs(member).into_iter().find_map(|dir| kept(owners?.dirs.get(dir)?, &wanted.user));
    if !wanted.named
        && let Some(kept) = kept()
    {
        return Some(kept);
    }
    match owners.map(|owners| &owners.account) {
        Some(Known::Is(account)) => Some(account.clone()),
        // Made with a group of its own.
        _ => Some(Account { user: wanted.user.clone(), group: wanted.user.clone() }),
    }
}

/// The user must be made on that host.
pub fn missing(member: &DesiredMember, host: &HostFacts) -> Option<String> {
    let account = of(member, host)?;
    let wanted = member.run_as.as_ref().filter(|wanted| wanted.user == account.user)?;
    matches!(host.owners.is()?.account, Known::Missing { .. }).then(|| wanted.user.clone())
}

/// Data directories that are not, or not wholly, the server's own.
pub(crate) fn to_give(member: &DesiredMember, host: &HostFacts) -> Vec<String> {
    let (Some(account), Some(owners)) = (of(member, host), host.owners.is()) else { return Vec::new() };
    let down = host.unit.is_down();
    let wrong = |seen: &OwnerFacts| {
        seen.owner.user != account.user
            // Its server can write where it is, whatever an old file beside it says.
            || (seen.stranger.is_some() && down)
            || (host.layout.is_older() && seen.mode & 0o077 != 0)
    };
    let dirs = data_dirs(member).into_iter().map(str::to_owned).chain([member.dynamic_dir()]);
    dirs.filter(|dir| owners.dirs.get(dir).is_some_and(wrong)).collect()
}

/// What keeps a member's server from running as its user.
///
/// # Errors
/// With everything that is in the way, on all hosts.
pub fn check(desired: &Desired, facts: &Facts) -> Result<(), Stop> {
    let mut evidence = Vec::new();
    let mut next = Vec::new();
    for member in desired.members.values() {
        let Some(host) = facts.host(member.id) else { continue };
        let Some(account) = of(member, host) else { continue };
        let Some(owners) = host.owners.is() else {
            let why = host.owners.why_unseen().map_or_else(String::new, |why| format!(" ({why})"));
            evidence.push(format!("{}: whose its directories are could not be seen{why}", member.name));
            next.push(format!("zkops deploy {}", desired.inventory));
            continue;
        };
        if missing(member, host).is_some() && owners.account == (Known::Missing { can_make: false }) {
            let user = &account.user;
            evidence.push(format!("{}: there is no user {user}, nor useradd or adduser", member.name));
            next.push(format!("make the user {user} on {}, or name another one (`user:`)", member.name));
        }
        let wanted = member.run_as.as_ref().is_some_and(|wanted| wanted.user == account.user);
        if let Some(barred) = owners.barred.as_ref().filter(|_| wanted) {
            evidence.push(format!("{}: {} may not pass {barred}", member.name, account.user));
            next.push(format!(
                "on {}: chmod o+x {barred}, or name other directories, or `user: root`",
                member.name
            ));
        }
    }
    if evidence.is_empty() {
        return Ok(());
    }
    next.dedup();
    let what = "servers cannot run as their user there".to_owned();
    Err(Stop::Refused(Refused { what, evidence, next }))
}

/// The dataDir, and the dataLogDir where it is another one.
pub(super) fn data_dirs(member: &DesiredMember) -> Vec<&str> {
    let mut dirs = vec![member.dirs.data.as_str(), &member.dirs.data_log];
    dirs.dedup();
    dirs
}

/// Users that deployments of ours made on the host, as far as the journal there was seen.
pub(super) fn made_users(host: &HostFacts) -> &[String] {
    host.journal.is().map_or(&[], |journal| &journal.made_users)
}

/// Directories above the member's that they made, likewise; each behind those above it.
pub(super) fn made_dirs(host: &HostFacts) -> &[String] {
    host.journal.is().map_or(&[], |journal| &journal.made_dirs)
}

fn kept(seen: &OwnerFacts, wanted: &str) -> Option<Account> {
    let user = &seen.owner.user;
    (user != "root" && user != wanted).then(|| seen.owner.clone())
}
