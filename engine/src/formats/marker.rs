//! `zkops.json` in a dataDir: whose data this is, so that no other cluster or member is ever started on it (law 8).
//! The operator writes it, the server compares it with its zoo.cfg. ZooKeeper looks at no such name.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Whose data this is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    pub cluster: String,
    /// The member's id (`myid`).
    pub member: i64,
    /// Of the cluster: two clusters may have the same name.
    pub uuid: String,
}

/// Whose data a server was started for, as far as its zoo.cfg says ([`CLUSTER_KEY`], [`MEMBER_KEY`], [`UUID_KEY`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    pub cluster: Option<String>,
    pub member: Option<i64>,
    pub uuid: Option<String>,
}

impl Owner {
    /// Whether data with this marker is what is asked for. What is not asked for may be anything.
    pub fn admits(&self, marker: &Marker) -> bool {
        self.cluster.as_ref().is_none_or(|cluster| *cluster == marker.cluster)
            && self.member.is_none_or(|member| member == marker.member)
            && self.uuid.as_ref().is_none_or(|uuid| *uuid == marker.uuid)
    }
}

/// "member 3 of cluster orders (7b0c…)".
impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "member {} of cluster {} ({})", self.member, self.cluster, self.uuid)
    }
}

/// The same, with what is not known left out.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.member {
            Some(member) => write!(f, "member {member}")?,
            None => f.write_str("a member")?,
        }
        if let Some(cluster) = &self.cluster {
            write!(f, " of cluster {cluster}")?;
        }
        self.uuid.as_ref().map_or(Ok(()), |uuid| write!(f, " ({uuid})"))
    }
}

/// The file's content.
pub fn encode(marker: &Marker) -> Vec<u8> {
    let note =
        "Managed by zkops: says whose data this directory holds. Do not copy to another member.".to_owned();
    let written = Written { note, marker: marker.clone() };
    let mut text = serde_json::to_vec_pretty(&written).expect("strings and a number are JSON");
    text.push(b'\n');
    text
}

/// Why a content is no marker.
#[derive(Debug, thiserror::Error)]
pub enum NotAMarker {
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// The words go on into zoo.cfg and onto terminals.
    #[error("there are control characters in it")]
    Control,
}

/// # Errors
/// What keeps the content from being a marker.
pub fn decode(content: &[u8]) -> Result<Marker, NotAMarker> {
    let marker = serde_json::from_slice::<Written>(content)?.marker;
    match [&marker.cluster, &marker.uuid].iter().any(|text| text.contains(char::is_control)) {
        true => Err(NotAMarker::Control),
        false => Ok(marker),
    }
}

/// On disk the marker stands beside words for whoever finds the file.
#[derive(Serialize, Deserialize)]
struct Written {
    #[serde(default)]
    note: String,
    #[serde(flatten)]
    marker: Marker,
}

/// Its name in dataDir.
pub const FILE: &str = "zkops.json";
/// Keys of zoo.cfg that say the same to the server. Apache ZooKeeper makes a system property of each that it looks at
/// nowhere.
pub const CLUSTER_KEY: &str = "zkops.cluster";
pub const MEMBER_KEY: &str = "zkops.member";
pub const UUID_KEY: &str = "zkops.uuid";
/// A few short words; anything larger is another file.
pub const BYTES_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_survives_a_round_trip_and_nothing_else_is_one() {
        let marker = Marker { cluster: "orders".into(), member: 3, uuid: "7b0c".into() };
        assert_eq!(decode(&encode(&marker)).unwrap(), marker);
        let older = br#"{"cluster": "orders", "member": 3, "uuid": "7b0c", "more": true}"#;
        assert_eq!(decode(older).unwrap(), marker);
        let broken = br#"{"cluster": "orders", "member": 3, "uuid": "7b\n0c"}"#;
        assert!(matches!(decode(broken), Err(NotAMarker::Control)));
        for content in ["", "{", "{}", r#"{"cluster": "orders", "member": "3", "uuid": "7b0c"}"#] {
            assert!(decode(content.as_bytes()).is_err(), "{content}");
        }
    }

    #[test]
    fn an_owner_admits_what_it_does_not_ask_for() {
        let marker = Marker { cluster: "orders".into(), member: 3, uuid: "7b0c".into() };
        let all = Owner { cluster: Some("orders".into()), member: Some(3), uuid: Some("7b0c".into()) };
        assert!(all.admits(&marker) && Owner::default().admits(&marker));
        assert_eq!((all.to_string(), Owner::default().to_string()), (marker.to_string(), "a member".into()));
        for other in [
            Owner { cluster: Some("billing".into()), ..all.clone() },
            Owner { member: Some(2), ..all.clone() },
            Owner { uuid: Some("9".into()), ..all.clone() },
        ] {
            assert!(!other.admits(&marker), "{other}");
        }
    }
}
