//! The whole way from a zoo.cfg's bytes to settings, key after key.

use std::io;
use std::path::Path;

use super::keys::Keys;
use super::known;
use super::problem::{Examined, Invalid, Warning};
use super::sections;
use super::settings::ServerConfig;

impl ServerConfig {
    /// Reads a zoo.cfg. `overrides` are the `-Dkey=value` arguments, with or without the
    /// `zookeeper.` prefix; they win over the file. `read` gives the content of a file that the
    /// text names (`dynamicConfigFile`).
    pub fn parse(
        file: &Path,
        text: &[u8],
        overrides: &[(String, String)],
        read: &dyn Fn(&Path) -> io::Result<Vec<u8>>,
    ) -> Result<(ServerConfig, Vec<Warning>), Invalid> {
        let read = ServerConfig::examine(file, text, overrides, read);
        if read.problems.is_empty() { Ok((read.config, read.warnings)) } else { Err(Invalid(read.problems)) }
    }

    /// As [`ServerConfig::parse`], for whoever wants to know everything that can be said of a file.
    pub fn examine(
        file: &Path,
        text: &[u8],
        overrides: &[(String, String)],
        read: &dyn Fn(&Path) -> io::Result<Vec<u8>>,
    ) -> Examined {
        let mut keys = Keys::parse(file, text, overrides);
        let config = ServerConfig::from_keys(&mut keys, file, read);
        let (problems, warnings) = keys.finish();
        Examined { config, problems, warnings }
    }

    /// Every key that has a name of its own: those that are read, and those of the reference beside them. For a
    /// did-you-mean.
    pub fn known_keys() -> Vec<&'static str> {
        let mut keys = Keys::parse(Path::new(""), b"", &[]);
        ServerConfig::from_keys(&mut keys, Path::new(""), &|_| Err(io::ErrorKind::NotFound.into()));
        keys.asked().chain(known::KEYS).collect()
    }

    fn from_keys(keys: &mut Keys, file: &Path, read: &dyn Fn(&Path) -> io::Result<Vec<u8>>) -> ServerConfig {
        let data_dir = keys.path("dataDir");
        if data_dir.is_none() {
            keys.missing("dataDir", "add a line like dataDir=/var/lib/zookeeper");
        }
        let data_dir = data_dir.unwrap_or_default();
        let tick_ms = keys.number("tickTime", 3000, 1, i32::MAX as i64) as u64;
        let (min_session_timeout_ms, max_session_timeout_ms) = sections::session_timeouts(keys, tick_ms);
        let config = ServerConfig {
            owner: sections::owner(keys),
            data_log_dir: keys.path("dataLogDir").unwrap_or_else(|| data_dir.clone()),
            data_dir,
            client: sections::listen(keys, "clientPort", "clientPortAddress"),
            client_port_listen_backlog: keys.optional("clientPortListenBacklog"),
            max_client_cnxns: Some(keys.number("maxClientCnxns", 60, 0, i32::MAX as i64) as u32)
                .filter(|&count| count > 0),
            max_cnxns: keys.optional("maxCnxns"),
            tick_ms,
            min_session_timeout_ms,
            max_session_timeout_ms,
            role: sections::role(keys, file, read),
            storage: sections::storage(keys),
            pipeline: sections::pipeline(keys),
            election: sections::election(keys),
            four_letter_words: sections::four_letter_words(keys),
            containers: sections::containers(keys),
        };
        sections::refuse_what_is_not_built(keys);
        sections::without_effect(keys);
        config
    }
}
