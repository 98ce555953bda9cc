//! Who may import whom, and which folder owns a package.

use std::collections::{BTreeMap, BTreeSet};

use super::{room, target};
use crate::tidy::source::Source;

/// A table has a row for each thing there is, and none for what is gone.
pub(crate) fn rows<'a>(
    table: &str,
    rows: impl Iterator<Item = &'a str>,
    things: &BTreeSet<String>,
) -> Vec<String> {
    let rows = rows.map(str::to_owned).collect::<BTreeSet<_>>();
    let missing = things.difference(&rows).map(|thing| format!("`{thing}` has no row: add it"));
    let gone = rows.difference(things).map(|row| format!("`{row}` is gone: take its row out"));
    missing.chain(gone).map(|what| format!("tests/it/tidy.rs: {table}: {what}")).collect()
}

pub(crate) fn imports(sources: &[Source], wings: &[&str], table: &[(&str, &[&str])]) -> Vec<String> {
    let table = table.iter().copied().collect::<BTreeMap<_, _>>();
    let mut violations = Vec::new();
    for source in sources {
        let Some(own) = room(source, wings) else { continue };
        for path in source.paths().iter().filter(|path| !path.test) {
            let target = target(path, source, wings);
            let Some(target) = target.filter(|target| table.contains_key(target) && *target != own) else {
                continue;
            };
            let allowed = table.get(own).copied().unwrap_or_default();
            if target != "ids" && !allowed.contains(&target) {
                violations.push(format!(
                    "{}:{}: imports: `{own}` may import {}, not `{target}`: hand it over as an argument, or move it",
                    source.path,
                    path.line,
                    if allowed.is_empty() { "nothing but `ids`".to_owned() } else { allowed.join(", ") },
                ));
            }
        }
    }
    violations
}

/// What a room may import it does import: an allowance that nothing uses is one that nobody has thought about.
pub(crate) fn allowances(sources: &[Source], wings: &[&str], table: &[(&str, &[&str])]) -> Vec<String> {
    let mut used = BTreeSet::new();
    for source in sources {
        let Some(own) = room(source, wings) else { continue };
        for path in source.paths().iter().filter(|path| !path.test) {
            used.extend(target(path, source, wings).map(|target| (own.to_owned(), target.to_owned())));
        }
    }
    let rows = table.iter().flat_map(|(own, allowed)| allowed.iter().map(|other| (*own, *other)));
    let unused = rows.filter(|(own, other)| !used.contains(&((*own).to_owned(), (*other).to_owned())));
    unused
        .map(|(own, other)| {
            format!("tests/it/tidy.rs: IMPORTS: `{own}` does not import `{other}`: take it out of its row")
        })
        .collect()
}

/// Every room that a package's row names uses it. Rows that are `shared` belong to nobody.
pub(crate) fn owners(
    sources: &[Source],
    wings: &[&str],
    table: &[(&str, &[&str])],
    shared: &[&[&str]],
) -> Vec<String> {
    let mut used = BTreeSet::new();
    for source in sources {
        let Some(own) = room(source, wings) else { continue };
        used.extend(
            source.paths().into_iter().filter(|path| !path.test).map(|path| (path.names[0].clone(), own)),
        );
    }
    let rows = table.iter().filter(|(_, owners)| !shared.contains(owners));
    let rows = rows.flat_map(|(package, owners)| owners.iter().map(move |own| (*package, *own)));
    let unused = rows.filter(|(package, own)| !used.contains(&(package.replace('-', "_"), *own)));
    unused
        .map(|(package, own)| {
            format!("tests/it/tidy.rs: PACKAGES: `{own}` does not use `{package}`: take it out of its row")
        })
        .collect()
}

/// The names below `[dependencies]` and `[dev-dependencies]`.
pub(crate) fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut section = "";
    let mut names = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if let Some((name, _)) = line.split_once(" = ")
            && section.ends_with("dependencies]")
            && !name.starts_with('#')
        {
            names.insert(name.to_owned());
        }
    }
    names
}

/// What one package's `manifest` names is named by its `sources`, in the rooms that own it.
pub(crate) fn packages<'a>(
    manifest: &str,
    sources: impl IntoIterator<Item = &'a Source>,
    wings: &[&str],
    table: &[(&str, &[&str])],
) -> Vec<String> {
    let table = table
        .iter()
        .map(|(package, owners)| (package.replace('-', "_"), *owners))
        .collect::<BTreeMap<_, _>>();
    let mut unused = table.keys().cloned().collect::<BTreeSet<_>>();
    let mut violations = Vec::new();
    for source in sources {
        for path in source.paths() {
            let Some(owners) = table.get(&path.names[0]) else { continue };
            unused.remove(&path.names[0]);
            let Some(own) = room(source, wings).filter(|_| !path.test) else { continue };
            if !owners.contains(&"*") && !owners.contains(&own) {
                violations.push(format!(
                    "{}:{}: packages: `{}` belongs to {}, not to `{own}`: go through its owner",
                    source.path,
                    path.line,
                    path.names[0],
                    if owners.is_empty() { "tests".to_owned() } else { owners.join(", ") },
                ));
            }
        }
    }
    violations.extend(
        unused.iter().map(|package| format!("{manifest}: packages: `{package}` is not used: take it out")),
    );
    violations
}
