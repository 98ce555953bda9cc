//! The repository as the rules of `tidy` read it: its sources and texts, and where a verdict is shown.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use super::source::{self, HOMES, Source};

#[track_caller]
pub(crate) fn verdict(violations: Vec<String>) {
    assert!(violations.is_empty(), "{} violations\n{}", violations.len(), violations.join("\n"));
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let files = ["src", "engine", "tests", "benches", "fuzz"].into_iter().flat_map(below);
    source::read(files.filter(|path| path.ends_with(".rs")).map(|path| (path.clone(), text(&path))).collect())
});

#[track_caller]
pub(crate) fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All files below a folder, as paths from the root; none when there is no such folder.
pub(crate) fn below(folder: &str) -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        for name in entries(&folder).into_iter().filter(|name| name != ".git" && name != "target") {
            let path = folder.join(name);
            match root().join(&path).is_dir() {
                true => folders.push(path),
                false => files.push(path.to_str().expect("names are UTF-8").to_owned()),
            }
        }
    }
    files.sort();
    files
}

/// What stands in a wing of `src/`, or in `src/` itself, whichever package has it.
pub(crate) fn rooms(wing: &str) -> BTreeSet<String> {
    HOMES.iter().flat_map(|home| entries(format!("{home}{wing}"))).collect()
}

pub(crate) fn entries(folder: impl AsRef<Path>) -> BTreeSet<String> {
    let entries = fs::read_dir(root().join(folder)).into_iter().flatten();
    entries
        .map(|entry| entry.expect("a folder can be read").file_name().into_string().expect("names are UTF-8"))
        .collect()
}
