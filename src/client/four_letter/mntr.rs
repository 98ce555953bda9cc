//! The answer to `mntr` (operations §8.2): the values an operator looks at as types, all of them as text.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use super::{Error, Mode};

/// What `mntr` tells. `None`: this server has no such value (its role or its version).
#[derive(Debug, Clone, PartialEq)]
pub struct Mntr {
    pub version: String,
    pub mode: Mode,
    /// `following - broadcast` and the like; quorum servers from 3.6.
    pub peer_state: Option<String>,
    pub latency_avg_ms: Option<f64>,
    pub latency_max_ms: Option<f64>,
    pub connections: Option<u64>,
    pub outstanding_requests: Option<u64>,
    pub znode_count: Option<u64>,
    pub watch_count: Option<u64>,
    pub ephemerals_count: Option<u64>,
    pub approximate_data_bytes: Option<u64>,
    pub uptime: Option<Duration>,
    /// Voters in the configuration.
    pub quorum_size: Option<u64>,
    /// Leader only: learners connected, voters of them in sync, and syncs under way.
    pub learners: Option<u64>,
    pub synced_followers: Option<u64>,
    pub synced_non_voting_followers: Option<u64>,
    pub synced_observers: Option<u64>,
    pub pending_syncs: Option<u64>,
    pub open_file_descriptors: Option<u64>,
    /// Every line, keys without `zk_`.
    pub values: BTreeMap<String, String>,
}

impl FromStr for Mntr {
    type Err = Error;

    fn from_str(text: &str) -> Result<Mntr, Error> {
        let values: BTreeMap<String, String> = text
            .lines()
            .filter_map(|line| line.strip_prefix("zk_")?.split_once('\t'))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let malformed = |field| Error::Malformed { word: "mntr", field };
        let double = |key: &str| values.get(key)?.parse::<f64>().ok();
        // Some versions print counts as doubles.
        let count = |key: &str| double(key).filter(|value| *value >= 0.0).map(|value| value as u64);
        Ok(Mntr {
            version: values.get("version").cloned().ok_or_else(|| malformed("zk_version"))?,
            mode: values
                .get("server_state")
                .and_then(|state| state.parse().ok())
                .ok_or_else(|| malformed("zk_server_state"))?,
            peer_state: values.get("peer_state").cloned(),
            latency_avg_ms: double("avg_latency"),
            latency_max_ms: double("max_latency"),
            connections: count("num_alive_connections"),
            outstanding_requests: count("outstanding_requests"),
            znode_count: count("znode_count"),
            watch_count: count("watch_count"),
            ephemerals_count: count("ephemerals_count"),
            approximate_data_bytes: count("approximate_data_size"),
            uptime: count("uptime").map(Duration::from_millis),
            quorum_size: count("quorum_size"),
            learners: count("learners"),
            synced_followers: count("synced_followers"),
            synced_non_voting_followers: count("synced_non_voting_followers"),
            synced_observers: count("synced_observers"),
            pending_syncs: count("pending_syncs"),
            open_file_descriptors: count("open_file_descriptor_count"),
            values,
        })
    }
}
