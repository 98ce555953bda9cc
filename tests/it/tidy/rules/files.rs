//! How a file opens, how long it may be, and that every file that is shipped is used.

use std::collections::BTreeSet;

use crate::tidy::source::Source;

pub(crate) fn files(sources: &[Source], lines_max: usize, long: &[(&str, &str)]) -> Vec<String> {
    let mut violations = Vec::new();
    for Source { path, text, .. } in sources {
        if !text.starts_with("//!") {
            violations
                .push(format!("{path}:1: header: open with `//!`: what it is and what it leaves to others"));
        }
        let lines = text.lines().count();
        let named = long.iter().any(|(name, _)| name == path);
        if lines > lines_max && !named {
            violations
                .push(format!("{path}:{lines}: length: split it by subject: {lines_max} lines at most"));
        }
        if lines <= lines_max && named {
            violations.push(format!("{path}:{lines}: length: no longer too long: take it off the list"));
        }
    }
    violations
}

/// Each of `files` stands in an `include_str!`, in a test if it `must_be_tested`.
pub(crate) fn included(sources: &[Source], files: &[String], must_be_tested: bool) -> Vec<String> {
    let mut included = BTreeSet::new();
    for source in sources {
        for found in source.tokens.windows(4) {
            let [name, bang, open, path] = found else { continue };
            if name.is("include_str") && bang.is("!") && open.is("(") && name.test == must_be_tested {
                included.insert(joined(&source.path, &path.text));
            }
        }
    }
    let what = if must_be_tested { "parse it in a test" } else { "render it" };
    let unused = files.iter().filter(|file| !included.contains(*file));
    unused.map(|file| format!("{file}:1: unused: {what} (include_str!), or delete it")).collect()
}

/// `relative` as it is seen from `file`.
fn joined(file: &str, relative: &str) -> String {
    let mut names = file.split('/').collect::<Vec<_>>();
    names.pop();
    for name in relative.split('/') {
        match name {
            ".." => _ = names.pop(),
            name => names.push(name),
        }
    }
    names.join("/")
}
