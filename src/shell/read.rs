//! Reading: `ls`, `ls2`, `get`, `stat`, `getAllChildrenNumber`, `getEphemerals`, `config`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::args::{Args, Style};
use super::failure::{Done, Failure};
use super::format;
use super::state::Shell;
use super::verbs::Verb;
use crate::client::{Client, Error, Node};
use crate::wire::proto::ErrorCode;

/// `ls [-s] [-w] [-R] path`, `ls path watch`, `ls2 path [watch]`.
pub(super) async fn list(shell: &Shell, args: &Args) -> Done {
    if args.has('?') {
        return Err(Failure::Usage(args.verb));
    }
    if args.has('R') {
        return list_all(shell, args.path(), args.watch()).await;
    }
    let (names, stat) = shell.client.children(args.path(), args.watch()).await?;
    shell.out.line(&format::list(&names));
    // `ls` had no Stat in 3.4.
    if args.verb == Verb::Ls2 || args.style == Style::New {
        shell.stat_block(args, &stat);
    }
    Ok(())
}

/// Every path of the subtree, one a line: all children of a node before what is below them.
async fn list_all(shell: &Shell, root: &str, watch: bool) -> Done {
    shell.client.get(root, watch).await?;
    shell.out.line(root);
    let mut nodes = vec![root.to_owned()];
    while let Some(node) = nodes.pop() {
        let children = children_paths(&shell.client, &node, watch).await?;
        children.iter().for_each(|path| shell.out.line(path));
        nodes.extend(children.into_iter().rev());
        if shell.out.is_broken() {
            return Err(Failure::Said);
        }
    }
    Ok(())
}

/// The full paths of a node's children; none when the node went away meanwhile.
async fn children_paths(client: &Client, node: &str, watch: bool) -> Result<Vec<String>, Error> {
    let below = if node == "/" { "" } else { node };
    match client.children(node, watch).await {
        Ok((names, _)) => Ok(names.into_iter().map(|name| format!("{below}/{name}")).collect()),
        Err(Error::Code(ErrorCode::NoNode, _)) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The node and all below it, parents before children.
pub(super) async fn subtree(shell: &Shell, root: &str) -> Result<Vec<String>, Error> {
    let mut nodes = vec![root.to_owned()];
    let mut at = 0;
    while at < nodes.len() {
        let children = children_paths(&shell.client, &nodes[at], false).await?;
        nodes.extend(children);
        at += 1;
    }
    Ok(nodes)
}

/// `get [-s] [-w] [-b] [-x] path`, `get path watch`.
pub(super) async fn get(shell: &Shell, args: &Args) -> Done {
    let Node { data, stat } = shell.client.get(args.path(), args.watch()).await?;
    match data {
        None => shell.out.line("null"),
        Some(data) if args.has('b') => shell.out.line(&STANDARD.encode(&data)),
        Some(data) if args.has('x') => shell.out.line(&format::hex_dump(&data)),
        Some(data) => shell.out.data(&data),
    }
    shell.stat_block(args, &stat);
    Ok(())
}

/// `stat [-w] path`, `stat path watch`: the block is the result, so it goes to stdout in both forms.
pub(super) async fn stat(shell: &Shell, args: &Args) -> Done {
    let Some(stat) = shell.client.exists(args.path(), args.watch()).await? else {
        return Err(Error::Code(ErrorCode::NoNode, args.path().to_owned()).into());
    };
    shell.out.line(&format::stat(&stat, &shell.zone));
    Ok(())
}

pub(super) async fn all_children_number(shell: &Shell, args: &Args) -> Done {
    let number = shell.client.all_children_number(args.path()).await?;
    shell.out.line(&number.to_string());
    Ok(())
}

pub(super) async fn ephemerals(shell: &Shell, args: &Args) -> Done {
    let mut paths = shell.client.ephemerals(args.operand(0).unwrap_or("/")).await?;
    paths.sort_unstable();
    shell.out.line(&format::list(&paths));
    Ok(())
}

/// `config [-c] [-w] [-s]`.
pub(super) async fn config(shell: &Shell, args: &Args) -> Done {
    let Node { data, stat } = shell.client.config(args.has('w')).await?;
    let text = String::from_utf8_lossy(&data.unwrap_or_default()).into_owned();
    if args.has('c') {
        shell.out.line(&client_config(&text));
    } else {
        shell.out.line(&text);
    }
    shell.stat_block(args, &stat);
    Ok(())
}

/// `<version hex> host:port,…`: where clients connect, an empty item for a member that does not say.
fn client_config(text: &str) -> String {
    let mut version = "";
    let mut members = Vec::new();
    for line in text.lines() {
        match line.split_once('=') {
            Some(("version", value)) => version = value,
            Some((key, value)) if key.starts_with("server.") => members.push(client_address(value)),
            _ => {}
        }
    }
    format!("{version} {}", members.join(","))
}

/// `host:quorum:election[:role];[host:]port` → `host:port`.
fn client_address(member: &str) -> String {
    let Some((servers, client)) = member.split_once(';') else {
        return String::new();
    };
    if client.contains(':') {
        return client.to_owned();
    }
    let host = match servers.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => format!("[{address}]"),
        None => servers.split(':').next().unwrap_or_default().to_owned(),
    };
    format!("{host}:{client}")
}
