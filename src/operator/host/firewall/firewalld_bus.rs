//! firewalld on the system bus, spoken to through `busctl`: milliseconds a call where `firewall-cmd`
//! (a Python program) takes a good part of a second. Whatever the bus cannot tell or do is left to
//! `firewall-cmd`: an old firewalld without these calls, an old systemd whose `busctl` knows no JSON.

use std::fs;
use std::path::PathBuf;

use futures_util::future::join_all;
use serde_json::Value;
use tokio::time::Instant;

use super::firewalld_zone::{Zone, rich_rule};
use crate::formats::opening::Opening;
use crate::operator::host::failure::Failure;
use crate::operator::host::machine::command;

/// What the bus says about the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Running {
    Yes {
        default_zone: String,
    },
    No,
    /// No bus, or no permission to ask.
    Unknown,
}

/// Which of a zone's two sets of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// In force, gone after a restart or reload of the daemon.
    Now,
    /// In the zone's file, in force after a restart or reload.
    Permanent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Add,
    Remove,
}

pub(crate) async fn running(deadline: Instant) -> Running {
    let Ok(output) = call(PATH, NAME, "getDefaultZone", &[], deadline).await else {
        return Running::Unknown;
    };
    if output.ok() {
        return match text(&output.stdout) {
            Some(default_zone) => Running::Yes { default_zone },
            None => Running::Unknown,
        };
    }
    let complaint = output.complaint();
    if complaint.contains("does not exist") || complaint.contains("was not provided") {
        return Running::No;
    }
    Running::Unknown
}

/// The zone that an interface is bound to, if any. `None`: the bus does not say.
pub(crate) async fn zone_of(interface: &str, deadline: Instant) -> Option<Option<String>> {
    let output = call(PATH, ZONES, "getZoneOfInterface", &["s", interface], deadline).await.ok()?;
    let zone = output.ok().then(|| text(&output.stdout))??;
    Some(Some(zone).filter(|zone| !zone.is_empty()))
}

/// One zone's settings. `None`: the bus does not say, or there is no such zone.
pub(crate) async fn settings(zone: &str, lifetime: Lifetime, deadline: Instant) -> Option<Zone> {
    let output = match lifetime {
        Lifetime::Now => call(PATH, ZONES, "getZoneSettings2", &["s", zone], deadline).await,
        Lifetime::Permanent => {
            let object = object_of(zone, deadline).await?;
            call(&object, CONFIG_ZONE, "getSettings2", &[], deadline).await
        }
    };
    let output = output.ok().filter(command::Output::ok)?;
    zone_from(zone, &output.stdout)
}

/// Adds or removes openings, all at once. False: the bus did not do all of it; asking again in
/// another way does no harm.
pub(crate) async fn change(
    change: Change,
    lifetime: Lifetime,
    zone: &str,
    openings: &[Opening],
    deadline: Instant,
) -> bool {
    let (object, interface) = match lifetime {
        Lifetime::Now => (PATH.to_string(), ZONES),
        Lifetime::Permanent => match object_of(zone, deadline).await {
            Some(object) => (object, CONFIG_ZONE),
            None => return false,
        },
    };
    let changed = openings.iter().map(|opening| {
        let (object, port, rule) = (object.as_str(), opening.port.to_string(), rich_rule(opening));
        async move {
            let (what, mut args) = match &rule {
                None => ("Port", vec![port.as_str(), "tcp"]),
                Some(rule) => ("RichRule", vec![rule.as_str()]),
            };
            let mut types = "s".repeat(args.len());
            if lifetime == Lifetime::Now {
                args.insert(0, zone);
                types.push('s');
                if change == Change::Add {
                    // No time-out.
                    args.push("0");
                    types.push('i');
                }
            }
            let verb = if change == Change::Add { "add" } else { "remove" };
            let args = [&[types.as_str()], &args[..]].concat();
            let done = call(object, interface, &format!("{verb}{what}"), &args, deadline).await;
            done.is_ok_and(|output| output.ok() || holds_already(change, &output.complaint()))
        }
    });
    join_all(changed).await.into_iter().all(|done| done)
}

fn holds_already(change: Change, complaint: &str) -> bool {
    complaint.contains(match change {
        Change::Add => "ALREADY_ENABLED",
        Change::Remove => "NOT_ENABLED",
    })
}

/// The object that holds a zone's permanent rules.
async fn object_of(zone: &str, deadline: Instant) -> Option<String> {
    let output = call(CONFIG_PATH, CONFIG_ALL, "getZoneByName", &["s", zone], deadline).await.ok()?;
    output.ok().then(|| text(&output.stdout))?
}

/// firewalld's dictionary of a zone's settings, as `busctl --json=short` prints it: what is absent
/// has its default.
pub(crate) fn zone_from(name: &str, answer: &str) -> Option<Zone> {
    let answer: Value = serde_json::from_str(answer).ok()?;
    let all = answer["data"][0].as_object()?;
    let listed =
        |key: &str| all.get(key).and_then(|value| value["data"].as_array()).cloned().unwrap_or_default();
    let words = |key: &str| listed(key).iter().filter_map(Value::as_str).map(str::to_string).collect();
    let ports = listed("ports");
    let ports = ports.iter().filter_map(|pair| Some(format!("{}/{}", pair[0].as_str()?, pair[1].as_str()?)));
    Some(Zone {
        name: name.to_string(),
        target: all.get("target").and_then(|value| value["data"].as_str()).unwrap_or("default").to_string(),
        interfaces: words("interfaces"),
        sources: words("sources"),
        ports: ports.collect(),
        rich_rules: words("rules_str"),
        services: words("services"),
        service_ports: Vec::new(),
    })
}

/// The ports of a service that firewalld knows, as `22/tcp`.
pub(crate) fn service_ports(service: &str) -> Vec<String> {
    let text = file("services", service).unwrap_or_default();
    xml_ports(&text).into_iter().map(|(spec, protocol)| format!("{spec}/{protocol}")).collect()
}

fn file(folder: &str, name: &str) -> Option<String> {
    let candidates = FILES.iter().map(|root| PathBuf::from(root).join(folder).join(format!("{name}.xml")));
    candidates.filter_map(|path| fs::read_to_string(path).ok()).next()
}

/// `<port port="2181" protocol="tcp"/>` elements directly below the root: those inside a rich rule
/// stand for something else.
pub(crate) fn xml_ports(text: &str) -> Vec<(String, String)> {
    let (mut found, mut in_rule) = (Vec::new(), false);
    for element in text.split('<').skip(1) {
        let tag = element.split('>').next().unwrap_or_default();
        match tag.split(|c: char| c.is_whitespace() || c == '/').next().unwrap_or_default() {
            "rule" => in_rule = !tag.ends_with('/'),
            "" if tag.starts_with("/rule") => in_rule = false,
            "port" if !in_rule => {
                let value = |name: &str| {
                    let rest = tag.split(&format!(" {name}=")).nth(1)?;
                    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
                    rest[1..].split(quote).next().map(str::to_string)
                };
                found.extend(value("port").zip(value("protocol")));
            }
            _ => {}
        }
    }
    found
}

/// The one string or object path in busctl's answer, such as `{"type":"s","data":["public"]}`.
fn text(answer: &str) -> Option<String> {
    let answer: Value = serde_json::from_str(answer).ok()?;
    answer["data"][0].as_str().map(str::to_string)
}

async fn call(
    object: &str,
    interface: &str,
    method: &str,
    args: &[&str],
    deadline: Instant,
) -> Result<command::Output, Failure> {
    // Without the second flag the question itself would start the daemon.
    let head = ["--json=short", "--auto-start=no", "call", NAME, object, interface, method];
    command::run(BUS, &[&head, args].concat(), deadline).await
}

const BUS: &str = "busctl";
const NAME: &str = "org.fedoraproject.FirewallD1";
const PATH: &str = "/org/fedoraproject/FirewallD1";
const ZONES: &str = "org.fedoraproject.FirewallD1.zone";
/// The permanent rules: an object for all, and one for each zone.
const CONFIG_PATH: &str = "/org/fedoraproject/FirewallD1/config";
const CONFIG_ALL: &str = "org.fedoraproject.FirewallD1.config";
const CONFIG_ZONE: &str = "org.fedoraproject.FirewallD1.config.zone";
/// An administrator's files go before the distribution's.
const FILES: [&str; 2] = ["/etc/firewalld", "/usr/lib/firewalld"];
