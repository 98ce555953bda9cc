//! What somebody else finds wrong with a cluster, put at the place of the file that caused it. Who judges reads the
//! members' settings with other eyes (the server's own parser); where they were written is known here alone.

use super::finding::{Findings, Severity};
use super::layer::short;
use super::model::Cluster;
use super::placed::Places;

/// One thing that is wrong, or doubtful, with a member's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// Name of the member.
    pub member: String,
    pub about: About,
    pub severity: Severity,
    /// As a finding's: stable.
    pub code: &'static str,
    pub message: String,
    /// Written at the offence.
    pub label: String,
    pub help: Option<String>,
}

/// Which part of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// The name of this key of `zoo:`, with or without `zookeeper.`.
    Key(String),
    /// Its value.
    Value(String),
    /// Nothing that stands in `zoo:`.
    Member,
}

/// Members and their places go in the same order.
pub(super) fn place(
    cluster: &Cluster,
    places: &[Places],
    complaints: Vec<Complaint>,
    findings: &mut Findings<'_>,
) {
    // A member that could not be read would make the others' member list wrong.
    let whole = !findings.has_errors();
    for complaint in complaints {
        let member = cluster.members.iter().position(|member| member.name == complaint.member);
        let Some(at) = member.and_then(|member| places.get(member)) else { continue };
        let written = |key: &str| {
            let mut all = at.zoo.iter();
            all.find(|(own, _)| short(own) == short(key)).map(|(_, setting)| setting)
        };
        let found = match &complaint.about {
            About::Key(key) => written(key).map(|setting| setting.key),
            About::Value(key) => written(key).map(|setting| setting.value.span),
            About::Member => None,
        };
        let span = match found {
            Some(span) => span,
            None if whole => at.node,
            None => continue,
        };
        let finding = match complaint.severity {
            Severity::Error => findings.error(complaint.code, span, complaint.message, complaint.label),
            Severity::Warning => findings.warning(complaint.code, span, complaint.message, complaint.label),
        };
        if let Some(help) = complaint.help {
            finding.help(help);
        }
    }
}
