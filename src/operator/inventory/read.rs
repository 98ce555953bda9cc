//! The file's own shape: cluster, ssh, connection, defaults, zoo, nodes (a map, or a list of addresses).

use super::address;
use super::complaint::{self, Complaint};
use super::fields::{Fields, word};
use super::finding::{Findings, Span, shorten};
use super::layer::Layer;
use super::model::{Cluster, Connection, Member, Ports, Role, SshSettings};
use super::placed::{Placed, Places};
use super::rules;
use super::yaml::{Data, Entry, Spanned, Value};
use crate::formats::opening::Network;
use crate::wire::ids::ServerId;

/// The cluster that the file describes, as far as it can be read; findings say what is wrong, those of `judge` among
/// them.
pub(super) fn cluster(
    value: &Value,
    judge: &dyn Fn(&Cluster) -> Vec<Complaint>,
    findings: &mut Findings<'_>,
) -> Option<Cluster> {
    let mut fields = Fields::of(value, "an inventory", findings)?;
    let name = cluster_name(&mut fields, findings);
    let mut defaults = match fields.take("defaults") {
        None => Layer::default(),
        Some(entry) => {
            let mut fields = Fields::of(&entry.value, "`defaults`", findings)?;
            let layer = Layer::take(&mut fields, findings);
            fields.finish(findings);
            layer
        }
    };
    let mut shared = Layer::default();
    shared.take_shared(&mut fields, findings);
    defaults = shared.over(&defaults);
    let clients = fields.take("clients").and_then(|entry| read_clients(entry, findings));
    let nodes = fields.take("nodes");
    fields.finish(findings);
    let Some(nodes) = nodes else {
        findings.error("no-nodes", Span { start: 0, end: 0 }, "the inventory names no members", "").help(
            "the shortest inventory is one line: nodes: [192.168.17.130, 192.168.17.131, 192.168.17.132]",
        );
        return None;
    };
    let mut placed = read_nodes(&name, &nodes.value, &defaults, findings);
    rules::check(&placed, nodes.key.span, findings);
    placed.sort_by_key(|placed| placed.member.id);
    let (members, places): (_, Vec<Places>) =
        placed.into_iter().map(|placed| (placed.member, placed.at)).unzip();
    let cluster = Cluster { name, members, clients };
    complaint::place(&cluster, &places, judge(&cluster), findings);
    Some(cluster)
}

fn cluster_name(fields: &mut Fields<'_>, findings: &mut Findings<'_>) -> String {
    let Some(name) = fields.word("cluster", findings) else { return CLUSTER_DEFAULT.to_owned() };
    check_name("cluster", &name, findings);
    name.value
}

/// A list of networks and addresses, or a single one.
fn read_clients(entry: &Entry, findings: &mut Findings<'_>) -> Option<Vec<Network>> {
    let items = match &entry.value.data {
        Data::List(items) => items.as_slice(),
        _ => std::slice::from_ref(&entry.value),
    };
    if items.is_empty() {
        findings.error("clients", entry.value.span, "`clients` names nobody", "an empty list").help(
            "name networks like 10.0.0.0/8, or remove the key: then everybody may reach the client ports",
        );
    }
    let networks = items.iter().filter_map(|item| {
        let text = word(item, "a network", findings)?;
        match text.value.parse::<Network>() {
            Ok(network) => Some(network),
            Err(why) => {
                findings
                    .error("clients", text.span, why.to_string(), "")
                    .help("firewalls know addresses, not names");
                None
            }
        }
    });
    Some(networks.collect())
}

/// Names become parts of unit names and paths.
fn check_name(what: &str, name: &Spanned<String>, findings: &mut Findings<'_>) {
    if !is_name(&name.value) {
        findings
            .error("name", name.span, format!("{what} name `{}`", shorten(&name.value)), "not a plain name")
            .help(NAME_RULE);
    }
}

/// A cluster or a member may be called so.
pub fn is_name(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    text.len() <= 63 && text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(good)
}

fn read_nodes(cluster: &str, value: &Value, defaults: &Layer, findings: &mut Findings<'_>) -> Vec<Placed> {
    match &value.data {
        Data::List(items) => {
            let nodes = items.iter().enumerate().filter_map(|(at, item)| {
                if let Data::Map(_) = &item.data {
                    return read_listed(cluster, item, defaults, findings);
                }
                let host = host_word(item, "a member", findings)?;
                let id = Spanned { value: at as i64 + 1, span: item.span };
                let name = Spanned { value: format!("node-{}", at + 1), span: item.span };
                finish_node(cluster, name, id, host, defaults.clone(), findings)
            });
            nodes.collect()
        }
        Data::Map(entries) => {
            let nodes = entries.iter().filter_map(|entry| {
                check_name("member", &entry.key, findings);
                read_node(cluster, &entry.key, &entry.value, defaults, findings)
            });
            nodes.collect()
        }
        Data::Null | Data::Scalar { .. } => {
            findings
                .error("type", value.span, "`nodes` must be a map or a list", "this is neither")
                .help("write `node-1: { id: 1, ip: 192.168.17.130 }` lines, or a list of addresses");
            Vec::new()
        }
    }
}

/// A member of a list that says its id itself: it has a name, or is called by its id.
fn read_listed(
    cluster: &str,
    value: &Value,
    defaults: &Layer,
    findings: &mut Findings<'_>,
) -> Option<Placed> {
    let mut fields = Fields::of(value, "a member", findings)?;
    let given = fields.word("name", findings);
    if let Some(name) = &given {
        check_name("member", name, findings);
    }
    let name = |id: Option<&Spanned<i64>>| {
        given.clone().unwrap_or_else(|| Spanned {
            value: format!("node-{}", id.map_or(0, |id| id.value)),
            span: value.span,
        })
    };
    read_fields(cluster, &name, fields, defaults, findings)
}

fn read_node(
    cluster: &str,
    name: &Spanned<String>,
    value: &Value,
    defaults: &Layer,
    findings: &mut Findings<'_>,
) -> Option<Placed> {
    if let Data::Scalar { text } = &value.data {
        let message = format!("member `{}` has no `id`", shorten(&name.value));
        findings.error("missing-key", value.span, message, "an address alone").help(format!(
            "write `{}: {{ id: N, ip: {} }}`, with an N of its own: ids are never guessed",
            name.value,
            shorten(text)
        ));
        return None;
    }
    let fields = Fields::of(value, "a member", findings)?;
    read_fields(cluster, &|_| name.clone(), fields, defaults, findings)
}

fn read_fields(
    cluster: &str,
    name: &dyn Fn(Option<&Spanned<i64>>) -> Spanned<String>,
    mut fields: Fields<'_>,
    defaults: &Layer,
    findings: &mut Findings<'_>,
) -> Option<Placed> {
    let id_given = fields.take("id").is_some();
    let id = fields.number("id", 1..=255, findings);
    let ip = fields.take("ip");
    // What many write for it, and what can mean nothing else.
    let (host_given, ip) = match (ip, fields.take("host")) {
        (Some(ip), Some(host)) => {
            let label = "and `ip` is given, too";
            findings
                .error("duplicate-key", host.key.span, "`host` is `ip` again", label)
                .and(ip.key.span, "here");
            (true, None)
        }
        (ip, host) => (ip.or(host).is_some(), ip.or(host)),
    };
    let host = ip.and_then(|entry| host_word(&entry.value, "`ip`", findings));
    let layer = Layer::take(&mut fields, findings).over(defaults);
    fields.finish(findings);
    let name = name(id.as_ref());
    for (given, key, example) in [(id_given, "id", "id: 1"), (host_given, "ip", "ip: 192.168.17.130")] {
        if !given {
            findings
                .error(
                    "missing-key",
                    name.span,
                    format!("member `{}` has no `{key}`", shorten(&name.value)),
                    "",
                )
                .help(format!("add `{example}`: ids and addresses are never guessed"));
        }
    }
    finish_node(cluster, name, id?, host?, layer, findings)
}

/// An address. YAML takes `[fd00::1]` for a list of one.
fn host_word(value: &Value, what: &str, findings: &mut Findings<'_>) -> Option<Spanned<String>> {
    match &value.data {
        Data::List(items) if items.len() == 1 => {
            let inner = word(&items[0], what, findings)?;
            Some(Spanned { value: format!("[{}]", inner.value), span: value.span })
        }
        _ => word(value, what, findings),
    }
}

fn finish_node(
    cluster: &str,
    name: Spanned<String>,
    id: Spanned<i64>,
    host: Spanned<String>,
    mut layer: Layer,
    findings: &mut Findings<'_>,
) -> Option<Placed> {
    let host = address_of(host, &mut layer, findings)?;
    let local = layer.local.as_ref().is_some_and(|local| local.value);
    let home = format!("~/.zkops/{cluster}/{}", name.value);
    let given = [&layer.install_dir, &layer.data_dir, &layer.data_log_dir];
    for dir in given.into_iter().flatten() {
        rules::check_placeholders(dir, findings);
    }
    let dir = |given: &Option<Spanned<String>>, default: String| {
        let text = given.as_ref().map_or(default, |dir| dir.value.clone());
        text.replace(rules::NAME, &name.value)
    };
    let install_dir = dir(&layer.install_dir, if local { home.clone() } else { INSTALL_DIR.to_owned() });
    let data_dir = dir(&layer.data_dir, if local { format!("{home}/data") } else { DATA_DIR.to_owned() });
    let data_log_dir = layer.data_log_dir.as_ref().map(|log| log.value.replace(rules::NAME, &name.value));
    let span = |given: Option<Span>| given.unwrap_or(name.span);
    let dirs = [
        ("install_dir", &install_dir, span(layer.install_dir.as_ref().map(|dir| dir.span))),
        ("data_dir", &data_dir, span(layer.data_dir.as_ref().map(|dir| dir.span))),
    ];
    let log = data_log_dir.as_ref().zip(layer.data_log_dir.as_ref().map(|log| log.span));
    for (key, dir, at) in dirs.into_iter().chain(log.map(|(dir, at)| ("data_log_dir", dir, at))) {
        rules::check_dir(key, dir, at, local, findings);
    }
    let port = |given: &Option<Spanned<u16>>, default| given.as_ref().map_or(default, |port| port.value);
    let port_span = |given: &Option<Spanned<u16>>| span(given.as_ref().map(|port| port.span));
    let at = Places {
        node: name.span,
        id: id.span,
        host: host.span,
        ports: [port_span(&layer.client), port_span(&layer.quorum), port_span(&layer.election)],
        data_dir: dirs[1].2,
        data_log_dir: span(log.map(|(_, at)| at)),
        install_dir: dirs[0].2,
        zoo: std::mem::take(&mut layer.zoo),
    };
    if let Some(user) = layer.run_as.as_ref().filter(|_| local) {
        findings
            .warning("user", user.span, "`user` has no effect with `connection: local`", "not used")
            .help("servers on this machine run as whoever deploys them: remove it");
    }
    let ports = Ports {
        client: port(&layer.client, CLIENT_PORT),
        quorum: port(&layer.quorum, QUORUM_PORT),
        election: port(&layer.election, ELECTION_PORT),
    };
    let member = Member {
        name: name.value,
        id: ServerId(id.value),
        host: host.value,
        role: layer.role.unwrap_or(Role::Participant),
        ports,
        install_dir,
        data_dir,
        data_log_dir,
        user: layer.run_as.as_ref().map(|user| user.value.clone()),
        zoo: at.zoo.iter().map(|(key, setting)| (key.clone(), setting.value.value.clone())).collect(),
        connection: if local { Connection::Local } else { Connection::Ssh(ssh(layer)) },
    };
    Some(Placed { member, at })
}

/// The address in its one spelling; a user before it is the user to log in as.
fn address_of(
    typed: Spanned<String>,
    layer: &mut Layer,
    findings: &mut Findings<'_>,
) -> Option<Spanned<String>> {
    match address::with_user(&typed.value) {
        Ok((user, value)) => {
            layer.user = user.or(layer.user.take());
            Some(Spanned { value, span: typed.span })
        }
        Err(why) => {
            let message = format!("`{}` is no address", shorten(&typed.value));
            findings.error("address", typed.span, message, why.label).help(why.help);
            None
        }
    }
}

fn ssh(layer: Layer) -> SshSettings {
    SshSettings {
        user: layer.user,
        port: layer.ssh_port,
        key: layer.key,
        known_hosts: layer.known_hosts,
        jump: layer.jump,
        sudo: layer.sudo.and_then(|sudo| sudo.value),
    }
}

/// What [`is_name`] asks for, as a regular expression.
pub(super) const NAME_PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$";
/// The same in words.
pub const NAME_RULE: &str = "letters, digits, `-`, `_` and `.`, a letter or digit first, at most 63";
/// The name of a cluster whose file gives none.
const CLUSTER_DEFAULT: &str = "zookeeper";
const CLIENT_PORT: u16 = 2181;
const QUORUM_PORT: u16 = 2888;
const ELECTION_PORT: u16 = 3888;
/// Where the walkthrough puts things.
const INSTALL_DIR: &str = "/export/server/zkops";
const DATA_DIR: &str = "/export/data/zkdata";
