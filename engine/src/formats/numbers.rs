//! Files that hold one number in ASCII (disk-format §6): `acceptedEpoch`, `currentEpoch`, `myid`.

use crate::wire::ids::{Epoch, ServerId};

/// The content of an epoch file, only as it is written: a flipped bit may leave a number with a zero in front.
pub fn parse_epoch(content: &[u8]) -> Option<Epoch> {
    let line = first_line(content)?;
    let epoch = line.parse().ok().filter(|epoch: &i64| *epoch >= 0 && epoch.to_string() == line);
    epoch.map(Epoch)
}

/// No newline, as the reference reads it.
pub fn epoch(epoch: Epoch) -> String {
    epoch.0.to_string()
}

pub fn parse_myid(content: &[u8]) -> Option<ServerId> {
    first_line(content)?.parse().ok().map(ServerId)
}

fn first_line(content: &[u8]) -> Option<&str> {
    std::str::from_utf8(content).ok()?.lines().next().map(str::trim)
}

/// In `version-2` of dataDir.
pub const ACCEPTED_EPOCH: &str = "acceptedEpoch";
/// In `version-2` of dataDir.
pub const CURRENT_EPOCH: &str = "currentEpoch";
/// In dataDir.
pub const MYID: &str = "myid";
/// A number and some white space; anything larger is another file.
pub const BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_read_only_as_it_is_written() {
        for (content, expected) in [("7", Some(7)), ("7\n", Some(7)), (" 7 \nmore", Some(7)), ("0", Some(0))]
        {
            assert_eq!(parse_epoch(content.as_bytes()), expected.map(Epoch), "{content:?}");
        }
        for content in ["", "\n7", "07", "+7", "-7", "7x", "\u{fffd}"] {
            assert_eq!(parse_epoch(content.as_bytes()), None, "{content:?}");
        }
        assert_eq!(parse_epoch(epoch(Epoch(12)).as_bytes()), Some(Epoch(12)));
    }

    #[test]
    fn a_myid_is_any_number_on_the_first_line() {
        assert_eq!(parse_myid(b"007\r\n"), Some(ServerId(7)));
        assert_eq!((parse_myid(b"one"), parse_myid(b"")), (None, None));
    }
}
