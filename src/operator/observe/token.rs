//! Words that must not repeat: of listeners, canaries, runs, new clusters. No secret is made here.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Random bytes in hex: for ids that must not repeat, not for secrets.
pub fn random_hex(bytes: usize) -> String {
    let mut text = String::new();
    while text.len() < bytes * 2 {
        // The standard library's hasher keys are random in every instance.
        text += &format!("{:016x}", RandomState::new().build_hasher().finish());
    }
    text.truncate(bytes * 2);
    text
}
