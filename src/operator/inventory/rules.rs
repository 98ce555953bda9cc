//! What members must not do to each other, and what is unwise: ids, addresses, ports, directories, the
//! number of voters.

use std::path::Path;

use super::address;
use super::finding::{Findings, Span, shorten};
use super::model::Role;
use super::placed::Placed;
use super::suggest;
use super::yaml::Spanned;

/// All that zkops itself keeps in an install_dir, in either layout, and takes away with all that is in it, in
/// this order: docs/layout.md.
pub const INSTALLED: [&str; 6] = ["conf", "var", "bin", "current", "slots", "dynamic"];

/// A directory must be absolute and not one that a server may not have to itself.
pub(super) fn check_dir(key: &str, dir: &str, at: Span, local: bool, findings: &mut Findings<'_>) {
    let absolute = dir.starts_with('/') || (local && dir.starts_with("~/"));
    let plain = !dir.split('/').any(|part| part == ".." || part == ".") && !dir.contains("//");
    if !absolute || !plain {
        let help = match local {
            true => "write an absolute path, or one that begins with ~/",
            false => "write an absolute path",
        };
        findings.error("dir", at, format!("`{key}` is `{dir}`"), "not an absolute path").help(help);
        return;
    }
    let parts = dir.split('/').filter(|part| !part.is_empty()).count();
    if parts < 2 {
        findings
            .error("dir", at, format!("`{key}` is `{dir}`"), "too near the root")
            .help("a server owns its directory: give it one of its own, like /export/data/zkdata");
    }
}

/// What stands in braces is the member's name, or a mistake: taken as it is written, it would be a directory that all share.
pub(super) fn check_placeholders(dir: &Spanned<String>, findings: &mut Findings<'_>) {
    let words = dir.value.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(word, _)| word);
    for word in words.filter(|word| format!("{{{word}}}") != NAME) {
        let message = format!("there is no placeholder `{{{}}}`", shorten(word));
        let near = suggest::nearest(word, ["name"]);
        let help = near.map_or_else(
            || format!("{NAME} stands for the member's name; nothing else stands in braces"),
            |near| format!("did you mean `{{{near}}}`?"),
        );
        findings.error("placeholder", dir.span, message, "unknown").help(help);
    }
}

/// Everything that takes more than one member to be wrong.
pub(super) fn check(placed: &[Placed], nodes: Span, findings: &mut Findings<'_>) {
    for (at, later) in placed.iter().enumerate() {
        for earlier in &placed[..at] {
            check_pair(earlier, later, findings);
        }
        check_own_name(later, findings);
        check_own_ports(later, findings);
        check_own_dirs(later, findings);
    }
    if findings.has_errors() {
        // A node that could not be read would make any count wrong.
        return;
    }
    let voters = placed.iter().filter(|placed| placed.member.role == Role::Participant).count();
    let observers = placed.len() - voters;
    if voters == 0 {
        let label = if observers > 0 { "observers only" } else { "" };
        findings
            .error("no-voters", nodes, "no member is a voter", label)
            .help("make at least one member `role: participant`");
    } else if voters == 1 && observers > 0 {
        findings
            .error("lone-voter", nodes, "one voter cannot have observers", "")
            .help("an ensemble has at least two voters, better three");
    } else if voters == 1 {
        findings
            .warning("lone-voter", nodes, "one voter: no failure is survived", "")
            .help("three voters survive the loss of one");
    } else if voters % 2 == 0 {
        let (survives, odd) = ((voters - 1) / 2, voters - 1);
        findings.warning("even-voters", nodes, format!("{voters} voters: an even number"), "").help(format!(
            "{voters} survive the loss of {survives}, and so do {odd}: add one, or make one an observer"
        ));
    } else if voters > VOTERS_MAX_WISE {
        findings
            .warning(
                "many-voters",
                nodes,
                format!("{voters} voters: every write waits for {}", voters / 2 + 1),
                "",
            )
            .help("make some of them observers");
    }
}

fn check_pair(earlier: &Placed, later: &Placed, findings: &mut Findings<'_>) {
    let (a, b) = (&earlier.member, &later.member);
    if a.name == b.name {
        // Only a list can do this, and it numbers its nodes.
        return;
    }
    if a.id == b.id {
        findings
            .error(
                "duplicate-id",
                later.at.id,
                format!("`{}` and `{}` have the same id {}", a.name, b.name, b.id),
                "again here",
            )
            .and(earlier.at.id, "first here")
            .help("an id is a server's identity for ever: give each its own");
    }
    if !address::same(&a.host, &b.host) {
        return;
    }
    let mut clash = false;
    for (x, x_at) in ports(earlier) {
        for (y, y_at) in ports(later) {
            if x == y && !clash {
                clash = true;
                let message = format!("`{}` and `{}` both use port {y} of {}", a.name, b.name, b.host);
                let explicit = y_at != later.at.node;
                let at = if explicit { y_at } else { later.at.host };
                let other = if explicit { x_at } else { earlier.at.host };
                let help = match explicit {
                    true => "give each its own ports",
                    false => {
                        "two members on one address need ports of their own (`ports: { client: …, quorum: …, election: … }`); \
                              if they are two hosts, one address is mistyped"
                    }
                };
                let code = if explicit { "duplicate-port" } else { "duplicate-ip" };
                findings.error(code, at, message, "again here").and(other, "first here").help(help);
                if !explicit {
                    // One mistyped address explains the directories too.
                    return;
                }
            }
        }
    }
    if a.data_dir == b.data_dir {
        let message =
            format!("`{}` and `{}` share the data_dir {} on {}", a.name, b.name, b.data_dir, b.host);
        findings.error("duplicate-dir", later.at.data_dir, message, "").help(
            "two servers on one directory destroy it: write {name} into the path, or give each its own",
        );
    } else if a.install_dir == b.install_dir {
        let message =
            format!("`{}` and `{}` share the install_dir {} on {}", a.name, b.name, b.install_dir, b.host);
        findings
            .error("duplicate-dir", later.at.install_dir, message, "")
            .help("each keeps its zoo.cfg there: write {name} into the path, or give each its own");
    }
    check_data_apart(earlier, later, findings);
    check_data_apart(later, earlier, findings);
}

/// Verbs take members by name or id: a number means one member.
fn check_own_name(placed: &Placed, findings: &mut Findings<'_>) {
    let member = &placed.member;
    if member.name.parse::<i64>().is_ok_and(|number| number != member.id.0) {
        let message = format!("member `{}` has the id {}", member.name, member.id);
        findings
            .error("name", placed.at.node, message, "a name that is another id")
            .and(placed.at.id, "its id")
            .help("verbs take members by name or id: call it by a word, like node-1");
    }
}

/// What `destroy` takes away holds no data, and neither do the server's own files hold its log directory.
fn check_own_dirs(placed: &Placed, findings: &mut Findings<'_>) {
    check_data_apart(placed, placed, findings);
    let member = &placed.member;
    let snapshots = format!("{}/version-2", member.data_dir);
    if let Some(log) = member.data_log_dir.as_ref().filter(|log| Path::new(log).starts_with(&snapshots)) {
        let message = format!("`data_log_dir` of `{}` is {log}, inside {snapshots}", member.name);
        findings
            .error("dir", placed.at.data_log_dir, message, "among the server's own files")
            .help("give the logs a directory of their own, or leave the key out");
    }
}

/// The data directories of one member are not where the other one's, or its own, program files are.
fn check_data_apart(program: &Placed, data: &Placed, findings: &mut Findings<'_>) {
    let (install, member) = (Path::new(&program.member.install_dir), &data.member);
    let holds = |dir: &str| install != Path::new(dir) && install.starts_with(dir);
    let dirs = [
        ("data_dir", Some(&member.data_dir), data.at.data_dir),
        ("data_log_dir", member.data_log_dir.as_ref(), data.at.data_log_dir),
    ];
    for (key, dir, at) in dirs {
        let Some(dir) = dir else { continue };
        let path = Path::new(dir);
        if holds(dir) {
            let name = &program.member.name;
            let message =
                format!("`install_dir` of `{name}` is {}, inside the {key} {dir}", install.display());
            findings
                .error("dir", program.at.install_dir, message, "the program would go with the data")
                .and(at, "a server owns all of this")
                .help("give zkops a directory of its own, like /export/server/zkops");
            continue;
        }
        let inside = INSTALLED.iter().map(|name| install.join(name)).find(|own| path.starts_with(own));
        let message = match inside {
            _ if path == install => format!("`{key}` of `{}` is the install_dir {dir}", member.name),
            Some(own) => {
                format!("`{key}` of `{}` is {dir}, inside {}", member.name, own.display())
            }
            None => continue,
        };
        findings
            .error("dir", at, message, "data would go with the program")
            .and(program.at.install_dir, "zkops keeps its own files here")
            .help("give the data a directory of its own, like /export/data/zkdata");
    }
}

fn check_own_ports(placed: &Placed, findings: &mut Findings<'_>) {
    let [client, quorum, election] = ports(placed);
    let pairs = [
        ("client", client, "quorum", quorum),
        ("client", client, "election", election),
        ("quorum", quorum, "election", election),
    ];
    for (a, (x, _), b, (y, at)) in pairs {
        if x == y {
            let message = format!("{a} and {b} port of `{}` are both {x}", placed.member.name);
            findings.error("duplicate-port", at, message, "must differ");
        }
    }
}

fn ports(placed: &Placed) -> [(u16, Span); 3] {
    let ports = placed.member.ports;
    let [client, quorum, election] = placed.at.ports;
    [(ports.client, client), (ports.quorum, quorum), (ports.election, election)]
}

/// Stands for the member's name in a directory.
pub(super) const NAME: &str = "{name}";
/// Voters beyond this make every write slower and no failure easier to bear.
const VOTERS_MAX_WISE: usize = 7;
