//! What a member that has moved leaves on its old host: what deploy put there goes once the ensemble is ready without
//! it. Its data stay, and with them the user whose they are. A host that is somebody else's by now is left alone.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::desired::{Desired, DesiredMember};
use super::facts::{Facts, HostFacts, HostView, Old};
use super::install::step;
use super::step::{Action, Wave};
use super::{account, former, outdated};

/// The last wave of a deployment that sees old places. Their servers are stopped and disabled by then, by waves before it
/// or long ago.
pub(super) fn wave(desired: &Desired, facts: &Facts) -> Wave {
    let steps = facts.elsewhere.former.iter().filter_map(|old| {
        let member = desired.members.get(&old.member)?;
        let Old::Host(HostView::Seen(host)) = &old.view else { return None };
        let fences = blocked(desired, facts, host);
        let is_ours = former::is_left(desired, facts, old, host) || !fences.is_empty();
        if former::taken_by(desired, member, &old.address).is_some() || !is_ours {
            return None;
        }
        let (openings, made) = (host.opened().to_vec(), account::made_dirs(host).to_vec());
        let action = Action::Vacate { address: old.address.clone(), openings, fences, made };
        Some(step(member, action, &why(member)))
    });
    Wave { title: "leave the old hosts".to_owned(), steps: steps.collect(), ..Wave::default() }
}

fn why(member: &DesiredMember) -> String {
    format!("{} is at {}; its data there stay", member.name, member.address)
}

/// Where members are at home, as far as that host blocks them: a move to it was begun there, and did not end.
fn blocked(desired: &Desired, facts: &Facts, host: &HostFacts) -> Vec<IpAddr> {
    let homes: BTreeSet<IpAddr> =
        desired.members.values().flat_map(|member| outdated::addresses(desired, facts, member)).collect();
    host.fences.is().into_iter().flatten().filter(|ip| homes.contains(ip)).copied().collect()
}
