//! What the data of a member says of itself: whose it is, whether it can be what a server wrote, whether there is any.

use super::{Diagnosis, typed};
use crate::operator::plan::cures::Cause;
use crate::operator::plan::desired::{Desired, DesiredMember};
use crate::operator::plan::facts::{Facts, HostFacts, Marker, Myid};
use crate::operator::plan::{Stop, damage, ensemble, ownership};

pub(super) fn causes(
    desired: &Desired,
    facts: &Facts,
    member: &DesiredMember,
    host: &HostFacts,
) -> Vec<Diagnosis> {
    if let Some(moved) = moved_away(facts, member, host) {
        return vec![moved];
    }
    // What was not seen explains nothing.
    let Some(data) = host.data.is() else { return Vec::new() };
    let dir = &member.dirs.data;
    if host.unit.installed.is_absent() && data.marker.is_none() {
        return Vec::new();
    }
    let mut found: Vec<Diagnosis> = Vec::new();
    let repair = |how: &str| vec![format!("zkops repair {}{how}", member.name)];
    let uuid = facts.uuid_of(&desired.cluster);
    let ours = data.marker.as_ref().map(|marker| is_ours(desired, member, marker, &uuid));
    if let Some(marker) = data.marker.as_ref().filter(|_| ours == Some(false)) {
        let what = format!("{dir} holds data of cluster {:?}, server {}", marker.cluster, marker.id);
        let mut evidence = vec![format!("{dir}/zkops.json says so")];
        if marker.cluster == desired.cluster && marker.uuid != uuid {
            evidence.push(format!("another cluster of that name: uuid {}, not {uuid}", marker.uuid));
        }
        let how = format!(" --foreign-data {}", typed(&marker.cluster));
        // Exchanged ids are mended where they were exchanged.
        let next = match ownership::same_ids(desired, facts) {
            Err(Stop::Refused(exchanged)) if marker.uuid == uuid => exchanged.next,
            _ => repair(&how),
        };
        found.push(Diagnosis::new(member, Cause::ForeignData, what).shown(evidence).then(next));
    } else {
        found.extend(myid(member, &data.myid, ours == Some(true), &data.entries));
    }
    if !data.damage.is_empty() {
        let what = format!("the database in {dir} is damaged: {}", damage::sentence(&data.damage));
        found.push(Diagnosis::new(member, Cause::DamagedData, what).then(repair("")));
    } else if !data.has_database && !data.initialize && ensemble::has_history(desired, facts) {
        let state = if data.exists { "holds none" } else { "does not exist (is its file system mounted?)" };
        let what = format!("the database of {} is gone: {dir} {state}", member.name);
        found.push(
            Diagnosis::new(member, Cause::LostData, what).shown(listing(&data.entries)).then(repair("")),
        );
    }
    found
}

/// Whatever stands there now is not what its server writes to.
fn moved_away(facts: &Facts, member: &DesiredMember, host: &HostFacts) -> Option<Diagnosis> {
    let server = facts.server(member.id).filter(|_| host.unit.runs())?;
    if !server.data_moved.is_and(|moved| *moved) {
        return None;
    }
    let (dir, name) = (&member.dirs.data, &member.name);
    let what = format!("the data of {name} was moved away under its server: {dir} is not what it writes to");
    let found = host.data.is().map(|data| match data.exists {
        true => listing(&data.entries),
        false => vec![format!("{dir} does not exist")],
    });
    let next = format!(
        "on the host of {name}, move its directory back to {dir}   (if it was removed: zkops stop {name}, then zkops repair {name})"
    );
    let found = found.unwrap_or_default();
    Some(Diagnosis::new(member, Cause::DataMoved, what).shown(found).then(vec![next]))
}

fn is_ours(desired: &Desired, member: &DesiredMember, marker: &Marker, uuid: &str) -> bool {
    marker.cluster == desired.cluster && marker.uuid == uuid && marker.id == member.id
}

/// `proven`: a marker beside it says whose data it is, so only the file is wrong.
fn myid(member: &DesiredMember, myid: &Myid, proven: bool, entries: &[String]) -> Option<Diagnosis> {
    let path = member.myid_path();
    let repair = |how: &str| vec![format!("zkops repair {}{how}", member.name)];
    let (what, evidence) = match myid {
        Myid::Is(id) if *id == member.id => return None,
        Myid::Missing => (format!("{path} is missing"), listing(entries)),
        Myid::Is(id) => (format!("{path} says {id} instead of {}", member.id), Vec::new()),
        Myid::Garbage(text) => (format!("{path} is not a number"), vec![format!("{text:?}")]),
    };
    let diagnosis = |cause| Diagnosis::new(member, cause, what.clone()).shown(evidence.clone());
    Some(match myid {
        Myid::Is(_) | Myid::Garbage(_) if !proven => {
            let mut unproven = diagnosis(Cause::MyidWrong);
            unproven.evidence.push(format!("no zkops.json in {} says whose data it is", member.dirs.data));
            unproven.then(repair(" --wipe"))
        }
        _ => diagnosis(Cause::MyidMissing).then(repair("")),
    })
}

fn listing(entries: &[String]) -> Vec<String> {
    if entries.is_empty() { Vec::new() } else { vec![format!("found there: {}", entries.join(", "))] }
}
