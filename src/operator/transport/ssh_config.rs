//! What `~/.ssh/config` adds to a target. What the inventory sets wins. The system-wide ssh_config is not read.
//!
//! | key | what becomes of it |
//! |---|---|
//! | `Host`, `Match all`, `Match host …`, `Match originalhost …`, `Include` | honoured (`Match` not in included files) |
//! | HostName, Port, User, IdentityFile, IdentitiesOnly, ProxyJump | honoured |
//! | UserKnownHostsFile, HashKnownHosts, HostKeyAlias, StrictHostKeyChecking | honoured (`no` accepts new keys, never changed ones) |
//! | ProxyCommand (with ProxyUseFdpass) | refused by name where it is the way to a host: no program is run for it |
//! | other `Match` blocks (`exec`, `user` …) | refused by name where they would change the way to a host, else left out |
//! | everything else (ciphers, forwardings, multiplexing, terminals …) | ignored: it changes nothing for us, or a login that fails says so |

use std::fs;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use ssh2_config::{HostParams, ParseRule, SshConfig};

use super::error::Error;
use super::known_hosts::{HostKeys, glob};
use super::target::{HostKeyPolicy, SshTarget};

/// The user's configuration, parsed once.
#[derive(Debug)]
pub(super) struct Config {
    parsed: SshConfig,
    /// `Match` blocks that were left out.
    unjudged: Vec<Unjudged>,
    file: PathBuf,
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
        let (judged, unjudged) = without_match_blocks(&text);
        let parsed = SshConfig::default()
            .home_dir(home)
            .parse(
                &mut BufReader::new(judged.as_bytes()),
                ParseRule::ALLOW_UNKNOWN_FIELDS | ParseRule::ALLOW_UNSUPPORTED_FIELDS,
            )
            .map_err(|e| failed(e.to_string()))?;
        Ok(Config {
            parsed,
            unjudged,
            file: file.to_path_buf(),
            home: home.to_path_buf(),
            local_user: local_user.to_string(),
            global_known_hosts: global_known_hosts.to_path_buf(),
        })
    }

    /// Fills what the target leaves open.
    pub(super) fn resolve(&self, target: &SshTarget) -> Result<Resolved, Error> {
        let params = self.parsed.query(&target.host);
        self.refuse_unjudged(target)?;
        self.refuse_proxy_command(target, &params)?;
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
            None => jump_of(target, &keys, params.proxy_jump.as_deref().unwrap_or_default())?,
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
        let expand = |files: &[PathBuf]| files.iter().map(|file| tokens.expand(file)).collect::<Vec<_>>();
        let (own, from) = match &params.identity_file {
            Some(files) if !files.is_empty() => (expand(files), KeysFrom::SshConfig),
            _ => {
                let ssh = self.home.join(".ssh");
                (DEFAULT_KEYS.iter().map(|name| ssh.join(name)).collect(), KeysFrom::Default)
            }
        };
        if target.keys.is_empty() {
            return (own, from);
        }
        let mut keys = expand(&target.keys);
        if target.is_jump {
            // It may have a key of its own; one that is simply not there is not worth a word.
            let more: Vec<_> = own.into_iter().filter(|key| !keys.contains(key) && key.exists()).collect();
            keys.extend(more);
        }
        (keys, KeysFrom::Inventory)
    }

    /// A block that nobody judged is no reason to stop, unless it would lead another way.
    fn refuse_unjudged(&self, target: &SshTarget) -> Result<(), Error> {
        let set = |key: &String| match key.as_str() {
            "hostname" => true,
            "user" => target.user.is_none(),
            "port" => target.port.is_none(),
            "proxyjump" | "proxycommand" => target.jump.is_none(),
            _ => false,
        };
        let mut blocks = self.unjudged.iter().filter(|block| block.may_be_about(&target.host));
        let found = blocks.find_map(|block| Some((block, block.keys.iter().find(|key| set(key))?)));
        let Some((block, key)) = found else {
            return Ok(());
        };
        Err(Error::setting(
            &target.name,
            format!("`{}` in {}:{}", block.shown, self.file.display(), block.line),
            format!(
                "it sets {key}, and whether it applies is not found out here. Write a `Host` block instead, or set user, port and jump in the inventory (`ssh: {{ … }}`)"
            ),
        ))
    }

    fn refuse_proxy_command(&self, target: &SshTarget, params: &HostParams) -> Result<(), Error> {
        let command = unsupported(params, "proxycommand");
        let none = command.first().is_none_or(|word| word.eq_ignore_ascii_case("none"));
        if none || target.jump.is_some() || params.proxy_jump.is_some() {
            return Ok(());
        }
        Err(Error::setting(
            &target.name,
            format!("`ProxyCommand {}` in {}", command.join(" "), self.file.display()),
            "no program is run on the way to a host. Write `ProxyJump [user@]gate[:port]` there, or `ssh: { jump: [user@]gate }` in the inventory",
        ))
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
        let word = |field: &str| unsupported(params, field).first().map(|word| word.to_ascii_lowercase());
        // An alias stands for name and port.
        let (address, port) = match unsupported(params, "hostkeyalias").first() {
            Some(alias) => (alias.clone(), 22),
            None => (tokens.address.to_string(), tokens.port),
        };
        let policy = match (target.host_key_policy, word("stricthostkeychecking").as_deref()) {
            (HostKeyPolicy::Ask, Some("yes")) => HostKeyPolicy::Strict,
            (HostKeyPolicy::Ask, Some("no" | "off" | "accept-new")) => HostKeyPolicy::AcceptNew,
            (other, _) => other,
        };
        let port_word = if tokens.port == 22 { String::new() } else { format!("-p {} ", tokens.port) };
        HostKeys {
            host: label.to_string(),
            address,
            port,
            files,
            learn: own.unwrap_or(user_file),
            policy,
            hashed: word("hashknownhosts").map(|word| word == "yes"),
            ssh: format!("ssh {port_word}{}@{}", tokens.user, tokens.original),
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
fn jump_of(target: &SshTarget, keys: &[PathBuf], hops: &[String]) -> Result<Option<SshTarget>, Error> {
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
            // The inventory's key is for all of the way.
            keys: if target.keys.is_empty() { Vec::new() } else { keys.to_vec() },
            known_hosts: target.known_hosts.clone(),
            host_key_policy: target.host_key_policy,
            jump: jump.map(Box::new),
            is_jump: true,
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

/// A `Match` block whose conditions were not judged.
#[derive(Debug)]
struct Unjudged {
    line: usize,
    /// The line as it is written.
    shown: String,
    /// What it says of the host's name, if it does.
    hosts: Option<String>,
    /// The keys that it sets.
    keys: Vec<String>,
}

impl Unjudged {
    fn new(line: usize, text: &str, criteria: &[&str]) -> Unjudged {
        let about = |word: &&str| ["host", "originalhost"].contains(&word.to_ascii_lowercase().as_str());
        let at = criteria.iter().position(about);
        let hosts =
            at.and_then(|at| criteria.get(at + 1)).map(|hosts| hosts.trim_matches('"').to_lowercase());
        Unjudged { line, shown: text.trim().to_owned(), hosts, keys: Vec::new() }
    }

    /// It may be about this host.
    fn may_be_about(&self, host: &str) -> bool {
        let Some(patterns) = &self.hosts else { return true };
        let (mut named, host) = (false, host.to_lowercase());
        for pattern in patterns.split(',') {
            match pattern.strip_prefix('!') {
                Some(negated) if glob(negated, &host) => return false,
                Some(_) => {}
                None => named |= glob(pattern, &host),
            }
        }
        named
    }
}

/// The parser knows no `Match`: it would give the directives of a Match block to the `Host`
/// block above it. What is about the name alone becomes a `Host` block; any other Match block goes, up to the next
/// `Host` or `Match`.
fn without_match_blocks(text: &str) -> (String, Vec<Unjudged>) {
    let mut out = String::new();
    let mut unjudged: Vec<Unjudged> = Vec::new();
    let mut skipping = false;
    for (number, line) in text.lines().enumerate() {
        let mut words = line.split(|c: char| c.is_whitespace() || c == '=').filter(|word| !word.is_empty());
        let keyword = words.next().unwrap_or_default().to_ascii_lowercase();
        let rest: Vec<&str> = words.collect();
        match keyword.as_str() {
            "match" => {
                let patterns = match rest.as_slice() {
                    [word] if word.eq_ignore_ascii_case("all") => Some("*".to_owned()),
                    [word, names]
                        if ["host", "originalhost"].iter().any(|own| word.eq_ignore_ascii_case(own)) =>
                    {
                        Some(names.replace(',', " "))
                    }
                    _ => None,
                };
                skipping = patterns.is_none();
                match patterns {
                    Some(patterns) => out.push_str(&format!("Host {patterns}")),
                    None => unjudged.push(Unjudged::new(number + 1, line, &rest)),
                }
            }
            "host" => {
                skipping = false;
                out.push_str(line);
            }
            _ if skipping => {
                if let Some(block) = unjudged.last_mut() {
                    block.keys.push(keyword);
                }
            }
            _ => out.push_str(line),
        }
        out.push('\n');
    }
    (out, unjudged)
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
