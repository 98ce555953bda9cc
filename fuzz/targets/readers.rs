//! One reader, named by `ZKOPS_FUZZ_READER`, under libFuzzer: `fuzz/run` tries them all.

#![no_main]

#[path = "../../tests/it/fuzz/readers.rs"]
mod readers;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

static READ: OnceLock<fn(&[u8])> = OnceLock::new();

fuzz_target!(|bytes: &[u8]| {
    READ.get_or_init(|| {
        let name = std::env::var("ZKOPS_FUZZ_READER").expect("ZKOPS_FUZZ_READER names a reader");
        readers::READERS.iter().find(|(known, _)| *known == name).expect("a reader of that name").1
    })(bytes);
});
