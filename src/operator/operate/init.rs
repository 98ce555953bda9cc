//! Init: an inventory made of a few words, and read back before anybody sees it: what it writes is valid. It reaches
//! no host and asks nobody; questions are the caller's.

use std::io::Write;
use std::path::Path;

use serde::Serialize;

use super::settings;
use crate::operator::inventory::{self, Cluster, NAME_RULE};
use crate::report::{Exit, Failure};

/// What the inventory is to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub cluster: String,
    pub hosts: Vec<HostWord>,
    /// Of all hosts that name no user of their own.
    pub user: Option<String>,
    pub ports: Ports,
    /// `None`: where it is by default.
    pub data_dir: Option<String>,
    /// The file's name, for the commands in its first lines.
    pub file: String,
}

/// `[user@]host[:port]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostWord {
    pub user: Option<String>,
    pub host: String,
    pub port: Option<u16>,
}

/// Of the first server of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    pub client: u16,
    pub quorum: u16,
    pub election: u16,
}

/// An inventory's text, and what it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename = "inventory")]
pub struct Drafted {
    pub cluster: String,
    /// By name.
    pub members: Vec<String>,
    pub text: String,
    /// Valid, but worth a thought.
    pub warnings: Vec<String>,
    /// All members are servers on this machine.
    pub local: bool,
}

impl Default for Ports {
    fn default() -> Ports {
        Ports { client: 2181, quorum: 2888, election: 3888 }
    }
}

impl Ports {
    /// Of the server that stands `by` places behind the first one.
    fn shifted(self, by: usize) -> Option<Ports> {
        let by = u16::try_from(by).ok()?;
        let shift = |port: u16| port.checked_add(by);
        let (client, quorum) = (shift(self.client)?, shift(self.quorum)?);
        Some(Ports { client, quorum, election: shift(self.election)? })
    }
}

impl HostWord {
    /// Reads `[user@]host[:port]`; an IPv6 address with a port stands in brackets.
    ///
    /// # Errors
    /// Exit code 2, with what was expected.
    pub fn parse(text: &str) -> Result<HostWord, Failure> {
        let wrong = |what: &str| {
            let help = "a host is [user@]host[:port], as in root@192.168.17.130 or ops@zk1.lan:2222";
            Err(usage(format!("{text:?}: {what}")).next(help))
        };
        let (user, rest) = match text.rsplit_once('@') {
            Some((user, rest)) => (Some(user.to_owned()), rest),
            None => (None, text),
        };
        if user.as_deref().is_some_and(|user| user.starts_with('-') || !is_plain(user, "._-$\\")) {
            return wrong("this is no user's name");
        }
        let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, Some(port.strip_prefix(':').unwrap_or("none"))),
            // More than one colon: an address without a port.
            None => match rest.split_once(':') {
                Some((host, port)) if !port.contains(':') => (host, Some(port)),
                _ => (rest, None),
            },
        };
        if host.starts_with('-') || !is_plain(host, "._-:") {
            return wrong("this is no address and no host name");
        }
        let port = match port.map(str::parse::<u16>) {
            None => None,
            Some(Ok(port)) if port > 0 => Some(port),
            Some(_) => return wrong("behind the colon stands the port of its sshd, 1 to 65535"),
        };
        Ok(HostWord { user, host: host.to_owned(), port })
    }

    /// It is this machine.
    pub fn is_local(&self) -> bool {
        matches!(self.host.as_str(), "localhost" | "127.0.0.1" | "::1")
    }
}

/// Whether a cluster may be called so: asked for before anything else, so that nothing is answered in vain.
///
/// # Errors
/// Exit code 2, with what a name is.
pub fn check_cluster(name: &str) -> Result<(), Failure> {
    match inventory::is_name(name) {
        true => Ok(()),
        false => Err(usage(format!("cluster name {name:?}: {NAME_RULE}")).next("name it with --name NAME")),
    }
}

/// # Errors
/// Exit code 2 where no valid inventory can be made of the words.
pub fn draft(wanted: &Wanted) -> Result<Drafted, Failure> {
    check_cluster(&wanted.cluster)?;
    let Some(first) = wanted.hosts.first() else { return Err(usage("an ensemble has at least one host")) };
    let local = first.is_local();
    if wanted.hosts.iter().any(|host| host.is_local() != local) {
        let what = "this machine and others in one inventory: the others would look for it at 127.0.0.1";
        return Err(usage(what).next("name this machine by an address that the other hosts reach"));
    }
    let host = |at: usize| &wanted.hosts[at].host;
    let twin =
        (1..wanted.hosts.len()).find(|at| wanted.hosts[..*at].iter().any(|one| one.host == *host(*at)));
    if let Some(at) = twin.filter(|_| !local) {
        return Err(usage(format!("{} is named twice: one server a host", host(at))));
    }
    let text = text(wanted, local)?;
    let read = inventory::parse(&wanted.file, &text, &settings::judge);
    let (cluster, warnings) = read.map_err(|findings| {
        let mut failure = usage("no inventory can be made of this");
        for finding in findings {
            failure = failure.evidence(finding.summary(), vec![]);
        }
        failure
    })?;
    if !says_so(&cluster, wanted) {
        return Err(usage("these words mean something else in YAML: choose plainer ones"));
    }
    Ok(Drafted {
        members: cluster.members.iter().map(|member| member.name.clone()).collect(),
        cluster: cluster.name,
        text,
        warnings: warnings.iter().map(inventory::Finding::summary).collect(),
        local,
    })
}

/// Writes it, whole or not at all.
///
/// # Errors
/// Exit code 2 when the file is there and is not to be replaced; 1 when it cannot be written.
pub fn write(path: &Path, text: &str, replace: bool) -> Result<(), Failure> {
    let failed =
        |why: std::io::Error| Failure::new(Exit::Failed, format!("cannot write {}: {why}", path.display()));
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(dir)
        .map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    let persisted = if replace { file.persist(path) } else { file.persist_noclobber(path) };
    match persisted {
        Ok(_) => Ok(()),
        Err(why) if why.error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(usage(format!("{} is there already", path.display()))
                .state("nothing was written")
                .next("name another file with -o, or say --force"))
        }
        Err(why) => Err(failed(why.error)),
    }
}

/// What was read back is what was wanted.
fn says_so(cluster: &Cluster, wanted: &Wanted) -> bool {
    let hosts = cluster.members.iter().map(|member| member.host.as_str());
    cluster.name == wanted.cluster && hosts.eq(wanted.hosts.iter().map(address))
}

fn text(wanted: &Wanted, local: bool) -> Result<String, Failure> {
    let Wanted { cluster, file, .. } = wanted;
    let mut text = format!(
        "# The inventory of {cluster}: what zkops deploys and looks after. Change it here, then deploy again.\n#\n"
    );
    if !local {
        text += &format!("#   zkops ssh-setup {file}   # once: puts your key on every host\n");
    }
    text += &format!("#   zkops check {file}       # looks at everything, changes nothing\n");
    text += &format!("#   zkops deploy {file}\n\n");
    text += &format!("cluster: {cluster}   # it marks the data, so that nobody mixes clusters up\n");
    let user = shared_user(wanted);
    text += &if local {
        "connection: local   # servers on this machine: no SSH, no root\n".to_owned()
    } else {
        ssh(user.as_deref())
    };
    text += "\n# id is the server's myid: never give it to another host's data.\nnodes:\n";
    for (at, host) in wanted.hosts.iter().enumerate() {
        text += &node(wanted, local, at, host, user.as_deref())?;
    }
    text += &defaults(wanted, local);
    Ok(text)
}

/// What may be left out: as comments, but for what was asked for.
fn defaults(wanted: &Wanted, local: bool) -> String {
    let mut text = "\n# What may be left out; a member may say otherwise, with the same keys.\n".to_owned();
    if !local {
        let Ports { client, quorum, election } = wanted.ports;
        let own_ports = wanted.ports != Ports::default();
        let mark = |own: bool| if own { "" } else { "# " };
        text += &format!("{}defaults:\n", mark(own_ports || wanted.data_dir.is_some()));
        text += &format!(
            "{}  ports: {{ client: {client}, quorum: {quorum}, election: {election} }}\n",
            mark(own_ports)
        );
        let data_dir = quoted(wanted.data_dir.as_deref().unwrap_or(DATA_DIR));
        text += &format!(
            "{}  data_dir: {data_dir}   # snapshots, myid, and the transaction log\n",
            mark(wanted.data_dir.is_some())
        );
        text +=
            "#   data_log_dir: /export/log/zklog   # only where the transaction log has a disk of its own\n";
        text += "# user: zkops           # whom the servers run as; made where it is missing\n";
        text += "# clients: 10.0.0.0/8   # who may reach the client ports, as a list of networks; else everybody\n";
    }
    text + "# zoo:                  # any zoo.cfg key\n#   maxClientCnxns: 60\n"
}

/// The user that most lines need not repeat.
fn shared_user(wanted: &Wanted) -> Option<String> {
    let first = wanted.hosts.first().and_then(|host| host.user.clone());
    wanted.user.clone().or(first)
}

fn ssh(user: Option<&str>) -> String {
    let mut text = String::new();
    match user {
        None => text += "# ssh: { user: root }   # else as ~/.ssh/config says, or your own name\n",
        Some("root") => text += "ssh: { user: root }\n",
        Some(user) => text += &format!("ssh: {{ user: {}, sudo: {SUDO} }}\n", quoted(user)),
    }
    text + "# ssh may say more: key: ~/.ssh/id_ed25519, port: 22, jump: ops@gate.example, known_hosts: ~/.ssh/known_hosts\n"
}

fn node(
    wanted: &Wanted,
    local: bool,
    at: usize,
    host: &HostWord,
    shared: Option<&str>,
) -> Result<String, Failure> {
    let mut line = format!("  node-{0}: {{ id: {0}, ip: {1}", at + 1, quoted(address(host)));
    if local {
        let too_many = || usage("so many servers do not fit the ports behind the first one");
        let Ports { client, quorum, election } = wanted.ports.shifted(at).ok_or_else(too_many)?;
        line += &format!(", ports: {{ client: {client}, quorum: {quorum}, election: {election} }}");
    } else {
        let mut own = Vec::new();
        if let Some(user) = host.user.as_deref().filter(|user| Some(*user) != shared) {
            own.push(format!("user: {}", quoted(user)));
            // What the others need must not hold for root, nor be missing for somebody else.
            own.push(format!("sudo: {}", if user == "root" { "no" } else { SUDO }));
        }
        own.extend(host.port.map(|port| format!("port: {port}")));
        if !own.is_empty() {
            line += &format!(", ssh: {{ {} }}", own.join(", "));
        }
    }
    Ok(line + " }\n")
}

/// Servers on this machine find each other without a resolver.
fn address(host: &HostWord) -> &str {
    if host.host == "localhost" { "127.0.0.1" } else { &host.host }
}

/// As a YAML scalar that is nothing but a string, wherever it stands.
fn quoted(text: &str) -> String {
    let plain = is_plain(text, "._-/~") && !text.starts_with(['-', '.', '~']) && text.parse::<f64>().is_err();
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "''")) }
}

fn is_plain(text: &str, more: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
}

fn usage(what: impl Into<String>) -> Failure {
    Failure::new(Exit::Usage, what)
}

const SUDO: &str = "/usr/bin/sudo";
/// Where data is when the inventory does not say.
pub const DATA_DIR: &str = "/export/data/zkdata";
