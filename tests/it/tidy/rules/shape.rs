//! How a file is laid out: how long a function is, where constants stand, where unit tests stand, and that a rule
//! reads in its own lines.

use std::collections::BTreeSet;

use crate::tidy::items::{Item, Seen, What, items};
use crate::tidy::source::Source;

/// Product functions, from the line of their signature to that of the closing brace. A function inside a function is
/// part of it.
pub(crate) fn functions(sources: &[Source], lines_max: usize) -> Vec<String> {
    let mut violations = Vec::new();
    for source in sources {
        for function in items(source).iter().filter(|item| item.what == What::Function && !item.test) {
            let lines = function.line_last - function.line + 1;
            if lines > lines_max {
                violations.push(format!(
                    "{}:{}: functions: `{}` has {lines} lines: name its parts, {lines_max} lines at most",
                    source.path, function.line, function.name
                ));
            }
        }
    }
    violations
}

/// Private constants come last: behind the first one of a file stand only constants and tests. A public constant is
/// a public item and stands among them.
pub(crate) fn constants(sources: &[Source]) -> Vec<String> {
    let mut violations = Vec::new();
    for source in sources.iter().filter(|source| source.inside().is_some()) {
        let items = items(source);
        // A file that only tests compile is read like any other; tests inside a product file come behind all.
        let tests = items.iter().all(|item| item.test);
        let outer = items.iter().filter(|item| item.outer && (tests || !item.test)).collect::<Vec<_>>();
        let Some(last) = outer.iter().rposition(|item| !is_last(item)) else { continue };
        for early in outer[..last].iter().filter(|item| item.what == What::Const && item.seen == Seen::Here) {
            violations.push(format!(
                "{}:{}: constants: `{}` stands before `{}`: private constants come last",
                source.path, early.line, early.name, outer[last].name
            ));
        }
    }
    violations
}

/// What may stand behind a private constant.
fn is_last(item: &Item) -> bool {
    item.what == What::Const || item.what == What::Module && item.name == "tests"
}

/// Unit tests stand in `mod tests`, inline, in `tests.rs` or in the folder `tests/`, and in no file named after them.
pub(crate) fn layout(sources: &[Source]) -> Vec<String> {
    let mut violations = Vec::new();
    for source in sources.iter().filter(|source| source.inside().is_some()) {
        let path = source.path.as_str();
        let names = path.trim_end_matches(".rs").split('/').collect::<Vec<_>>();
        if let Some(name) = names.iter().find(|name| is_named_after_tests(name)) {
            violations.push(format!(
                "{path}:1: layout: `{name}`: unit tests stand in `mod tests`, in `tests.rs` or in `tests/`"
            ));
        }
        if names.contains(&"tests") {
            continue;
        }
        let items = items(source);
        let modules = items
            .iter()
            .filter(|item| item.what == What::Module && item.test && item.body < item.to)
            .collect::<Vec<_>>();
        for module in modules.iter().filter(|module| module.name != "tests") {
            violations.push(format!(
                "{path}:{}: layout: `mod {}` of tests is `mod tests`",
                module.line, module.name
            ));
        }
        let at = |wanted: &[&str]| {
            let windows = source.tokens.windows(wanted.len()).enumerate();
            let wanted = wanted.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
            windows
                .filter(|(_, found)| found.iter().zip(&wanted).all(|(token, word)| token.is(word)))
                .map(|(at, _)| at)
                .collect::<Vec<_>>()
        };
        let tests = [at(&["#", "[", "test", "]"]), at(&["tokio", "::", "test"])].concat();
        for test in
            tests.iter().filter(|test| !modules.iter().any(|module| (module.body..module.to).contains(test)))
        {
            violations.push(format!(
                "{path}:{}: layout: a test outside `mod tests`, `tests.rs` and `tests/`",
                source.tokens[*test].line
            ));
        }
    }
    violations
}

fn is_named_after_tests(name: &str) -> bool {
    ["test_", "tests_"].iter().any(|start| name.starts_with(start))
        || ["_test", "_tests"].iter().any(|end| name.ends_with(end))
        || name == "test"
}

/// A function names `hooks` (the modules of planted faults) in one line at most, so that a rule reads in its own
/// lines; files called `bent.rs` are where faults are planted, `home` is where they come from.
pub(crate) fn hooks(sources: &[Source], hooks: &[&str], home: &str) -> Vec<String> {
    let mut violations = Vec::new();
    for source in sources {
        if source.path.ends_with("/bent.rs") || source.path.starts_with(home) {
            continue;
        }
        for function in items(source).iter().filter(|item| item.what == What::Function && !item.test) {
            let tokens = &source.tokens[function.from..function.to];
            let lines = tokens
                .windows(2)
                .filter(|found| hooks.iter().any(|hook| found[0].is(hook)) && found[1].is("::"))
                .map(|found| found[0].line)
                .collect::<BTreeSet<_>>();
            if lines.len() < 2 {
                continue;
            }
            violations.push(format!(
                "{}:{}: hooks: `{}` has {} lines of planted faults: one at most, the others in `bent.rs`",
                source.path,
                function.line,
                function.name,
                lines.len()
            ));
        }
    }
    violations
}
