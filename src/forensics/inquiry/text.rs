//! How what others wrote is shown: on one line, nothing that a terminal would obey, and bounded.

use std::fmt::Write;

use crate::wire::proto::{Acl, Perms};

/// Milliseconds since 1970, as people and programs read them; a number that is no time stays one.
pub fn time(ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(ms) {
        Ok(time) => time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        Err(_) => format!("{ms} ms"),
    }
}

/// A path, or any text of others, with escapes for whatever is no plain character.
pub fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => shown.push_str("\\\\"),
            c if c.is_control() || is_invisible(c) => _ = write!(shown, "{}", c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

/// Data in one line: text in quotes, anything else as hex; long ones are cut.
pub fn data(bytes: &[u8]) -> String {
    let cut = bytes.len() > SHOWN_BYTES_MAX;
    let shown = &bytes[..bytes.len().min(SHOWN_BYTES_MAX)];
    let text = match std::str::from_utf8(shown) {
        Ok(text) => Some(text),
        // A character that was cut in two.
        Err(why) if cut && why.error_len().is_none() => std::str::from_utf8(&shown[..why.valid_up_to()]).ok(),
        Err(_) => None,
    };
    let mut line = match text {
        Some(text) => format!("\"{}\"", plain(text).replace('"', "\\\"")),
        None => shown.iter().fold("0x".to_owned(), |mut hex, byte| {
            _ = write!(hex, "{byte:02x}");
            hex
        }),
    };
    if cut {
        _ = write!(line, "… ({} bytes in all)", bytes.len());
    }
    line
}

/// `world:anyone:cdrwa,digest:ann:…:r`, as the shell writes them.
pub fn acl(list: &[Acl]) -> String {
    let one = |acl: &Acl| {
        let letters = LETTERS.iter().filter(|(bit, _)| acl.perms & bit != 0).map(|(_, letter)| *letter);
        format!("{}:{}:{}", plain(&acl.id.scheme), plain(&acl.id.id), letters.collect::<String>())
    };
    list.iter().map(one).collect::<Vec<_>>().join(",")
}

/// `1 byte`, `12 bytes`.
pub fn bytes(len: usize) -> String {
    counted(len as u64, "byte")
}

/// `1 file`, `2 files`.
pub fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Characters that turn a line around or hide in it.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

const SHOWN_BYTES_MAX: usize = 1024;
const LETTERS: [(i32, char); 5] = [
    (Perms::CREATE, 'c'),
    (Perms::DELETE, 'd'),
    (Perms::READ, 'r'),
    (Perms::WRITE, 'w'),
    (Perms::ADMIN, 'a'),
];
