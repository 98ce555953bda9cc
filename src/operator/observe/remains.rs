//! What earlier deployments of ours left on a host and the inventory does not name: blocked addresses, databases at another
//! place. It only looks.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::answer::{seen, wall_ms};
use crate::operator::fleet::hosts::Host;
use crate::operator::plan::desired::DesiredMember;
use crate::operator::plan::lists;
use crate::operator::plan::seen::Seen;

/// What this host blocks for us.
pub(super) async fn fences(host: &Host, deadline: Duration) -> Seen<Vec<IpAddr>> {
    let fences = seen(host.link.within(deadline).fences().await);
    fences.map(|fences| fences.into_iter().map(|fence| fence.address.to_canonical()).collect())
}

/// Databases where the installed zoo.cfg has them and the inventory does not.
pub(super) async fn left_behind(
    member: &DesiredMember,
    host: &Host,
    config: &Seen<String>,
    deadline: Duration,
) -> Seen<Vec<String>> {
    let config = match config.as_ref() {
        Seen::Is(config) => config,
        Seen::Absent => return Seen::Is(Vec::new()),
        Seen::Unseen(why) => return Seen::Unseen(why),
    };
    let wanted = [&member.dirs.data, &member.dirs.data_log];
    let dirs = ["dataDir", "dataLogDir"].into_iter().filter_map(|key| lists::setting(config, key));
    let before = dirs.filter(|dir| !wanted.iter().any(|wanted| wanted == dir));
    let paths: Vec<PathBuf> = before.map(|dir| PathBuf::from(format!("{dir}/version-2"))).collect();
    if paths.is_empty() {
        return Seen::Is(Vec::new());
    }
    let stats = match seen(host.link.within(deadline).stat(paths).await) {
        Seen::Is(stats) => stats,
        Seen::Absent => return Seen::default(),
        Seen::Unseen(why) => return Seen::Unseen(why),
    };
    if let Some(problem) = stats.iter().find_map(|stat| stat.problem.as_ref()) {
        return Seen::unseen(problem.to_string(), wall_ms());
    }
    let there = stats.into_iter().filter(|stat| stat.found.is_some());
    Seen::Is(there.map(|stat| stat.path.to_string_lossy().into_owned()).collect())
}
