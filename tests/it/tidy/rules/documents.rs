//! What documents say is so: the commands that they show, the reasons for pre-releases.

use std::collections::{BTreeMap, BTreeSet};

/// The verbs that `zkops --help` lists.
pub(crate) fn verbs(help: &str) -> BTreeSet<&str> {
    let list =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // What is indented deeper goes on with the text of the verb above.
    list.filter_map(|line| line.strip_prefix("  ").filter(|verb| !verb.starts_with(' ')))
        .filter_map(|line| line.split_whitespace().next())
        .collect()
}

/// Every `zkops VERB` in the code of a document is one of `verbs`.
pub(crate) fn commands(path: &str, markdown: &str, verbs: &BTreeSet<&str>) -> Vec<String> {
    let mut violations = Vec::new();
    let mut fenced = false;
    for (number, line) in (1..).zip(markdown.lines()) {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        let code = match fenced {
            true => vec![line],
            false => line.split('`').skip(1).step_by(2).collect(),
        };
        let typed = code.iter().flat_map(|code| code.split(['|', ';', '&', '('])).filter_map(verb);
        for unknown in typed.filter(|verb| !verbs.contains(verb)) {
            violations.push(format!("{path}:{number}: commands: `zkops --help` lists no `{unknown}`"));
        }
    }
    violations
}

/// The verb of a command line that calls zkops: `$ sudo ./zkops deploy …`.
fn verb(command: &str) -> Option<&str> {
    let mut words =
        command.split_whitespace().skip_while(|word| ["$", "#", "sudo"].contains(word) || word.contains('='));
    let program = words.next()?;
    let verb = words.find(|word| !word.starts_with('-'))?;
    let is_verb = verb.starts_with(|first: char| first.is_ascii_lowercase());
    (program.rsplit('/').next() == Some("zkops") && is_verb).then_some(verb)
}

/// Every pre-release of Cargo.lock has a row with its reason in the document, and no row is left over.
pub(crate) fn prereleases(lock: &str, path: &str, markdown: &str) -> Vec<String> {
    let rows = markdown
        .lines()
        .filter_map(|line| {
            let cells = line.trim().strip_prefix('|')?.split('|').map(str::trim).collect::<Vec<_>>();
            let code = |cell: &str| Some(cell.strip_prefix('`')?.strip_suffix('`')?.to_owned());
            let reasons = cells.get(2..4)?.iter().all(|reason| !reason.is_empty());
            Some(((code(cells.first()?)?, code(cells.get(1)?)?), reasons))
        })
        .collect::<BTreeMap<_, _>>();
    let value = |line: &str| line.split('"').nth(1).unwrap_or_default().to_owned();
    let locked = lock.split("[[package]]").filter_map(|package| {
        let find = |key: &str| package.lines().find(|line| line.starts_with(key)).map(value);
        Some((find("name = ")?, find("version = ")?))
    });
    // What follows a plus says how it was built.
    let locked = locked
        .filter(|(_, version)| version.split('+').next().is_some_and(|number| number.contains('-')))
        .collect::<BTreeSet<_>>();
    let missing = locked.iter().filter(|package| rows.get(*package) != Some(&true)).map(|(name, version)| {
        format!("Cargo.lock: prereleases: `{name}` {version}: say in {path} why it is there and when it goes")
    });
    let gone = rows
        .keys()
        .filter(|package| !locked.contains(package))
        .map(|(name, version)| format!("{path}: prereleases: `{name}` {version} is gone: take its row out"));
    missing.chain(gone).collect()
}
