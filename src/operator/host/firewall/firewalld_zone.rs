//! One zone of firewalld: its settings as text, and what becomes of a port in it. Pure.

use super::matching::{Asked, Matches, comes_from, covers};
use super::records::Verdict;
use crate::formats::opening::{Network, Opening};

/// One zone's settings, as far as they decide about ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Zone {
    pub(crate) name: String,
    pub(crate) target: String,
    pub(crate) interfaces: Vec<String>,
    pub(crate) sources: Vec<String>,
    /// `2181/tcp`, `8000-8100/tcp`.
    pub(crate) ports: Vec<String>,
    pub(crate) rich_rules: Vec<String>,
    pub(crate) services: Vec<String>,
    /// What the services stand for, where their files say.
    pub(crate) service_ports: Vec<String>,
}

/// One rich rule, as far as it decides about TCP ports (firewalld.richlanguage(5)).
struct Rich<'a> {
    text: &'a str,
    /// The port it names; `None`: it is about everything, or about something that is no TCP port.
    port: Option<&'a str>,
    everything: bool,
    /// "ipv4" or "ipv6".
    family: Option<&'a str>,
    source: Option<&'a str>,
    inverted: bool,
    accepts: bool,
    refuses: bool,
}

impl Zone {
    /// Does it list the port, `ours` not counted?
    fn opens_beside(&self, port: u16, ours: &str) -> bool {
        let listed = self.ports.iter().filter(|entry| *entry != ours).chain(&self.service_ports);
        listed.into_iter().any(|entry| entry.strip_suffix("/tcp").is_some_and(|spec| covers(spec, port)))
    }

    /// Our kind of opening stands there, whoever put it there.
    pub(crate) fn has(&self, opening: &Opening) -> bool {
        match opening.from {
            None => self.ports.contains(&format!("{}/tcp", opening.port)),
            Some(_) => self.rich_rules.iter().any(|rule| opening_of(rule) == Some(*opening)),
        }
    }

    /// `ours` are openings that we made: that they let in few is nobody's limit.
    pub(crate) fn verdict(&self, asked: &Asked, ours: &[Opening]) -> Verdict {
        let Opening { port, from } = asked.opening;
        let ignored = |opening: &Opening| ours.contains(opening) && asked.ignores(opening);
        let by = |rule: &Rich<'_>| format!("firewalld zone {}, rich rule: {}", self.name, rule.text);
        let rules = self.rich_rules.iter().filter(|rule| !opening_of(rule).is_some_and(|one| ignored(&one)));
        let rules = rules.map(|rule| Rich::read(rule));
        let rules: Vec<(Rich<'_>, Matches)> = rules
            .filter(|rule| rule.everything || rule.port.is_some_and(|spec| covers(spec, port)))
            .map(|rule| (rule.matches(from), rule))
            .filter(|(matches, _)| *matches != Matches::No)
            .map(|(matches, rule)| (rule, matches))
            .collect();
        // Refusals go before accepts of any kind in firewalld.
        let refusal = rules.iter().find(|(rule, matches)| rule.refuses && *matches == Matches::Yes);
        if let Some((rule, _)) = refusal {
            return Verdict::Blocked { by: by(rule) };
        }
        let listed = match ignored(&Opening::to_all(port)) {
            true => self.opens_beside(port, &format!("{port}/tcp")),
            false => self.opens_beside(port, ""),
        };
        if listed || self.target == "ACCEPT" {
            return Verdict::Open { by: format!("firewalld zone {} lists port {port}/tcp", self.name) };
        }
        if let Some((rule, _)) = rules.iter().find(|(rule, matches)| rule.accepts && *matches == Matches::Yes)
        {
            return Verdict::Open { by: by(rule) };
        }
        let limit = rules.iter().find(|(rule, _)| {
            rule.accepts && !rule.everything && !opening_of(rule.text).is_some_and(|one| ours.contains(&one))
        });
        if let Some((rule, _)) = limit {
            return Verdict::Limited { by: by(rule) };
        }
        let way = match self.target.as_str() {
            "DROP" => "drops",
            _ => "rejects",
        };
        let name = &self.name;
        let by = format!("firewalld zone {name} {way} what it does not list; port {port}/tcp is not listed");
        Verdict::Blocked { by }
    }
}

impl<'a> Rich<'a> {
    fn read(text: &'a str) -> Rich<'a> {
        let value = |key: &str| {
            let rest = text.split(&format!(" {key}=")).nth(1)?;
            rest.split(['"', '\'']).nth(1).filter(|value| !value.is_empty())
        };
        let element = [
            "port",
            "service",
            "protocol",
            "icmp-block",
            "icmp-type",
            "masquerade",
            "forward-port",
            "source-port",
        ];
        let words: Vec<&str> = text.split_whitespace().collect();
        let port = text.split("port port=").nth(1).and_then(|rest| rest.split('"').nth(1));
        let own_port = words.contains(&"port") && text.contains("protocol=\"tcp\"");
        let does = |word: &str| words.contains(&word);
        Rich {
            text,
            port: port.filter(|_| own_port),
            everything: !element.iter().any(|word| does(word)) && !text.contains("destination "),
            family: value("family"),
            source: value("source address").or_else(|| value("source NOT address")).or_else(|| {
                // A set of addresses, a MAC address: nobody knows who that is.
                text.contains("source ").then_some("?")
            }),
            inverted: text.contains("source NOT ") || text.contains("invert=\"True\""),
            accepts: does("accept") && !does("limit"),
            refuses: does("reject") || does("drop"),
        }
    }

    fn matches(&self, from: Option<Network>) -> Matches {
        let family = match (self.family, from) {
            (Some(family), Some(from)) => Matches::when((family == "ipv4") == from.is_ipv4()),
            _ => Matches::Yes,
        };
        let source = match self.source {
            None => Matches::Yes,
            Some(source) if self.inverted => comes_from(source, from).negate(),
            Some(source) => comes_from(source, from),
        };
        family.min(source)
    }
}

/// The rich rule of an opening for some; `None`: it is for all, which takes no rich rule.
pub(crate) fn rich_rule(opening: &Opening) -> Option<String> {
    let from = opening.from?;
    let family = if from.is_ipv4() { "ipv4" } else { "ipv6" };
    let port = opening.port;
    Some(format!(
        "rule family=\"{family}\" source address=\"{from}\" port port=\"{port}\" protocol=\"tcp\" accept"
    ))
}

/// The opening that a rich rule is, if it is nothing else.
pub(crate) fn opening_of(rule: &str) -> Option<Opening> {
    let read = Rich::read(rule);
    let opening = Opening { port: read.port?.parse().ok()?, from: Some(read.source?.parse().ok()?) };
    let words = |text: &str| text.split_whitespace().filter(|word| !word.starts_with("address=")).count();
    let same = words(&rich_rule(&opening)?) == words(rule);
    (same && read.accepts && !read.inverted).then_some(opening)
}

/// Parses `firewall-cmd --list-all-zones`: a name, then its indented settings.
pub(crate) fn zones(text: &str) -> Vec<Zone> {
    let mut zones: Vec<Zone> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        if !line.starts_with([' ', '\t']) {
            // "public (active)", in version 2 "public (default, active)".
            let name = line.split_whitespace().next().unwrap_or_default().to_string();
            zones.push(Zone { name, ..Zone::default() });
            continue;
        }
        let Some(zone) = zones.last_mut() else { continue };
        let line = line.trim();
        if line.starts_with("rule ") {
            zone.rich_rules.push(line.to_string());
            continue;
        }
        let Some((key, value)) = line.split_once(':') else { continue };
        let words = || value.split_whitespace().map(str::to_string).collect();
        match key {
            "target" => zone.target = value.trim().to_string(),
            "interfaces" => zone.interfaces = words(),
            "sources" => zone.sources = words(),
            "ports" => zone.ports = words(),
            "services" => zone.services = words(),
            _ => {}
        }
    }
    zones
}
