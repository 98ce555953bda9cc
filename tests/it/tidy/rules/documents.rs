//! The commands that documents show are those that there are.

use std::collections::BTreeSet;

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
