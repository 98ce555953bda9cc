//! Who may what: `getAcl`, `setAcl`, `addauth`, `whoami`, and the ACL argument.

use bytes::Bytes;

use super::args::Args;
use super::failure::{self, Done, Failure};
use super::format;
use super::output::Out;
use super::read::subtree;
use super::state::Shell;
use crate::wire::proto::{Acl, Perms};

/// `getAcl [-s] path`. 3.4 printed no Stat here, so the old form has none either.
pub(super) async fn get(shell: &Shell, args: &Args) -> Done {
    let (acl, stat) = shell.client.get_acl(args.path()).await?;
    for entry in &acl {
        shell.out.line(&format::acl(entry));
    }
    if args.has('s') {
        shell.out.line(&format::stat(&stat, &shell.zone));
    }
    Ok(())
}

/// `setAcl [-s] [-v version] [-R] path acl`, `setAcl path acl version`.
pub(super) async fn set(shell: &Shell, args: &Args) -> Done {
    let acl = parse_acl(args.operand(1).unwrap_or_default(), &shell.out)?;
    let version = args.version(2).map_err(Failure::no_version)?;
    if !args.has('R') {
        let stat = shell.client.set_acl(args.path(), acl, version).await?;
        shell.stat_block(args, &stat);
        return Ok(());
    }
    let mut done = Ok(());
    for node in subtree(shell, args.path()).await? {
        match shell.client.set_acl(&node, acl.clone(), version).await {
            Ok(stat) => shell.stat_block(args, &stat),
            Err(error) => {
                for line in failure::lines(&error, args.style, Some(args.verb)) {
                    shell.out.complain(&line);
                }
                done = Err(Failure::Said);
            }
        }
    }
    done
}

/// `addauth scheme [auth]`.
pub(super) async fn add_auth(shell: &Shell, args: &Args) -> Done {
    let auth = Bytes::copy_from_slice(args.operand(1).unwrap_or_default().as_bytes());
    shell.client.add_auth(args.path(), auth).await?;
    Ok(())
}

pub(super) async fn who_am_i(shell: &Shell) -> Done {
    let users = shell.client.who_am_i().await?;
    shell.out.line("Auth scheme: User");
    for (scheme, user) in users {
        shell.out.line(&format!("{scheme}: {user}"));
    }
    Ok(())
}

/// `scheme:id:perms[,…]`: the id stands between the first and the last colon. Entries and letters that
/// cannot be read are said and skipped, as the reference does.
///
/// # Errors
/// Nothing is left.
pub(super) fn parse_acl(text: &str, out: &Out) -> Result<Vec<Acl>, Failure> {
    let mut list = Vec::new();
    for entry in text.split(',') {
        match (entry.find(':'), entry.rfind(':')) {
            (Some(first), Some(last)) if first < last => {
                let perms = parse_perms(&entry[last + 1..], out);
                list.push(Acl::new(perms, &entry[..first], &entry[first + 1..last]));
            }
            _ => out.complain(&format!("{entry} does not have the form scheme:id:perm")),
        }
    }
    if list.is_empty() { Err(Failure::text("Acl is not valid : null")) } else { Ok(list) }
}

fn parse_perms(letters: &str, out: &Out) -> i32 {
    let mut perms = 0;
    for letter in letters.chars() {
        perms |= match letter {
            'r' => Perms::READ,
            'w' => Perms::WRITE,
            'c' => Perms::CREATE,
            'd' => Perms::DELETE,
            'a' => Perms::ADMIN,
            other => {
                out.complain(&format!("Unknown perm type: {other}"));
                0
            }
        };
    }
    perms
}
