//! A quick look at firewalld: a few calls on the system bus and its XML files, in milliseconds
//! where `firewall-cmd` (a Python program) takes a good part of a second. It only reads; whatever
//! it cannot tell is asked of `firewall-cmd`.

use std::fs;
use std::path::PathBuf;

use tokio::time::Instant;

use super::command;
use super::verdict::covers;

const BUS: &str = "busctl";
const NAME: &str = "org.fedoraproject.FirewallD1";
const PATH: &str = "/org/fedoraproject/FirewallD1";
const ZONES: &str = "org.fedoraproject.FirewallD1.zone";
/// An administrator's files go before the distribution's.
const CONFIG: [&str; 2] = ["/etc/firewalld", "/usr/lib/firewalld"];

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

pub(crate) async fn running(deadline: Instant) -> Running {
    // Without this flag the question itself would start the daemon.
    let Ok(output) = command::run(BUS, &call(NAME, "getDefaultZone", &[]), deadline).await else {
        return Running::Unknown;
    };
    if output.ok() {
        return match strings(&output.stdout).into_iter().next() {
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

/// The zone that an interface is bound to.
pub(crate) async fn zone_of(interface: &str, deadline: Instant) -> Option<String> {
    let output =
        command::run(BUS, &call(ZONES, "getZoneOfInterface", &["s", interface]), deadline).await.ok()?;
    strings(&output.stdout).into_iter().next().filter(|zone| output.ok() && !zone.is_empty())
}

/// Are all these TCP ports listed in the zone, as it runs and in its file, with no rich rule that
/// might say otherwise?
pub(crate) async fn lists(zone: &str, ports: &[u16], deadline: Instant) -> bool {
    let file = file("zones", zone).unwrap_or_default();
    if file.contains("<rule") {
        return false;
    }
    let (get_ports, get_rules) =
        (call(ZONES, "getPorts", &["s", zone]), call(ZONES, "getRichRules", &["s", zone]));
    let (running, rules) =
        tokio::join!(command::run(BUS, &get_ports, deadline), command::run(BUS, &get_rules, deadline));
    let (Ok(running), Ok(rules)) = (running, rules) else { return false };
    if !running.ok() || !rules.ok() || !strings(&rules.stdout).is_empty() {
        return false;
    }
    let running = strings(&running.stdout);
    let running = running.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
    let listed = |all: &Vec<(String, String)>, port: u16| {
        all.iter().any(|(spec, protocol)| protocol == "tcp" && covers(spec, port))
    };
    [running, xml_ports(&file)].iter().all(|all| ports.iter().all(|port| listed(all, *port)))
}

/// The ports of a service that firewalld knows, as `22/tcp`.
pub(crate) fn service_ports(service: &str) -> Vec<String> {
    let text = file("services", service).unwrap_or_default();
    xml_ports(&text).into_iter().map(|(spec, protocol)| format!("{spec}/{protocol}")).collect()
}

fn file(folder: &str, name: &str) -> Option<String> {
    let candidates = CONFIG.iter().map(|root| PathBuf::from(root).join(folder).join(format!("{name}.xml")));
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

/// The strings in busctl's answer, such as `aas 1 2 "2181" "tcp"`.
pub(crate) fn strings(answer: &str) -> Vec<String> {
    answer.split('"').skip(1).step_by(2).map(str::to_string).collect()
}

fn call<'a>(interface: &'a str, method: &'a str, args: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["--auto-start=no", "call", NAME, PATH, interface, method];
    all.extend(args);
    all
}
