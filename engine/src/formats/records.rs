//! Files of ours beside the reference's, which looks at none of these names: what they are called, and the two that
//! carry a checksum of their own.

use super::names;
use crate::wire::ids::{Epoch, Zxid};

/// The two promises of a server, as its disk has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epochs {
    pub accepted: Epoch,
    pub current: Epoch,
}

/// The content of [`EPOCHS`].
pub fn epochs(epochs: Epochs) -> String {
    checked(&format!("{} {}", epochs.accepted.0, epochs.current.0))
}

/// `None`: it is not what was written.
pub fn parse_epochs(content: &[u8]) -> Option<Epochs> {
    let mut numbers = std::str::from_utf8(content).ok()?.split(' ').map_while(|word| word.parse().ok());
    let found = Epochs { accepted: Epoch(numbers.next()?), current: Epoch(numbers.next()?) };
    (epochs(found).as_bytes() == content).then_some(found)
}

/// The content of [`NEWEST`]: the log that begins with `first`.
pub fn newest(first: Zxid) -> String {
    checked(&names::log(first))
}

/// `None`: it is not what was written.
pub fn parse_newest(content: &[u8]) -> Option<Zxid> {
    let name = String::from_utf8_lossy(content.split(|&byte| byte == b' ').next().unwrap_or_default());
    names::parse_log(&name).filter(|first| newest(*first).as_bytes() == content)
}

/// The text and its Adler-32.
fn checked(text: &str) -> String {
    format!("{text} {:08x}", simd_adler32::adler32(&text.as_bytes()))
}

/// Beside the epoch files: both numbers, so that a flipped bit in one of them shows.
pub const EPOCHS: &str = "zkops.epochs";
pub const EPOCHS_BYTES_MAX: usize = 256;
/// Beside the logs: the newest of them, so that its absence shows.
pub const NEWEST: &str = "zkops.newest";
pub const NEWEST_BYTES_MAX: usize = 64;
/// Beside the snapshots: the name of one that is about to take the place of everything else.
pub const SUPERSEDING: &str = "zkops.superseding";
/// The same: says that the data beside it is not whole, and why.
pub const UNSYNCED: &str = "zkops.unsynced";
/// In dataDir and dataLogDir: held by the server that runs there.
pub const LOCK: &str = "zkops.lock";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_with_a_flipped_bit_says_nothing() {
        let both = Epochs { accepted: Epoch(7), current: Epoch(6) };
        let (epochs, newest) = (epochs(both).into_bytes(), newest(Zxid(0x1_0000_0001)).into_bytes());
        assert_eq!(parse_epochs(&epochs), Some(both));
        assert_eq!(parse_newest(&newest), Some(Zxid(0x1_0000_0001)));
        let flipped = |content: &[u8], at: usize| {
            let mut content = content.to_vec();
            content[at] ^= 1;
            content
        };
        assert!((0..epochs.len()).all(|at| parse_epochs(&flipped(&epochs, at)).is_none()));
        assert!((0..newest.len()).all(|at| parse_newest(&flipped(&newest, at)).is_none()));
    }
}
