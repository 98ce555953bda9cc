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

/// What a host without an agent is to a verb that installs none.
pub(super) fn missing(connection: &Connection, why: CallError) -> Unreachable {
    match why {
        CallError::Gone(Gone::NoAgent { noise }) if noise.contains(ABSENT) => Unreachable {
            kind: NoWayIn::NotInstalled,
            text: format!("zkops is not installed on {}", connection.label()),
        },
        other => Unreachable { kind: NoWayIn::Binary, text: format!("{}: {other}", connection.label()) },
    }
}

/// Said by the shell on the host instead of the binary's hello.
const ABSENT: &str = "zkops-is-not-there";
