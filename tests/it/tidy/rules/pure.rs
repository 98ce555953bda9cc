//! Pure folders are functions of (state, event, now): what they never name.

use super::room;
use crate::tidy::source::{Path, Source, Token};

/// What pure folders keep to.
pub(crate) struct Pure<'a> {
    pub(crate) wings: &'a [&'a str],
    pub(crate) folders: &'a [&'a str],
    /// Beginnings of paths that they never name.
    pub(crate) paths: &'a [&'a str],
    /// The one hasher of theirs; its order is the same in every run.
    pub(crate) hasher: &'a str,
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

fn is_within(path: &Path, beginning: &str) -> bool {
    let mut names = path.names.iter();
    beginning.split("::").all(|name| names.next().is_some_and(|found| found == name))
}
