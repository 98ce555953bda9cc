//! How imports are written: one module a line, braces that hold names only, and three groups with a blank line
//! between them: std, packages, ours.

use std::collections::BTreeSet;

use crate::tidy::items::{Item, Seen, What, items};
use crate::tidy::source::{Kind, Source};

/// The groups of the imports at the head of a file, and of each inline module. What is handed on (`pub use`) stands
/// with the table of contents, wherever that is; of a `use` inside a function only its braces are read.
pub(crate) fn uses(sources: &[Source]) -> Vec<String> {
    let mut violations = Vec::new();
    for source in sources {
        let items = items(source);
        nested(source, &mut violations);
        let modules = items.iter().filter(|item| item.what == What::Module && item.body < item.to);
        let mut modules = modules.map(|module| module.from..module.to).collect::<Vec<_>>();
        modules.push(0..source.tokens.len());
        // Inner modules come first: each import is judged in the smallest one.
        modules.sort_by_key(|module| module.len());
        let mut judged = BTreeSet::new();
        for module in modules {
            let within = items.iter().filter(|item| module.contains(&item.from)).collect::<Vec<_>>();
            let imports = within.iter().filter(|item| item.what == What::Use && item.seen == Seen::Here);
            let imports = imports.filter(|item| judged.insert(item.from)).copied().collect::<Vec<_>>();
            let pairs = imports
                .windows(2)
                .filter_map(|pair| Some((pair[1], judge(source, &within, pair[0], pair[1])?)));
            violations
                .extend(pairs.map(|(import, what)| format!("{}:{}: uses: {what}", source.path, import.line)));
        }
    }
    violations
}

/// What is wrong with one import behind another.
fn judge(source: &Source, within: &[&Item], first: &Item, second: &Item) -> Option<String> {
    // Anything else between the two begins anew.
    if within.iter().any(|item| (first.to..second.from).contains(&item.from)) {
        return None;
    }
    let own = within.iter().filter(|item| item.what == What::Module).map(|item| item.name.as_str());
    let own = own.collect::<BTreeSet<_>>();
    let [before, after] = [first, second].map(|import| group(source, import, &own));
    let mut between = source.text.lines().take(second.line - 1).skip(first.line_last);
    let apart = between.any(|line| line.trim().is_empty());
    if before > after {
        Some(format!("{} behind {}: std, then packages, then ours", GROUPS[after], GROUPS[before]))
    } else if before != after && !apart {
        Some(format!("a blank line stands between {} and {}", GROUPS[before], GROUPS[after]))
    } else if before == after && apart {
        Some(format!("no blank line stands amid {}", GROUPS[before]))
    } else {
        None
    }
}

/// `{` and `::` inside braces, of every `use` there is.
fn nested(source: &Source, violations: &mut Vec<String>) {
    let starts = source.tokens.iter().enumerate().filter(|(_, token)| token.is("use"));
    for (at, _) in starts {
        let import = source.tokens[at..].iter().take_while(|token| !token.is(";"));
        let mut inside = import.skip_while(|token| !token.is("{")).skip(1);
        if let Some(inside) = inside.find(|token| token.is("::") || token.is("{")) {
            violations.push(format!(
                "{}:{}: uses: braces hold names only: one line for each module",
                source.path, inside.line
            ));
        }
    }
}

fn group(source: &Source, import: &Item, own: &BTreeSet<&str>) -> usize {
    let words = &source.tokens[import.from..import.to];
    let first =
        words.iter().skip_while(|token| !token.is("use")).skip(1).find(|token| token.kind == Kind::Word);
    match first.map_or("", |token| token.text.as_str()) {
        "std" | "core" | "alloc" => 0,
        "crate" | "super" | "self" => OURS,
        name if own.contains(name) => OURS,
        _ => 1,
    }
}

const GROUPS: [&str; 3] = ["std", "packages", "ours"];
const OURS: usize = 2;
