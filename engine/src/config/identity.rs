//! Which member a server is, once its zoo.cfg and its `myid` are known.

use super::problem::{Invalid, Problem, Warning};
use super::settings::{Role, ServerConfig};
use crate::ensemble::{Listen, MemberRole};
use crate::wire::ids::ServerId;

/// What the server is called and where clients reach it, once `myid` is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub me: ServerId,
    pub role: MemberRole,
    pub client: Option<Listen>,
}

impl ServerConfig {
    /// Which member this server is and where its clients connect. `myid` is what
    /// `dataDir/myid` holds; needed in an ensemble only.
    pub fn identity(&self, myid: Option<ServerId>) -> Result<Identity, Invalid> {
        let at = self.data_dir.join("myid").display().to_string();
        let fail = |what: String, advice: String| {
            Err(Invalid(vec![Problem { at: at.clone(), key: None, what, advice }]))
        };
        let Role::Quorum(quorum) = &self.role else {
            let me = myid.unwrap_or(ServerId(1));
            return Ok(Identity { me, role: MemberRole::Participant, client: self.client.clone() });
        };
        let listed: Vec<_> = quorum.membership.members().map(|member| member.id.to_string()).collect();
        let listed = listed.join(", ");
        let Some(me) = myid else {
            return fail(
                "myid file is missing".to_owned(),
                format!("write this server's number ({listed}) into it: echo N > {at}"),
            );
        };
        let Some(member) = quorum.membership.get(me) else {
            return fail(
                format!("this server's number is {me}, but the server lines name only {listed}"),
                format!("correct myid, or add a server.{me} line to zoo.cfg on every server"),
            );
        };
        let client = match (&self.client, &member.client) {
            (Some(file), Some(line)) if file.port != line.port || !file.covers(line) => {
                return fail(
                    format!("zoo.cfg says clients connect to {file}, the line of server.{me} says {line}"),
                    "remove clientPort and clientPortAddress from zoo.cfg, or make both agree".to_owned(),
                );
            }
            (_, Some(line)) => Some(line.clone()),
            (file, None) => file.clone(),
        };
        Ok(Identity { me, role: member.role, client })
    }

    /// What to say when `peerType` does not match the server list, which wins.
    pub fn peer_type_warning(&self, identity: &Identity) -> Option<Warning> {
        let Role::Quorum(quorum) = &self.role else { return None };
        quorum.peer_type.filter(|&peer_type| peer_type != identity.role).map(|peer_type| {
            let text = format!(
                "peerType={peer_type}, but the server lines make server.{} a {}: the server lines win",
                identity.me, identity.role
            );
            Warning::Said { key: Some("peerType".to_owned()), text }
        })
    }
}
