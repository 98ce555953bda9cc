//! One zone of firewalld: its settings as text, and what becomes of a port in it. Pure.

use super::matching::covers;
use super::records::Verdict;

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

impl Zone {
    pub(crate) fn opens(&self, port: u16) -> bool {
        let listed = self.ports.iter().chain(&self.service_ports);
        listed.into_iter().any(|entry| entry.strip_suffix("/tcp").is_some_and(|spec| covers(spec, port)))
    }

    pub(crate) fn verdict(&self, port: u16) -> Verdict {
        let about = self.rich_rules.iter().find(|rule| {
            let spec = rule.split("port port=").nth(1).and_then(|rest| rest.split('"').nth(1));
            rule.contains("protocol=\"tcp\"") && spec.is_some_and(|spec| covers(spec, port))
        });
        match about {
            // Refusals go before accepts of any kind in firewalld.
            Some(rule) if !rule.ends_with("accept") && !rule.contains(" accept ") => {
                Verdict::Blocked { by: format!("firewalld zone {}, rich rule: {rule}", self.name) }
            }
            _ if self.opens(port) || self.target == "ACCEPT" => Verdict::Open,
            Some(rule) if rule.contains("source ") => {
                Verdict::Limited { by: format!("firewalld zone {}, rich rule: {rule}", self.name) }
            }
            Some(_) => Verdict::Open,
            None => {
                let way = match self.target.as_str() {
                    "DROP" => "drops",
                    _ => "rejects",
                };
                let by = format!(
                    "firewalld zone {} {way} what it does not list; port {port}/tcp is not listed",
                    self.name
                );
                Verdict::Blocked { by }
            }
        }
    }
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
