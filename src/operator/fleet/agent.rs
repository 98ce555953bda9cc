//! `zkops host` on a host: started over the connection, known by what it says of itself.

use std::time::Duration;

use tokio::time::Instant;

use crate::operator::host::agent::Gone;
use crate::operator::host::machine::Facts as Machine;
use crate::operator::host::{CallError, Link};
use crate::operator::plan::facts::{NoWayIn, Unreachable};
use crate::operator::transport::{Connection, Error, quote};

/// A running agent, as it introduced itself.
pub(super) struct Agent {
    pub(super) link: Link,
    /// Of the binary that it is.
    pub(super) sha256: String,
    pub(super) machine: Box<Machine>,
}

impl Agent {
    /// Starts `zkops host` from the first of `paths` that is there and asks what it is: the first question carries the
    /// handshake.
    pub(super) async fn start(
        connection: &Connection,
        paths: &[&str],
        deadline: Duration,
    ) -> Result<Agent, CallError> {
        let broken = |why: Error| CallError::Gone(Gone::Broken { why: why.to_string() });
        let mut command = String::new();
        for path in paths {
            let quoted = quote(connection.label(), [*path]).map_err(broken)?;
            command += &format!("if [ -x {quoted} ]; then exec {quoted} host; fi; ");
        }
        command += &format!("echo {ABSENT}");
        let stream = connection.stream(&command, Instant::now() + deadline).await.map_err(broken)?;
        let (read, write) = tokio::io::split(stream);
        let link = Link::new(read, write);
        let asked = link.within(deadline);
        let (binary, machine) = tokio::try_join!(asked.binary(), asked.facts())?;
        Ok(Agent { link, sha256: binary.sha256, machine })
    }
}

/// Neither an agent nor the word that there is none: perhaps no command runs there at all.
pub(super) fn is_strange(why: &CallError) -> bool {
    matches!(why, CallError::Gone(Gone::NoAgent { noise }) if !noise.contains(ABSENT))
}

/// Why there is no connection.
pub(super) fn no_way_in(error: &Error) -> Unreachable {
    let kind = match error {
        Error::HostKeyUnknown { .. } => NoWayIn::HostKey,
        _ => NoWayIn::Connection,
    };
    Unreachable { kind, text: error.to_string() }
}

/// What a host without an agent is to a verb that installs none.
pub(super) fn missing(label: &str, why: CallError) -> Unreachable {
    let (kind, text) = match why {
        CallError::Gone(Gone::NoAgent { noise }) if noise.contains(ABSENT) => {
            (NoWayIn::NotInstalled, format!("zkops is not installed on {label}"))
        }
        // A host that is slow proves nothing against the binary there.
        CallError::Deadline { .. } => (NoWayIn::Connection, format!("{label}: {why}")),
        other => (NoWayIn::Binary, format!("{label}: {other}")),
    };
    Unreachable { kind, text }
}

/// Said by the shell on the host instead of the binary's hello.
const ABSENT: &str = "zkops-is-not-there";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ABSENT, is_strange, missing, no_way_in};
    use crate::operator::host::CallError;
    use crate::operator::host::agent::Gone;
    use crate::operator::plan::facts::NoWayIn;
    use crate::operator::transport::Error;

    #[test]
    fn a_host_whose_key_is_unknown_was_reached() {
        let (host, ssh) = ("node-1".to_owned(), "ssh node-1".to_owned());
        let (algorithm, fingerprint) = ("ssh-ed25519".to_owned(), "SHA256:x".to_owned());
        let file = std::path::PathBuf::from("known_hosts");
        let unknown = Error::HostKeyUnknown { host: host.clone(), algorithm, fingerprint, file, ssh };
        assert_eq!(no_way_in(&unknown).kind, NoWayIn::HostKey);
        let (address, why) = ("10.0.0.1:22".to_owned(), "refused".to_owned());
        assert_eq!(no_way_in(&Error::Unreachable { host, address, why }).kind, NoWayIn::Connection);
    }

    #[test]
    fn an_answer_that_is_late_says_nothing_about_the_binary() {
        let kind = |why: CallError| missing("node-1", why).kind;
        let late = CallError::Deadline { what: "Binary".into(), limit: Duration::from_secs(3) };
        assert_eq!(kind(late), NoWayIn::Connection);
        let no_agent = |noise: &str| CallError::Gone(Gone::NoAgent { noise: noise.into() });
        assert_eq!(kind(no_agent(ABSENT)), NoWayIn::NotInstalled);
        assert_eq!(kind(no_agent("Exec format error")), NoWayIn::Binary);
        assert!(
            is_strange(&no_agent("This account is currently not available.")) && is_strange(&no_agent(""))
        );
        assert!(!is_strange(&no_agent(ABSENT)));
    }
}
