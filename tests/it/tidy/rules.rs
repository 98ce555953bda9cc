//! The rules of `tidy` as functions: sources and tables in, violations out. They read no file, so their own
//! tests plant faults and see them found.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Kind, Path, Source, Token};

/// What pure folders keep to.
pub(crate) struct Pure<'a> {
    pub(crate) wings: &'a [&'a str],
    pub(crate) folders: &'a [&'a str],
    /// Beginnings of paths that they never name.
    pub(crate) paths: &'a [&'a str],
    /// The one hasher of theirs; its order is the same in every run.
    pub(crate) hasher: &'a str,
}

/// The room that a file belongs to: a folder of a wing, or else the folder or file of `src/`; `None` outside `src/`.
fn room<'a>(source: &'a Source, wings: &[&str]) -> Option<&'a str> {
    let mut names = source.path.strip_prefix("src/")?.split('/');
    let first = names.next()?;
    match wings.contains(&first) {
        true => names.next().filter(|name| *name != "mod.rs"),
        false => Some(first),
    }
}

/// The room that a path leads to, spelled in `source`.
fn target<'a>(path: &'a Path, source: &'a Source, wings: &[&str]) -> Option<&'a str> {
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

fn is_within(path: &Path, beginning: &str) -> bool {
    let mut names = path.names.iter();
    beginning.split("::").all(|name| names.next().is_some_and(|found| found == name))
}

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

pub(crate) fn packages(sources: &[Source], wings: &[&str], table: &[(&str, &[&str])]) -> Vec<String> {
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
        unused.iter().map(|package| format!("Cargo.toml: packages: `{package}` is not used: take it out")),
    );
    violations
}

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

pub(crate) fn forbidden(sources: &[Source], words: &[(&[&str], Option<&str>, &str)]) -> Vec<String> {
    let mut violations = Vec::new();
    for source in sources {
        for (words, except, advice) in words {
            for found in source.find(words).filter(|_| *except != Some(source.path.as_str())) {
                violations.push(format!("{}:{}: `{}`: {advice}", source.path, found.line, words.concat()));
            }
        }
        for found in source.find(&[".", "unwrap", "(", ")"]).filter(|found| !found.test) {
            violations.push(format!(
                "{}:{}: unwrap: `expect` with the reason why it cannot fail, or an error",
                source.path, found.line
            ));
        }
    }
    violations
}

/// In tests a sleep stands in the body of a `loop` or `while`, which asks for the condition again.
pub(crate) fn sleeps(sources: &[Source], named: &[(&str, &str, &str)]) -> Vec<String> {
    let mut violations = Vec::new();
    for source in sources {
        let mut function = "";
        // Of each open brace, whether a loop opened it; the head of a loop counts parentheses of its own.
        let mut blocks = Vec::new();
        let mut head = None;
        for (at, token) in source.tokens.iter().enumerate() {
            let next = source.tokens.get(at + 1);
            match token.text.as_str() {
                _ if token.kind == Kind::Text => {}
                "fn" => function = next.map_or("", |next| &next.text),
                "loop" | "while" => head = Some(0),
                "(" => head = head.map(|depth| depth + 1),
                ")" => head = head.map(|depth| depth - 1),
                "{" => blocks.push(head.take_if(|depth| *depth == 0).is_some()),
                "}" => _ = blocks.pop(),
                "sleep" | "sleep_until" if token.test && next.is_some_and(|next| next.is("(")) => {
                    let is_named =
                        named.iter().any(|(file, name, _)| *file == source.path && *name == function);
                    if !blocks.contains(&true) && !is_named {
                        violations.push(format!(
                            "{}:{}: sleep: wait for the condition, in a loop with a deadline",
                            source.path, token.line
                        ));
                    }
                }
                _ => {}
            }
        }
    }
    violations
}

pub(crate) fn pure(sources: &[Source], law: &Pure<'_>) -> Vec<String> {
    let deny = [
        "#",
        "!",
        "[",
        "deny",
        "(",
        "clippy",
        "::",
        "disallowed_methods",
        ",",
        "clippy",
        "::",
        "disallowed_types",
    ];
    let mut violations = Vec::new();
    for source in sources {
        let Some(own) = room(source, law.wings).filter(|own| law.folders.contains(own)) else { continue };
        if source.path.ends_with(&format!("/{own}/mod.rs")) && source.find(&deny).next().is_none() {
            violations.push(format!(
                "{}:1: pure: add #![deny(clippy::disallowed_methods, clippy::disallowed_types)]",
                source.path
            ));
        }
        for path in source.paths().iter().filter(|path| !path.test) {
            if law.paths.iter().any(|beginning| is_within(path, beginning)) {
                violations.push(format!(
                    "{}:{}: pure: `{}` in a pure folder: make it an argument or an output",
                    source.path,
                    path.line,
                    path.names.join("::")
                ));
            }
        }
        let tokens = source.product().collect::<Vec<_>>();
        for (at, map) in
            tokens.iter().enumerate().filter(|(_, token)| token.is("HashMap") || token.is("HashSet"))
        {
            if tokens.get(at + 1).is_some_and(|next| next.is("<"))
                && !arguments_name(&tokens[at + 1..], law.hasher)
            {
                violations.push(format!(
                    "{}:{}: pure: `{}` is seeded at random: give it {}, or use a BTree",
                    source.path, map.line, map.text, law.hasher
                ));
            }
        }
    }
    violations
}

/// Whether the generic arguments that `tokens` begins with have `name` among them, at their own level.
fn arguments_name(tokens: &[&Token], name: &str) -> bool {
    let mut depth = 0;
    for token in tokens {
        match token.text.as_str() {
            "<" => depth += 1,
            ">" => depth -= 1,
            text if depth == 1 && text == name => return true,
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    false
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

pub(crate) fn places(path: &str, text: &str, places: &[&str]) -> Vec<String> {
    let mut violations = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        for place in places {
            // `/etc` stands in `/etc/hosts`, not in `build/etc`.
            let stands = line.match_indices(place).any(|(at, _)| {
                !place.starts_with('/')
                    || !line[..at].ends_with(|before: char| before.is_alphanumeric() || before == '.')
            });
            if stands {
                violations.push(format!(
                    "{path}:{number}: places: `{place}` is not there for everyone: take it out"
                ));
            }
        }
    }
    violations
}
