//! The rules of `tidy` as functions: sources and tables in, violations out. They read no file, so their own
//! tests (`planted`) plant faults and see them found.
//!
//! | file | rules about |
//! |---|---|
//! | `circles` | no circle between files, no arrow up |
//! | `dead` | settings, requests and public items that nobody uses |
//! | `imports` | who may import whom, which folder owns a package |
//! | `files` | how a file opens, how long it is, that what is shipped is used |
//! | `words` | what never stands in the code, sleeps, times, places, one word per idea |
//! | `shape` | functions, constants, tests, planted faults: where they stand and how long they are |
//! | `uses` | how imports are written |
//! | `pure` | what pure folders keep to |
//! | `documents` | the commands that documents show, the reasons for pre-releases |

pub(crate) mod circles;
pub(crate) mod dead;
pub(crate) mod documents;
pub(crate) mod files;
pub(crate) mod imports;
pub(crate) mod pure;
pub(crate) mod shape;
pub(crate) mod uses;
pub(crate) mod words;

use std::collections::BTreeSet;

use super::source::{Path, Source};

/// The room that a file belongs to: a folder of a wing, or else the folder or file of `src/`; `None` outside `src/`.
pub(crate) fn room<'a>(source: &'a Source, wings: &[&str]) -> Option<&'a str> {
    let mut names = source.inside()?.split('/');
    let first = names.next()?;
    match wings.contains(&first) {
        true => names.next().filter(|name| *name != "mod.rs"),
        false => Some(first),
    }
}

/// The room that a path leads to, spelled in `source`.
pub(crate) fn target<'a>(path: &'a Path, source: &'a Source, wings: &[&str]) -> Option<&'a str> {
    let module = source.module();
    let above = path.names.iter().take_while(|name| *name == "super").count();
    let (from, names) = match path.names[0].as_str() {
        "crate" | "zkops" => (0, &path.names[1..]),
        "super" => (module.len().saturating_sub(above), &path.names[above..]),
        _ => return None,
    };
    let mut names = module[..from].iter().copied().chain(names.iter().map(String::as_str));
    let first = names.next()?;
    if wings.contains(&first) { names.next() } else { Some(first) }
}

/// What is `known` to break `rule` for a while: beginnings of paths, each with who mends it or why not. A row that
/// covers nothing any more is a violation itself.
pub(crate) fn owed(rule: &str, violations: Vec<String>, known: &[(&str, &str, &str)]) -> Vec<String> {
    let known = known.iter().filter(|(of, ..)| *of == rule).map(|(_, path, _)| *path).collect::<Vec<_>>();
    let mut met = BTreeSet::<&str>::new();
    let mut rest = violations;
    rest.retain(|violation| {
        let is_of = violation.contains(&format!(": {rule}: "));
        let row = known.iter().find(|path| is_of && violation.starts_with(*path));
        met.extend(row);
        row.is_none()
    });
    let stale = known.iter().filter(|path| !met.contains(*path));
    rest.extend(
        stale.map(|path| format!("tests/it/tidy.rs: KNOWN: {path} keeps to `{rule}` now: take its row out")),
    );
    rest
}
