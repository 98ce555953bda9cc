//! What is wrong with a member's machine: its disk, its clock, and what somebody wrote into the member's zoo.cfg.

use std::io;
use std::path::Path;

use super::Diagnosis;
use crate::config::{Problem, ServerConfig};
use crate::operator::plan::cures::Cause;
use crate::operator::plan::desired::{Desired, DesiredMember};
use crate::operator::plan::facts::{Facts, HostFacts};
use crate::operator::plan::preflight;
use crate::operator::plan::seen::Seen;

pub(super) fn causes(
    desired: &Desired,
    facts: &Facts,
    member: &DesiredMember,
    host: &HostFacts,
) -> Vec<Diagnosis> {
    let mut found: Vec<Diagnosis> = disk(member, host).into_iter().collect();
    found.extend(config(desired, facts, member, host));
    found.extend(clock(desired, facts, member));
    found
}

fn disk(member: &DesiredMember, host: &HostFacts) -> Option<Diagnosis> {
    let (path, room) = member.directories().into_iter().find_map(|path| {
        let dir = host.dir(path);
        let room = dir.room.is().filter(|room| room.free_bytes < DISK_FULL_BYTES)?;
        dir.exists.is().map(|()| (path, room))
    })?;
    let free = preflight::bytes(room.free_bytes);
    let what = format!("the disk of {path} is full: {free} free");
    let next = format!("free space on the file system of {path} on {0}, then: zkops start {0}", member.name);
    Some(Diagnosis::new(member, Cause::DiskFull, what).then(vec![next]))
}

/// In the words of the parser that the server itself reads it with.
fn config(desired: &Desired, facts: &Facts, member: &DesiredMember, host: &HostFacts) -> Option<Diagnosis> {
    // An older layout has its zoo.cfg elsewhere: deploy takes it over.
    if host.unit.installed.is_absent() || host.layout.is_older() {
        return None;
    }
    let path = &member.config_path;
    let (what, evidence) = match &host.installed_config {
        Seen::Unseen(_) => return None,
        Seen::Absent => (format!("{path} is missing"), Vec::new()),
        // The inventory's was judged when it was read.
        Seen::Is(text) if *text == member.zoo_cfg(&facts.uuid_of(&desired.cluster)) => return None,
        Seen::Is(text) => {
            let problems = problems(path, text);
            if problems.is_empty() {
                return None;
            }
            (format!("the server cannot start with {path}"), problems)
        }
    };
    let next = vec![format!("zkops repair {}", member.name)];
    Some(Diagnosis::new(member, Cause::ConfigBroken, what).shown(evidence).then(next))
}

fn problems(path: &str, text: &str) -> Vec<String> {
    // Files that it names are on the host: what they say cannot be judged from here.
    let elsewhere = |_: &Path| Err(io::ErrorKind::NotFound.into());
    let read = ServerConfig::examine(Path::new(path), text.as_bytes(), &[], &elsewhere);
    let here = |problem: &Problem| {
        let about = problem.key.as_deref();
        about != Some(NAMES_A_FILE) && (about.is_some() || !text.contains(NAMES_A_FILE))
    };
    read.problems
        .iter()
        .filter(|problem| here(problem))
        .map(Problem::to_string)
        .take(PROBLEMS_SHOWN)
        .collect()
}

fn clock(desired: &Desired, facts: &Facts, member: &DesiredMember) -> Option<Diagnosis> {
    let excess_ms = preflight::clock_excess_ms(desired, facts, member.id)?;
    if excess_ms <= preflight::CLOCK_FAIL_MS {
        return None;
    }
    let what = format!("the clock of {} is off by {:.1} s", member.name, excess_ms / 1000.0);
    let next =
        format!("set the clock of {}: systemctl enable --now chronyd (or systemd-timesyncd)", member.name);
    Some(Diagnosis::new(member, Cause::ClockOff, what).then(vec![next]))
}

/// Below this not even a transaction log of a few kilobytes grows reliably.
const DISK_FULL_BYTES: u64 = 1 << 20;
/// The members in a file beside zoo.cfg.
const NAMES_A_FILE: &str = "dynamicConfigFile";
/// More of them nobody reads at once.
const PROBLEMS_SHOWN: usize = 5;
