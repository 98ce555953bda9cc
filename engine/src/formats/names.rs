//! File names under `version-2`: what counts as a log or a snapshot (disk-format §1), and the
//! names for everything that must never look like one (TRAP D1).

use super::compression::Compression;
use crate::wire::ids::Zxid;

/// True for a file that was set aside and may be removed by a server.
pub fn is_disposable(name: &str) -> bool {
    name.strip_prefix(ASIDE).is_some_and(|rest| !is_of(rest, DAMAGED))
}

/// True for a file that was set aside because of damage.
pub fn is_damaged(name: &str) -> bool {
    name.strip_prefix(ASIDE).is_some_and(|rest| is_of(rest, DAMAGED))
}

fn is_of(rest: &str, why: &str) -> bool {
    rest.strip_prefix(why).is_some_and(|rest| rest.starts_with('.'))
}

/// `log.<zxid>`: lower-case hex of the first txn in the file, no padding.
pub fn log(first: Zxid) -> String {
    format!("log.{:x}", first.0)
}

/// `snapshot.<zxid>[.gz|.snappy]`.
pub fn snapshot(zxid: Zxid, compression: Compression) -> String {
    format!("snapshot.{:x}{}", zxid.0, compression.extension())
}

/// The zxid of a log's name; `None` for anything that no server writes.
///
/// The reference also takes `log.5.bak` for a log; we do not, and never write such a name.
pub fn parse_log(name: &str) -> Option<Zxid> {
    parse_hex(name.strip_prefix("log.")?)
}

/// The zxid and compression of a snapshot's name; `None` for anything that no server writes as a
/// finished snapshot.
pub fn parse_snapshot(name: &str) -> Option<(Zxid, Compression)> {
    let rest = name.strip_prefix("snapshot.")?;
    let (hex, compression) = match rest.split_once('.') {
        None => (rest, Compression::None),
        Some((hex, "gz")) => (hex, Compression::Gzip),
        Some((hex, "snappy")) => (hex, Compression::Snappy),
        Some(_) => return None,
    };
    Some((parse_hex(hex)?, compression))
}

/// `prefix.<hex zxid>`, further parts ignored, as the reference parses names (disk-format §1, TRAP D1): wider than what
/// our server takes for a file of its own.
pub fn zxid_as_reference(name: &str, prefix: &str) -> Option<i64> {
    let mut parts = name.split('.');
    if parts.next() != Some(prefix) {
        return None;
    }
    let hex = parts.next()?;
    // from_str_radix would take a sign.
    if hex.is_empty() || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u64::from_str_radix(hex, 16).ok().map(u64::cast_signed)
}

/// True for a name that the reference would read as a log or a snapshot although no server
/// finished writing it: worth a note, since the two servers would disagree about it.
pub fn is_misleading(name: &str) -> bool {
    (name.starts_with("log.") && parse_log(name).is_none())
        || (name.starts_with("snapshot.") && parse_snapshot(name).is_none())
}

fn parse_hex(hex: &str) -> Option<Zxid> {
    let plain = !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| i64::from_str_radix(hex, 16).ok().map(Zxid)).flatten()
}

/// Where both kinds of files live, below dataDir and dataLogDir.
pub const VERSION_2: &str = "version-2";
/// Prefix of files that are being written; whatever carries it at a start is left over.
pub const UNFINISHED: &str = "new.";
pub const UNFINISHED_RECEIVED: &str = "new.received.";
/// Prefix of files set aside: no server reads them, a human can.
pub const ASIDE: &str = "aside.";
/// Why a file was set aside, behind the prefix: the data that replaced it is whole; it is kept for one generation.
pub const SUPERSEDED: &str = "superseded";
/// The same: it was damaged, or lay beside what was. Kept until a human removes it, or until there is new damage.
pub const DAMAGED: &str = "damaged";
/// Beside `version-2` in dataLogDir (or dataDir): "an empty database here is intended" (disk-format §8).
pub const INITIALIZE: &str = "initialize";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let zxid = Zxid(0x1_0000_000a);
        assert_eq!(log(zxid), "log.10000000a");
        assert_eq!(parse_log(&log(zxid)), Some(zxid));
        for compression in [Compression::None, Compression::Gzip, Compression::Snappy] {
            let name = snapshot(zxid, compression);
            assert_eq!(parse_snapshot(&name), Some((zxid, compression)), "{name}");
        }
        assert_eq!(parse_snapshot("snapshot.0"), Some((Zxid(0), Compression::None)));
    }

    #[test]
    fn what_was_damaged_is_not_disposable() {
        let names =
            ["aside.damaged.log.5", "aside.superseded.log.5", "aside.damagedlog.5", "log.5", "snapshot.5"];
        assert_eq!(names.map(is_damaged), [true, false, false, false, false]);
        assert_eq!(names.map(is_disposable), [false, true, true, false, false]);
    }

    #[test]
    fn backups_and_temporary_files_are_neither_log_nor_snapshot() {
        for name in
            ["log.5.bak", "log.", "log.xyz", "log.-5", "snapshot.7.old", "snapshot.7.tmp", "snapshot."]
        {
            assert!(parse_log(name).is_none() && parse_snapshot(name).is_none(), "{name}");
            assert!(is_misleading(name), "{name}");
        }
        for name in ["new.log.5", "aside.trunc.log.5", "acceptedEpoch", "log.5", "snapshot.5.gz"] {
            assert!(!is_misleading(name), "{name}");
        }
    }

    #[test]
    fn names_are_parsed_as_zookeeper_does() {
        assert_eq!(zxid_as_reference("log.1a", "log"), Some(0x1a));
        assert_eq!(zxid_as_reference("log.5.bak", "log"), Some(5), "TRAP D1");
        assert_eq!(zxid_as_reference("snapshot.ffffffffffffffff", "snapshot"), Some(-1));
        for odd in ["log", "log.", "log.-1", "log.+1", "log.xyz", "logs.1", "log.11112222333344445"] {
            assert_eq!(zxid_as_reference(odd, "log"), None, "{odd}");
        }
    }
}
