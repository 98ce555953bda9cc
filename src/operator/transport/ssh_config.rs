//! What `~/.ssh/config` adds to a target: HostName, User, Port, IdentityFile, IdentitiesOnly,
//! ProxyJump, UserKnownHostsFile. What the inventory sets wins. `Match` blocks are left out
//! whole (their conditions are not evaluated, except `Match all` at the level of the file
//! itself; a Match block inside an included file is not seen here, and the parser then gives its
//! directives to the block above it). The system-wide ssh_config is not read.

use std::fs;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use ssh2_config::{HostParams, ParseRule, SshConfig};

use super::error::Error;
use super::known_hosts::HostKeys;
use super::target::SshTarget;

/// The user's configuration, parsed once.
#[derive(Debug)]
pub(super) struct Config {
    parsed: SshConfig,
    home: PathBuf,
    local_user: String,
    global_known_hosts: PathBuf,
}

/// Everything needed to dial one host: nothing is left open.
#[derive(Debug, Clone)]
pub(super) struct Resolved {
    /// `node-1 (root@192.168.17.130:22)`: the host in every message.
    pub(super) label: String,
    pub(super) address: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) keys: Vec<PathBuf>,
    pub(super) keys_from: KeysFrom,
    /// Offer only the agent's identities that belong to `keys`.
    pub(super) identities_only: bool,
    pub(super) host_keys: HostKeys,
    pub(super) jump: Option<SshTarget>,
}

/// Who named the key files: decides whether they go before the agent's other identities, and
/// whether a missing one is worth a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeysFrom {
    Inventory,
    SshConfig,
    Default,
}

impl Config {
    /// Reads `file`; a missing one is empty.
    pub(super) fn load(
        file: &Path,
        home: &Path,
        local_user: &str,
        global_known_hosts: &Path,
    ) -> Result<Config, Error> {
        let failed = |why: String| {
            Error::setting(
                "ssh",
                format!("cannot use {}", file.display()),
                format!("{why}. Fix the file, then run again"),
            )
        };
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(failed(e.to_string())),
        };
        let parsed = SshConfig::default()
            .home_dir(home)
            .parse(
                &mut BufReader::new(without_match_blocks(&text).as_bytes()),
                ParseRule::ALLOW_UNKNOWN_FIELDS | ParseRule::ALLOW_UNSUPPORTED_FIELDS,
            )
            .map_err(|e| failed(e.to_string()))?;
        Ok(Config {
            parsed,
            home: home.to_path_buf(),
            local_user: local_user.to_string(),
            global_known_hosts: global_known_hosts.to_path_buf(),
        })
    }

    /// Fills what the target leaves open.
    pub(super) fn resolve(&self, target: &SshTarget) -> Result<Resolved, Error> {
        let params = self.parsed.query(&target.host);
        let address = match &params.host_name {
            Some(name) => name.replace("%%", "\0").replace("%h", &target.host).replace('\0', "%"),
            None => target.host.clone(),
        };
        let port = target.port.or(params.port).unwrap_or(22);
        let user =
            target.user.clone().or_else(|| params.user.clone()).unwrap_or_else(|| self.local_user.clone());
        let label = format!("{} ({user}@{}:{port})", target.name, bracketed(&address));
        let tokens = Tokens {
            original: &target.host,
            address: &address,
            port,
            user: &user,
            local_user: &self.local_user,
            home: &self.home,
        };
        let (keys, keys_from) = self.keys(target, &params, &tokens);
        let host_keys = self.host_keys(target, &params, &tokens, &label);
        let jump = match &target.jump {
            Some(jump) => Some((**jump).clone()),
            None => jump_of(target, params.proxy_jump.as_deref().unwrap_or_default())?,
        };
        Ok(Resolved {
            label,
            port,
            keys,
            keys_from,
            identities_only: unsupported(&params, "identitiesonly").first().is_some_and(|w| w == "yes"),
            host_keys,
            jump,
            address,
            user,
        })
    }

    fn keys(&self, target: &SshTarget, params: &HostParams, tokens: &Tokens<'_>) -> (Vec<PathBuf>, KeysFrom) {
        let expand = |files: &[PathBuf]| files.iter().map(|file| tokens.expand(file)).collect();
        if !target.keys.is_empty() {
            return (expand(&target.keys), KeysFrom::Inventory);
        }
        match &params.identity_file {
            Some(files) if !files.is_empty() => (expand(files), KeysFrom::SshConfig),
            _ => {
                let ssh = self.home.join(".ssh");
                (DEFAULT_KEYS.iter().map(|name| ssh.join(name)).collect(), KeysFrom::Default)
            }
        }
    }

    fn host_keys(
        &self,
        target: &SshTarget,
        params: &HostParams,
        tokens: &Tokens<'_>,
        label: &str,
    ) -> HostKeys {
        let ssh = self.home.join(".ssh");
        let configured = unsupported(params, "userknownhostsfile");
        let mut files: Vec<PathBuf> = match configured {
            [] => vec![ssh.join("known_hosts"), ssh.join("known_hosts2")],
            files => files
                .iter()
                .filter(|file| !file.eq_ignore_ascii_case("none"))
                .map(|file| tokens.expand(Path::new(file)))
                .collect(),
        };
        let user_file = files.first().cloned().unwrap_or_else(|| ssh.join("known_hosts"));
        files.push(self.global_known_hosts.clone());
        let own = target.known_hosts.as_ref().map(|file| tokens.expand(file));
        files.extend(own.clone());
        HostKeys {
            host: label.to_string(),
            address: tokens.address.to_string(),
            port: tokens.port,
            files,
            learn: own.unwrap_or(user_file),
            policy: target.host_key_policy,
        }
    }
}

/// What `~` and the `%` tokens of a path stand for.
struct Tokens<'a> {
    original: &'a str,
    address: &'a str,
    port: u16,
    user: &'a str,
    local_user: &'a str,
    home: &'a Path,
}

impl Tokens<'_> {
    fn expand(&self, path: &Path) -> PathBuf {
        let Some(text) = path.to_str() else { return path.to_path_buf() };
        let text = match text.strip_prefix("~/") {
            Some(rest) => format!("{}/{rest}", self.home.display()),
            None if text == "~" => self.home.display().to_string(),
            None => text.to_string(),
        };
        let mut out = String::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            match chars.next() {
                Some('%') => out.push('%'),
                Some('d') => out.push_str(&self.home.display().to_string()),
                Some('h') => out.push_str(self.address),
                Some('n') => out.push_str(self.original),
                Some('p') => out.push_str(&self.port.to_string()),
                Some('r') => out.push_str(self.user),
                Some('u') => out.push_str(self.local_user),
                // Anything else stays as written: the file is then named in full when it is missing.
                other => out.extend(Some('%').into_iter().chain(other)),
            }
        }
        PathBuf::from(out)
    }
}

/// `ProxyJump a,b`: first a, then through it b, then through b the target. A jump host gets its
/// own settings from the configuration; the policy and the inventory's known_hosts are the target's.
fn jump_of(target: &SshTarget, hops: &[String]) -> Result<Option<SshTarget>, Error> {
    let mut jump: Option<SshTarget> = None;
    for hop in hops.iter().map(|hop| hop.trim()).filter(|hop| !hop.eq_ignore_ascii_case("none")) {
        let (user, host, port) = parse_hop(hop).ok_or_else(|| {
            Error::setting(
                &target.name,
                format!("ProxyJump {hop} in ~/.ssh/config"),
                "is not [user@]host[:port]; fix it, or set the jump host in the inventory",
            )
        })?;
        jump = Some(SshTarget {
            user,
            port,
            known_hosts: target.known_hosts.clone(),
            host_key_policy: target.host_key_policy,
            jump: jump.map(Box::new),
            ..SshTarget::new(format!("jump host {host}"), host)
        });
    }
    Ok(jump)
}

fn parse_hop(hop: &str) -> Option<(Option<String>, String, Option<u16>)> {
    let rest = hop.strip_prefix("ssh://").unwrap_or(hop).trim_end_matches('/');
    let (user, rest) = match rest.rsplit_once('@') {
        Some((user, rest)) => (Some(user.to_string()), rest),
        None => (None, rest),
    };
    let (host, port) = match rest.strip_prefix('[') {
        Some(inner) => {
            let (host, tail) = inner.split_once(']')?;
            (host, tail.strip_prefix(':'))
        }
        None => match rest.split_once(':') {
            // More than one colon without brackets: an IPv6 address.
            Some((_, tail)) if tail.contains(':') => (rest, None),
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        },
    };
    let port = port.map(|port| port.parse().ok()).map_or(Some(None), |port| port.map(Some))?;
    (!host.is_empty()).then(|| (user, host.to_string(), port))
}

/// The parser knows no `Match`: it would give the directives of a Match block to the `Host`
/// block above it. `Match all` becomes `Host *`; any other Match block goes, up to the next
/// `Host` or `Match`.
fn without_match_blocks(text: &str) -> String {
    let mut out = String::new();
    let mut skipping = false;
    for line in text.lines() {
        let mut words = line.split(|c: char| c.is_whitespace() || c == '=').filter(|word| !word.is_empty());
        let keyword = words.next().unwrap_or_default().to_ascii_lowercase();
        let all = words.next().is_some_and(|word| word.eq_ignore_ascii_case("all")) && words.next().is_none();
        match keyword.as_str() {
            "match" => {
                skipping = !all;
                out.push_str(if all { "Host *" } else { "" });
            }
            "host" => {
                skipping = false;
                out.push_str(line);
            }
            _ if skipping => {}
            _ => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

fn unsupported<'a>(params: &'a HostParams, field: &str) -> &'a [String] {
    params.unsupported_fields.get(field).map(Vec::as_slice).unwrap_or_default()
}

/// An IPv6 address in brackets, anything else as it is.
pub(super) fn bracketed(address: &str) -> String {
    if address.contains(':') { format!("[{address}]") } else { address.to_string() }
}

/// ssh's own order, without the types that nobody should use any more.
pub(super) const DEFAULT_KEYS: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];
