//! The users that servers run as: made as users of the system, without a shell and without a home, by the host's own
//! programs; removed when nothing of theirs runs any more.

use std::fs;
use std::os::unix::fs::MetadataExt;

use tokio::time::Instant;

use super::{command, process};
use crate::operator::host::failure::{Failure, Kind};
use crate::operator::host::files::accounts::Accounts;

/// Whether this host can make one.
pub(crate) fn can_make() -> bool {
    MAKERS.iter().any(|(program, _)| command::find(program).is_some())
}

/// Makes the user where there is none; false when there was.
///
/// # Errors
/// `Unsupported` where the host has no program for it.
pub(crate) async fn ensure(name: &str, deadline: Instant) -> Result<bool, Failure> {
    checked(name)?;
    if Accounts::read().ids_of(name).is_some() {
        return Ok(false);
    }
    let maker = MAKERS.iter().find(|(program, _)| command::find(program).is_some());
    let Some((program, args)) = maker else {
        let why = "this host has neither useradd nor adduser";
        return Err(Failure::new("make the user", name, Kind::Unsupported, why)
            .hint("make it by hand, or name one that is there as `user:` in the inventory"));
    };
    if *program == "adduser" {
        // The little one of busybox makes no group of its own for a user of the system.
        let _ = command::run("addgroup", &["-S", name], deadline).await;
    }
    let args: Vec<&str> = args.iter().map(|arg| if *arg == NAME { name } else { arg }).collect();
    let made = command::must("make the user with", program, &args, deadline).await;
    // Somebody else may have been faster.
    if Accounts::read().ids_of(name).is_none() {
        made?;
        let why = format!("`{program}` said that it did, but /etc/passwd does not have it");
        return Err(Failure::new("make the user", name, Kind::CommandFailed, why));
    }
    Ok(true)
}

/// Removes the user, unless something of theirs runs or a unit of ours is to run as them; false when it stays or was
/// not there.
pub(crate) async fn remove(name: &str, deadline: Instant) -> Result<bool, Failure> {
    checked(name)?;
    let Some((uid, _)) = Accounts::read().ids_of(name) else { return Ok(false) };
    let system = (1..1000).contains(&uid);
    if !system || runs(uid) || awaited(name) {
        return Ok(false);
    }
    let Some(program) = ["userdel", "deluser"].into_iter().find(|program| command::find(program).is_some())
    else {
        return Ok(false);
    };
    command::must("remove the user with", program, &[name], deadline).await?;
    Ok(true)
}

fn runs(uid: u32) -> bool {
    let owner = |pid: i32| fs::metadata(process::folder(pid)).map(|metadata| metadata.uid());
    process::pids().into_iter().any(|pid| owner(pid).is_ok_and(|owner| owner == uid))
}

/// A unit that zkops wrote for another ensemble names them.
fn awaited(name: &str) -> bool {
    let line = format!("User={name}");
    let units = fs::read_dir(UNIT_DIR).into_iter().flatten().flatten();
    let ours = units.filter(|entry| entry.file_name().to_string_lossy().starts_with("zkops-"));
    ours.filter_map(|entry| fs::read_to_string(entry.path()).ok())
        .any(|text| text.lines().any(|said| said.trim() == line))
}

/// A name becomes an argument.
fn checked(name: &str) -> Result<(), Failure> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let first = name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    if first && name.len() <= 32 && name.chars().all(legal) {
        return Ok(());
    }
    Err(Failure::invalid("use the user name", format!("{name:?}"), "letters, digits and -_. only"))
}

/// Stands for the name among a program's arguments.
const NAME: &str = "{name}";
/// Programs that make a user, the better one first.
const MAKERS: [(&str, &[&str]); 2] = [
    (
        "useradd",
        &[
            "--system",
            "--user-group",
            "--no-create-home",
            "--home-dir",
            "/nonexistent",
            "--shell",
            "/usr/sbin/nologin",
            "--comment",
            "zkops coordination server",
            NAME,
        ],
    ),
    ("adduser", &["-S", "-D", "-H", "-h", "/nonexistent", "-s", "/sbin/nologin", "-G", NAME, NAME]),
];
const UNIT_DIR: &str = "/etc/systemd/system";
