//! Text of `nft -a list ruleset` → tables, chains and rules. Pure; what they mean is `nft_rules`' matter.

use super::nft_rules::{Chain, Rule, Ruleset, Table};

/// Parses `nft -a list ruleset`. What is neither a table, a chain, a named set nor a rule is
/// skipped as a whole.
pub(crate) fn parse(text: &str) -> Ruleset {
    let mut ruleset = Ruleset::default();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let (line, _) = handle_of(line);
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["table", family, name, "{"] = words.as_slice() else { continue };
        let (family, name) = (family.to_string(), name.to_string());
        let mut table = Table { family, name, chains: Vec::new(), sets: Vec::new() };
        while let Some(line) = lines.next() {
            let (line, _) = handle_of(line);
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["}"] => break,
                ["chain", name, "{"] => table.chains.push(chain(name, &mut lines)),
                ["set", name, "{"] => table.sets.push((name.to_string(), elements(&block(&mut lines)))),
                [.., "{"] => drop(block(&mut lines)),
                _ => {}
            }
        }
        ruleset.tables.push(table);
    }
    ruleset
}

fn chain<'a>(name: &str, lines: &mut impl Iterator<Item = &'a str>) -> Chain {
    let mut chain = Chain { name: name.to_string(), hook: None, policy: "accept".into(), rules: Vec::new() };
    for line in statements(&block(lines)) {
        let (text, handle) = handle_of(&line);
        let words: Vec<&str> = text.split_whitespace().map(|word| word.trim_end_matches(';')).collect();
        let after = |key: &str| {
            let at = words.iter().position(|word| *word == key)?;
            words.get(at + 1).map(|word| (*word).to_string())
        };
        if words.first() == Some(&"type") && words.contains(&"hook") {
            chain.hook = after("hook");
            chain.policy = after("policy").unwrap_or_else(|| "accept".into());
            continue;
        }
        let comment = text.split_once("comment \"").and_then(|(_, rest)| rest.split('"').next());
        // The chain's own comment line.
        if words.first() == Some(&"comment") {
            continue;
        }
        chain.rules.push(Rule { text: text.to_string(), handle, comment: comment.map(str::to_string) });
    }
    chain
}

/// The lines up to the brace that closes the block which was just opened.
fn block<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let (mut inside, mut depth) = (Vec::new(), 1usize);
    for line in lines {
        let (opened, closed) = braces(line);
        depth = (depth + opened).saturating_sub(closed);
        if depth == 0 {
            break;
        }
        inside.push(line);
    }
    inside
}

/// Joins lines whose braces are not closed: long sets are wrapped.
fn statements(lines: &[&str]) -> Vec<String> {
    let (mut all, mut open): (Vec<String>, bool) = (Vec::new(), false);
    for line in lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty()) {
        match all.last_mut() {
            Some(last) if open => {
                last.push(' ');
                last.push_str(line);
            }
            _ => all.push(line.to_string()),
        }
        open = all.last().map(|last| braces(last)).is_some_and(|(opened, closed)| opened > closed);
    }
    all
}

/// Opening and closing braces outside of quotes: a comment may hold any.
fn braces(line: &str) -> (usize, usize) {
    let outside = line.split('"').step_by(2);
    outside.fold((0, 0), |(opened, closed), part| {
        (opened + part.matches('{').count(), closed + part.matches('}').count())
    })
}

fn elements(lines: &[&str]) -> String {
    let all =
        statements(lines).into_iter().find_map(|line| line.strip_prefix("elements = ").map(str::to_string));
    all.unwrap_or_default().trim_matches(['{', '}', ' ']).to_string()
}

/// Splits off the ` # handle N` that `nft -a` puts at the end of a line.
fn handle_of(line: &str) -> (&str, Option<u64>) {
    match line.rsplit_once("# handle ") {
        Some((head, number)) => (head.trim(), number.trim().parse().ok()),
        None => (line.trim(), None),
    }
}
