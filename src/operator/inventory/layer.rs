//! Settings that may stand in `defaults:`, in the file's own `ssh:`, `connection:` and `zoo:`, or at a node,
//! where they win.

use std::collections::BTreeMap;

use super::address;
use super::fields::{Fields, word};
use super::finding::{Findings, shorten};
use super::model::{Jump, Role};
use super::placed::Setting;
use super::suggest;
use super::yaml::{Data, Entry, Spanned, Value};

/// One place's settings.
#[derive(Debug, Clone, Default)]
pub(super) struct Layer {
    pub(super) local: Option<Spanned<bool>>,
    pub(super) role: Option<Role>,
    pub(super) client: Option<Spanned<u16>>,
    pub(super) quorum: Option<Spanned<u16>>,
    pub(super) election: Option<Spanned<u16>>,
    pub(super) install_dir: Option<Spanned<String>>,
    pub(super) data_dir: Option<Spanned<String>>,
    pub(super) data_log_dir: Option<Spanned<String>>,
    pub(super) user: Option<String>,
    pub(super) ssh_port: Option<u16>,
    pub(super) key: Option<String>,
    pub(super) known_hosts: Option<String>,
    pub(super) jump: Option<Jump>,
    pub(super) sudo: Option<Spanned<Option<String>>>,
    /// The user that servers run as; `user` is that of ssh.
    pub(super) run_as: Option<Spanned<String>>,
    pub(super) zoo: BTreeMap<String, Setting>,
}

impl Layer {
    /// Takes the keys of a layer out of a map.
    pub(super) fn take(fields: &mut Fields<'_>, findings: &mut Findings<'_>) -> Layer {
        let mut layer = Layer::default();
        layer.take_shared(fields, findings);
        layer.role = fields.word("role", findings).and_then(|role| parse_role(&role, findings));
        if let Some(entry) = fields.take("ports") {
            layer.take_ports(&entry.value, findings);
        }
        layer.install_dir = fields.word("install_dir", findings);
        layer.data_dir = fields.word("data_dir", findings);
        layer.data_log_dir = fields.word("data_log_dir", findings);
        layer
    }

    /// The keys that may also stand at the top of the file.
    pub(super) fn take_shared(&mut self, fields: &mut Fields<'_>, findings: &mut Findings<'_>) {
        if let Some(connection) = fields.word("connection", findings) {
            self.local = parse_connection(&connection, findings);
        }
        if let Some(entry) = fields.take("ssh") {
            self.take_ssh(&entry.value, findings);
        }
        self.run_as = fields.word("user", findings).filter(|user| check_user(user, findings));
        if let Some(entry) = fields.take("zoo") {
            self.take_zoo(&entry.value, findings);
        }
    }

    /// This layer where it says something, `below` elsewhere.
    pub(super) fn over(self, below: &Layer) -> Layer {
        let mut zoo = below.zoo.clone();
        zoo.retain(|key, _| !self.zoo.keys().any(|own| short(own) == short(key)));
        zoo.extend(self.zoo);
        Layer {
            local: self.local.or_else(|| below.local.clone()),
            role: self.role.or(below.role),
            client: self.client.or_else(|| below.client.clone()),
            quorum: self.quorum.or_else(|| below.quorum.clone()),
            election: self.election.or_else(|| below.election.clone()),
            install_dir: self.install_dir.or_else(|| below.install_dir.clone()),
            data_dir: self.data_dir.or_else(|| below.data_dir.clone()),
            data_log_dir: self.data_log_dir.or_else(|| below.data_log_dir.clone()),
            user: self.user.or_else(|| below.user.clone()),
            ssh_port: self.ssh_port.or(below.ssh_port),
            key: self.key.or_else(|| below.key.clone()),
            known_hosts: self.known_hosts.or_else(|| below.known_hosts.clone()),
            jump: self.jump.or_else(|| below.jump.clone()),
            sudo: self.sudo.or_else(|| below.sudo.clone()),
            run_as: self.run_as.or_else(|| below.run_as.clone()),
            zoo,
        }
    }

    fn take_ports(&mut self, value: &Value, findings: &mut Findings<'_>) {
        let Some(mut fields) = Fields::of(value, "`ports`", findings) else { return };
        let mut port = |key| {
            let number = fields.number(key, 1..=65535, findings)?;
            Some(Spanned { value: u16::try_from(number.value).ok()?, span: number.span })
        };
        (self.client, self.quorum, self.election) = (port("client"), port("quorum"), port("election"));
        fields.finish(findings);
    }

    fn take_ssh(&mut self, value: &Value, findings: &mut Findings<'_>) {
        let Some(mut fields) = Fields::of(value, "`ssh`", findings) else { return };
        self.user = fields.word("user", findings).and_then(|user| login_user(user, findings));
        let port = fields.number("port", 1..=65535, findings);
        self.ssh_port = port.and_then(|port| u16::try_from(port.value).ok());
        self.key = fields.word("key", findings).map(|key| key.value);
        self.known_hosts = fields.word("known_hosts", findings).map(|path| path.value);
        self.jump = fields.word("jump", findings).and_then(|jump| parse_jump(&jump, findings));
        self.sudo = fields.word("sudo", findings).and_then(|sudo| parse_sudo(sudo, findings));
        fields.finish(findings);
    }

    fn take_zoo(&mut self, value: &Value, findings: &mut Findings<'_>) {
        let Data::Map(entries) = &value.data else {
            findings.error("type", value.span, "`zoo` must be a map", "this is not one");
            return;
        };
        for entry in entries {
            let Some(value) = zoo_entry(entry, findings) else { continue };
            let key = entry.key.value.as_str();
            let twin = self.zoo.iter().find(|(other, _)| short(other) == short(key));
            if let Some((other, first)) = twin {
                findings
                    .error(
                        "duplicate-key",
                        entry.key.span,
                        format!("`{key}` is `{other}` again"),
                        "again here",
                    )
                    .and(first.key, "first here")
                    .help("keep one of the two");
            }
            self.zoo.insert(key.to_owned(), Setting { key: entry.key.span, value });
        }
    }
}

/// The server takes every key with `zookeeper.` before it, too.
pub(super) fn short(key: &str) -> &str {
    key.strip_prefix(PREFIX).unwrap_or(key)
}

/// What to set in an inventory instead of a zoo.cfg key that deploy itself writes; `None`: it writes no such key.
pub fn instead_of(key: &str) -> Option<&'static str> {
    let key = short(key);
    let owned = OWNED.iter().find(|(owned, _)| *owned == key).map(|(_, instead)| *instead);
    owned.or_else(|| key.starts_with("server.").then_some("a member under `nodes:`"))
}

/// What the values mean is the server's to say; here only what deploy itself writes is refused.
fn zoo_entry(entry: &Entry, findings: &mut Findings<'_>) -> Option<Spanned<String>> {
    let key = entry.key.value.as_str();
    if let Some(instead) = instead_of(key) {
        findings
            .error("owned-key", entry.key.span, format!("`{key}` is written by deploy itself"), "not here")
            .help(format!("set {instead}"));
        return None;
    }
    if short(key).starts_with(PREFIX) {
        // What a server would take for a key of that name, which nothing reads.
        let meant = key.trim_start_matches(PREFIX);
        let help = match instead_of(meant) {
            Some(instead) => format!("`{meant}` is written by deploy itself: set {instead}"),
            None => format!("write `{meant}`"),
        };
        let message = format!("`{}` has `{PREFIX}` twice", shorten(key));
        findings.error("zoo-key", entry.key.span, message, "no key of zoo.cfg").help(help);
        return None;
    }
    if key.chars().any(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))) {
        findings.error(
            "zoo-key",
            entry.key.span,
            format!("`{}` is no zoo.cfg key", shorten(key)),
            "letters, digits, dots",
        );
        return None;
    }
    word(&entry.value, &format!("`{key}`"), findings)
}

fn parse_role(role: &Spanned<String>, findings: &mut Findings<'_>) -> Option<Role> {
    match role.value.as_str() {
        "participant" => Some(Role::Participant),
        "observer" => Some(Role::Observer),
        other => {
            choice("role", role, other, &["participant", "observer"], findings);
            None
        }
    }
}

fn parse_connection(text: &Spanned<String>, findings: &mut Findings<'_>) -> Option<Spanned<bool>> {
    match text.value.as_str() {
        "local" => Some(Spanned { value: true, span: text.span }),
        "ssh" => Some(Spanned { value: false, span: text.span }),
        other => {
            choice("connection", text, other, &["ssh", "local"], findings);
            None
        }
    }
}

/// Any name that is no option: whose it is, the host says.
fn login_user(user: Spanned<String>, findings: &mut Findings<'_>) -> Option<String> {
    if address::is_user(&user.value) {
        return Some(user.value);
    }
    let message = format!("`user` is `{}`", shorten(&user.value));
    findings
        .error("user", user.span, message, "no name of a user")
        .help("no blank, no `@:/[]`, and no `-` before it");
    None
}

/// A user's name becomes a word in a unit and an argument on the host.
fn check_user(user: &Spanned<String>, findings: &mut Findings<'_>) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let first = user.value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let good = first && user.value.len() <= 32 && user.value.chars().all(legal);
    if !good {
        let message = format!("`user` is `{}`", shorten(&user.value));
        findings
            .error("user", user.span, message, "no name of a user")
            .help("letters, digits, `-`, `_` and `.`, a letter first, at most 32");
    }
    good
}

fn choice(key: &str, at: &Spanned<String>, typed: &str, words: &[&str], findings: &mut Findings<'_>) {
    let message = format!("`{key}` cannot be `{}`", shorten(typed));
    let finding = findings.error("choice", at.span, message, format!("must be {}", words.join(" or ")));
    if let Some(near) = suggest::nearest(typed, words.iter().copied()) {
        finding.help(format!("did you mean `{near}`?"));
    }
}

/// `[user@]host[:port]`.
fn parse_jump(text: &Spanned<String>, findings: &mut Findings<'_>) -> Option<Jump> {
    let Some((user, host, port)) = address::with_port(&text.value) else {
        let message = format!("`jump` is `{}`", shorten(&text.value));
        findings
            .error("jump", text.span, message, "must be [user@]host[:port]")
            .help("an IPv6 address with a port stands in brackets: ops@[fd00::1]:22");
        return None;
    };
    Some(Jump { user, host, port })
}

/// An absolute path, or `false`. A bare name would be looked up in whatever PATH the login has.
fn parse_sudo(text: Spanned<String>, findings: &mut Findings<'_>) -> Option<Spanned<Option<String>>> {
    let value = match text.value.as_str() {
        "false" | "no" => None,
        path if path.starts_with('/') && path.len() > 1 => Some(path.to_owned()),
        _ => {
            findings
                .error(
                    "sudo",
                    text.span,
                    "`sudo` without a path",
                    "must be the absolute path of sudo on the hosts",
                )
                .help("write `sudo: /usr/bin/sudo`");
            return None;
        }
    };
    Some(Spanned { value, span: text.span })
}

/// What the reference puts before the name of a key that becomes a property of its Java machine.
const PREFIX: &str = "zookeeper.";
/// zoo.cfg keys that the operator writes itself, and what to set instead.
pub(super) const OWNED: [(&str, &str); 12] = [
    ("dataDir", "data_dir"),
    ("dataLogDir", "data_log_dir"),
    ("clientPort", "ports: { client: … }"),
    ("clientPortAddress", "ip"),
    ("secureClientPort", "nothing yet: TLS is not offered"),
    ("peerType", "role: observer"),
    ("dynamicConfigFile", "nothing: membership comes from `nodes:`"),
    ("reconfigEnabled", "nothing yet: membership comes from `nodes:`"),
    ("standaloneEnabled", "nothing: the number of members decides"),
    ("zkops.cluster", "cluster"),
    ("zkops.member", "id"),
    ("zkops.uuid", "nothing: the data of the cluster carries it"),
];
