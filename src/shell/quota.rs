//! Quotas: `setquota`, `listquota`, `delquota` (client-protocol §7). A quota is two ordinary nodes that
//! the shell writes and the servers read; there is one at most on the way from the root to a leaf.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;

use super::args::Args;
use super::failure::{Done, Failure};
use super::read::subtree;
use super::state::Shell;
use crate::client::Error;
use crate::wire::proto::{Acl, CreateMode, ErrorCode, path};

/// Limits or usage, as the nodes hold them: `count=<n>,bytes=<n>[=;key=value…]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Track(BTreeMap<String, i64>);

impl Track {
    /// Junk is no limit: anyone may write these nodes (§7 TRAP).
    pub(super) fn parse(text: &str) -> Track {
        let pairs = text.split([',', ';']).filter_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            // The stray `=` that the reference writes behind the bytes.
            Some((key.to_owned(), value.trim_end_matches('=').parse().ok()?))
        });
        Track(pairs.collect())
    }

    /// −1 when there is none.
    pub(super) fn get(&self, key: &str) -> i64 {
        self.0.get(key).copied().unwrap_or(-1)
    }

    pub(super) fn set(&mut self, key: &str, value: i64) {
        self.0.insert(key.to_owned(), value);
    }
}

impl fmt::Display for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{COUNT}={},{BYTES}={}", self.get(COUNT), self.get(BYTES))?;
        let others = self.0.iter().filter(|(key, _)| *key != COUNT && *key != BYTES);
        for (at, (key, value)) in others.enumerate() {
            write!(f, "{};{key}={value}", if at == 0 { "=" } else { "" })?;
        }
        Ok(())
    }
}

/// `setquota -n|-b|-N|-B val path`.
pub(super) async fn set(shell: &Shell, args: &Args) -> Done {
    let [(letter, Some(value))] = args.options() else {
        return Err(Failure::Usage(args.verb));
    };
    let (key, value) = (key(*letter), limit(*letter, value)?);
    let node = args.path();
    no_chroot(shell)?;
    if shell.client.exists(node, false).await?.is_none() {
        return Err(Failure::Text(format!("{node} does not exist.")));
    }
    if node == "/" {
        return Err(Failure::text("/ cannot have a quota: set one on a node below it"));
    }
    if node == "/zookeeper" || node.starts_with("/zookeeper/") {
        return Err(Failure::Text(format!("cannot set a quota under the path: {QUOTA_ROOT}")));
    }
    refuse_nested(shell, node).await?;
    match data(shell, &quota_path(node, LIMITS)).await? {
        Some(text) => {
            let mut limits = Track::parse(&text);
            limits.set(key, value);
            let data = Some(Bytes::from(limits.to_string()));
            shell.client.set(&quota_path(node, LIMITS), data, None).await?;
        }
        None => {
            let mut limits = Track::default();
            limits.set(key, value);
            make(shell, node, &limits).await?;
        }
    }
    warn_if_exceeded(shell, node, key, value).await
}

fn key(letter: char) -> &'static str {
    match letter {
        'n' => COUNT,
        'b' => BYTES,
        'N' => COUNT_HARD,
        _ => BYTES_HARD,
    }
}

fn limit(letter: char, text: &str) -> Result<i64, Failure> {
    let value: i64 = text
        .parse()
        .map_err(|_| Failure::text("NumberFormatException happens when parsing the option value"))?;
    match letter {
        'n' | 'N' if value <= 0 => Err(Failure::text("the num quota must be greater than zero")),
        'b' | 'B' if value < 0 => Err(Failure::text("the bytes quota must be greater than or equal to zero")),
        _ => Ok(value),
    }
}

/// The quota nodes are the ensemble's: below a chroot they would mean nothing.
fn no_chroot(shell: &Shell) -> Done {
    match shell.target.to.chroot() {
        None => Ok(()),
        Some(chroot) => Err(Failure::Text(format!(
            "quotas lie in {QUOTA_ROOT}, outside of {chroot}: connect without a chroot"
        ))),
    }
}

async fn refuse_nested(shell: &Shell, node: &str) -> Done {
    let mut above = path::parent(node);
    while let Some(parent) = above.filter(|parent| *parent != "/") {
        if shell.client.exists(&quota_path(parent, LIMITS), false).await?.is_some() {
            return Err(Failure::Text(format!("{node} has a parent {parent} which has a quota")));
        }
        above = path::parent(parent);
    }
    let root = format!("{QUOTA_ROOT}{node}");
    let own = quota_path(node, LIMITS);
    for quota in subtree(shell, &root).await? {
        if path::name(&quota) == LIMITS && quota != own {
            let child = path::parent(&quota).and_then(|path| path.strip_prefix(QUOTA_ROOT));
            let child = child.unwrap_or_default();
            return Err(Failure::Text(format!("{node} has a child {child} which has a quota")));
        }
    }
    Ok(())
}

/// Both nodes and what leads to them; the limits first (§7).
async fn make(shell: &Shell, node: &str, limits: &Track) -> Done {
    let mut way = QUOTA_ROOT.to_owned();
    for name in node.split('/').filter(|name| !name.is_empty()) {
        way = format!("{way}/{name}");
        match shell.client.create(&way, None, Acl::open(), CreateMode::Persistent).await {
            Ok(_) | Err(Error::Code(ErrorCode::NodeExists, _)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let usage = "count=0,bytes=0".to_owned();
    for (name, text) in [(LIMITS, limits.to_string()), (STATS, usage)] {
        let path = quota_path(node, name);
        shell.client.create(&path, Some(Bytes::from(text)), Acl::open(), CreateMode::Persistent).await?;
    }
    Ok(())
}

async fn warn_if_exceeded(shell: &Shell, node: &str, key: &str, limit: i64) -> Done {
    let stats = Track::parse(&data(shell, &quota_path(node, STATS)).await?.unwrap_or_default());
    let kind = if key == COUNT || key == COUNT_HARD { COUNT } else { BYTES };
    let used = stats.get(kind);
    if used > limit {
        shell
            .out
            .line(&format!("[Warning]: the {kind} quota you create is less than the existing {kind}:{used}"));
    }
    Ok(())
}

/// `listquota path`.
pub(super) async fn list(shell: &Shell, args: &Args) -> Done {
    let node = args.path();
    no_chroot(shell)?;
    shell.out.complain(&format!("absolute path is {}", quota_path(node, LIMITS)));
    let limits = data(shell, &quota_path(node, LIMITS)).await?;
    let stats = data(shell, &quota_path(node, STATS)).await?;
    let (Some(limits), Some(stats)) = (limits, stats) else {
        return Err(Failure::Text(format!("quota for {node} does not exist.")));
    };
    shell.out.line(&format!("Output quota for {node} {}", Track::parse(&limits)));
    shell.out.line(&format!("Output stat for {node} {}", Track::parse(&stats)));
    Ok(())
}

/// `delquota [-n|-b|-N|-B] path`: one limit, or the quota.
pub(super) async fn delete(shell: &Shell, args: &Args) -> Done {
    let node = args.path();
    no_chroot(shell)?;
    let Some(text) = data(shell, &quota_path(node, LIMITS)).await? else {
        shell.out.line(&format!("Quota does not exist for {node}"));
        return Err(Failure::Said);
    };
    match args.options() {
        [] => {}
        [(letter, _)] => {
            let mut limits = Track::parse(&text);
            limits.set(key(*letter), -1);
            let data = Some(Bytes::from(limits.to_string()));
            shell.client.set(&quota_path(node, LIMITS), data, None).await?;
            return Ok(());
        }
        _ => return Err(Failure::Usage(args.verb)),
    }
    for name in [LIMITS, STATS] {
        match shell.client.delete(&quota_path(node, name), None).await {
            Ok(()) | Err(Error::Code(ErrorCode::NoNode, _)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // What led there goes too, as far as it leads nowhere else.
    let mut way = format!("{QUOTA_ROOT}{node}");
    while way != QUOTA_ROOT {
        match shell.client.delete(&way, None).await {
            Ok(()) | Err(Error::Code(ErrorCode::NoNode, _)) => {}
            Err(Error::Code(ErrorCode::NotEmpty, _)) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        way = path::parent(&way).unwrap_or(QUOTA_ROOT).to_owned();
    }
    Ok(())
}

fn quota_path(node: &str, name: &str) -> String {
    let node = if node == "/" { "" } else { node };
    format!("{QUOTA_ROOT}{node}/{name}")
}

/// A node's text, `None` when there is no node.
async fn data(shell: &Shell, path: &str) -> Result<Option<String>, Error> {
    match shell.client.get(path, false).await {
        Ok(node) => Ok(Some(String::from_utf8_lossy(&node.data.unwrap_or_default()).into_owned())),
        Err(Error::Code(ErrorCode::NoNode, _)) => Ok(None),
        Err(error) => Err(error),
    }
}

const QUOTA_ROOT: &str = "/zookeeper/quota";
const LIMITS: &str = "zookeeper_limits";
const STATS: &str = "zookeeper_stats";

const COUNT: &str = "count";
const BYTES: &str = "bytes";
const COUNT_HARD: &str = "countHardLimit";
const BYTES_HARD: &str = "byteHardLimit";
