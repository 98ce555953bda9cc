//! Running ZooKeeper servers on this host, ours or Java's, told by their command lines and
//! matched by the configuration or the data that they use. It signals none of them.

use std::fs;
use std::path::{Path, PathBuf};

use super::records::{FindServer, RunningServer, ServerKind};
use crate::operator::host::machine::{Process, process};

pub(crate) fn find(request: &FindServer) -> Vec<RunningServer> {
    let wanted = |path: &Option<PathBuf>| path.as_ref().map(|path| real(path));
    let (config, data_dir) = (wanted(&request.config), wanted(&request.data_dir));
    process::pids()
        .into_iter()
        .filter_map(running)
        .filter(|server| {
            config.as_ref().is_none_or(|want| server.config.as_ref().is_some_and(|have| real(have) == *want))
        })
        .filter(|server| {
            data_dir.as_ref().is_none_or(|want| server.data_dirs.iter().any(|have| real(have) == *want))
        })
        .collect()
}

/// Is it a zkops server: a program named `zkops` that runs `server`?
pub(crate) fn is_ours(process: &Process) -> bool {
    classify(&process.cmdline).is_some_and(|(kind, _)| kind == ServerKind::Zkops)
}

/// What a command line runs, and the configuration it names.
pub(crate) fn classify(cmdline: &[String]) -> Option<(ServerKind, Option<&str>)> {
    let first = cmdline.first()?;
    if Path::new(first).file_name()? == "zkops" {
        let rest = cmdline.get(1..)?;
        let at = rest.iter().position(|arg| !arg.starts_with('-'))?;
        let config = rest[at + 1..].iter().find(|arg| !arg.starts_with('-'));
        return (rest[at] == "server").then(|| (ServerKind::Zkops, config.map(String::as_str)));
    }
    let main = cmdline.iter().position(|arg| JAVA_MAINS.contains(&arg.as_str()))?;
    Some((ServerKind::Java, cmdline.get(main + 1).map(String::as_str)))
}

/// The directories that a zoo.cfg names.
pub(crate) fn data_dirs(zoo_cfg: &str) -> Vec<PathBuf> {
    let value = |line: &str| {
        let (key, value) = line.split_once('=')?;
        matches!(key.trim(), "dataDir" | "dataLogDir").then(|| PathBuf::from(value.trim()))
    };
    zoo_cfg.lines().filter_map(value).collect()
}

fn running(pid: i32) -> Option<RunningServer> {
    let cmdline = process::cmdline(pid);
    let (kind, config) = classify(&cmdline)?;
    let process = Process::read(pid)?;
    // A relative path counts from the server's own working directory.
    let cwd = fs::read_link(process::folder(pid).join("cwd")).unwrap_or_default();
    let config = config.map(|config| cwd.join(config));
    let text = config.as_ref().and_then(|config| fs::read_to_string(config).ok()).unwrap_or_default();
    let data_dirs = data_dirs(&text).into_iter().map(|dir| cwd.join(dir)).collect();
    Some(RunningServer { kind, process, config, data_dirs })
}

fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

/// Main classes of the Java server: the quorum member, and the older standalone entry.
const JAVA_MAINS: [&str; 2] =
    ["org.apache.zookeeper.server.quorum.QuorumPeerMain", "org.apache.zookeeper.server.ZooKeeperServerMain"];
