//! How results read (operations §11.3): Stat block, lists, ACLs, hex dump, events.

use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

use crate::client::Event;
use crate::wire::proto::{Acl, Perms, Stat};

/// The eleven lines of a Stat, without a final end of line.
pub(super) fn stat(stat: &Stat, zone: &TimeZone) -> String {
    format!(
        "cZxid = {}\nctime = {}\nmZxid = {}\nmtime = {}\npZxid = {}\ncversion = {}\ndataVersion = {}\n\
         aclVersion = {}\nephemeralOwner = 0x{:x}\ndataLength = {}\nnumChildren = {}",
        stat.czxid,
        date(stat.ctime_ms, zone),
        stat.mzxid,
        date(stat.mtime_ms, zone),
        stat.pzxid,
        stat.cversion,
        stat.version,
        stat.aversion,
        stat.ephemeral_owner,
        stat.data_length,
        stat.num_children,
    )
}

/// As `java.util.Date` prints itself: `Wed May 23 21:49:05 CST 2018`.
pub(super) fn date(wall_ms: i64, zone: &TimeZone) -> String {
    Timestamp::from_millisecond(wall_ms)
        .and_then(|at| strtime::format("%a %b %d %H:%M:%S %Z %Y", &at.to_zoned(zone.clone())))
        .unwrap_or_else(|_| format!("{wall_ms} ms since 1970"))
}

/// `[a, b]`.
pub(super) fn list(names: &[String]) -> String {
    format!("[{}]", names.join(", "))
}

/// The line break before the colon is the reference's (TRAP).
pub(super) fn acl(acl: &Acl) -> String {
    format!("'{},'{}\n: {}", escaped(&acl.id.scheme), escaped(&acl.id.id), perms(acl.perms))
}

/// Letters in the order `cdrwa`.
fn perms(perms: i32) -> String {
    [(Perms::CREATE, 'c'), (Perms::DELETE, 'd'), (Perms::READ, 'r'), (Perms::WRITE, 'w'), (Perms::ADMIN, 'a')]
        .into_iter()
        .filter(|(bit, _)| perms & bit != 0)
        .map(|(_, letter)| letter)
        .collect()
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ',' | '%' | '}' | '\n' | '\r' | '\0' => escaped.push_str(&format!("%{:02X}", c as u32)),
            c => escaped.push(c),
        }
    }
    escaped
}

/// What the default watcher prints: blank line, `WATCHER::`, blank line, event.
pub(super) fn event(event: &Event) -> String {
    format!(
        "\nWATCHER::\n\nWatchedEvent state:{:?} type:{:?} path:{}",
        event.state,
        event.kind,
        event.path.as_deref().unwrap_or("null")
    )
}

/// The layout of `get -x`, 16 bytes a row.
pub(super) fn hex_dump(bytes: &[u8]) -> String {
    const RULE: &str = "+--------+-------------------------------------------------+----------------+";
    let mut text = format!(
        "         +-------------------------------------------------+\n         |  0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f |\n{RULE}\n"
    );
    for (row, bytes) in bytes.chunks(16).enumerate() {
        let hex: String = bytes.iter().map(|byte| format!(" {byte:02x}")).collect();
        let shown: String = bytes
            .iter()
            .map(|byte| if byte.is_ascii_graphic() || *byte == b' ' { *byte as char } else { '.' })
            .collect();
        text.push_str(&format!("|{:08x}|{hex:<48} |{shown:<16}|\n", row * 16));
    }
    text + RULE
}
