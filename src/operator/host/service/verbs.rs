//! A server that stays up: the same verbs for a systemd unit and for a daemon that our own
//! supervisor keeps, and one report for both. Which of the two it is, the request says: an
//! ordinary user's servers are daemons even where PID 1 is systemd.

use tokio::time::Instant;

use super::records::{Definition, InstallService, Manager, Service, ServiceCall, ServiceReport};
use super::{daemon, systemd};
use crate::operator::host::failure::Failure;

/// Writes the definition; the same one again is no change.
///
/// # Errors
/// `Foreign` when a unit of that name is there that zkops did not write.
pub(crate) async fn install(request: InstallService, deadline: Instant) -> Result<ServiceReport, Failure> {
    let Service { name, manager } = request.service;
    checked(&name)?;
    match (manager, request.definition) {
        (Manager::Systemd, Definition::Unit(text)) => systemd::install(&name, text, deadline).await,
        (Manager::Daemon { spec, .. }, Definition::Daemon(daemon)) => daemon::install(&spec, &daemon),
        (manager, _) => {
            Err(Failure::invalid("install", name, format!("that definition is not for {manager:?}")))
        }
    }
}

pub(crate) async fn call(
    request: ServiceCall,
    supervisor: &[std::ffi::OsString],
    deadline: Instant,
) -> Result<ServiceReport, Failure> {
    checked(&request.service.name)?;
    match request.service.manager {
        Manager::Systemd => systemd::call(&request.service.name, request.verb, deadline).await,
        Manager::Daemon { spec, older } => {
            // Both name the same pid file: whatever runs is found by either.
            let described = older.filter(|older| !spec.exists() && older.exists()).unwrap_or(spec);
            daemon::call(&described, request.verb, supervisor, deadline).await
        }
    }
}

/// A name becomes an argument and a file name.
fn checked(name: &str) -> Result<(), Failure> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "-_.@:".contains(c);
    if name.is_empty() || name.len() > 200 || name.starts_with(['-', '.']) || !name.chars().all(legal) {
        return Err(Failure::invalid(
            "use the service name",
            format!("{name:?}"),
            "letters, digits and -_.@: only",
        ));
    }
    Ok(())
}
