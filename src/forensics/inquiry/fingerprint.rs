//! What stands for a text in memory where there are too many to keep: no two that anybody finds have the same.

use sha2::{Digest, Sha256};

/// Of parts in their order; where one ends counts.
pub(super) fn of(parts: &[&[u8]]) -> [u8; 16] {
    let mut sum = Sha256::new();
    for part in parts {
        sum.update((part.len() as u64).to_be_bytes());
        sum.update(part);
    }
    let mut short = [0; 16];
    short.copy_from_slice(&sum.finalize()[..16]);
    short
}
