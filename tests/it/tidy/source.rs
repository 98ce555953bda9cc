//! Rust sources as the rules of `tidy` read them: tokens that know their line and whether they are test code,
//! and the paths they spell. Comments are gone, strings are one token each, so no rule is fooled by prose.
//!
//! It is no compiler: it knows nothing of types, macros and names in scope.

use std::collections::BTreeSet;

/// The folders of product code, one for each package.
pub(crate) const HOMES: [&str; 2] = ["src/", "engine/src/"];

/// One `.rs` file, cut into tokens.
pub(crate) struct Source {
    /// From the root of the repository.
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) tokens: Vec<Token>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) line: usize,
    pub(crate) kind: Kind,
    pub(crate) text: String,
    /// Compiled for tests alone.
    pub(crate) test: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A name, a keyword, a number.
    Word,
    /// What stands between the quotes of a string.
    Text,
    /// `::`, or one character of punctuation.
    Mark,
}

/// A path of two names or more, or the one name after `use`; `a::{b, c::d}` is two of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) line: usize,
    pub(crate) names: Vec<String>,
    pub(crate) test: bool,
    /// Stands in a `use`.
    pub(crate) imported: bool,
}

impl Token {
    pub(crate) fn is(&self, text: &str) -> bool {
        self.kind != Kind::Text && self.text == text
    }
}

impl Source {
    /// The tokens that are compiled into the product.
    pub(crate) fn product(&self) -> impl Iterator<Item = &Token> {
        self.tokens.iter().filter(|token| !token.test)
    }

    /// Where `wanted` stands, token by token.
    pub(crate) fn find(&self, wanted: &[&str]) -> impl Iterator<Item = &Token> {
        self.tokens.windows(wanted.len()).filter(|found| spells(found, wanted)).map(|found| &found[0])
    }

    pub(crate) fn paths(&self) -> Vec<Path> {
        let mut paths = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            let imported = at > 0 && self.tokens[at - 1].is("use");
            let starts = self.tokens[at].kind == Kind::Word
                && (imported || self.tokens.get(at + 1).is_some_and(|next| next.is("::")));
            at = match starts {
                true => {
                    let first = paths.len();
                    let end = self.path(at, &mut Vec::new(), &mut paths);
                    paths[first..].iter_mut().for_each(|path| path.imported = imported);
                    end
                }
                false => at + 1,
            };
        }
        paths
    }

    /// Reads the path at `at`, a name, into `paths`; gives the place after it.
    fn path(&self, at: usize, names: &mut Vec<String>, paths: &mut Vec<Path>) -> usize {
        let token = &self.tokens[at];
        let next = |ahead: usize, text: &str| self.tokens.get(at + ahead).is_some_and(|token| token.is(text));
        names.push(token.text.clone());
        let end = if next(1, "::") && self.tokens.get(at + 2).is_some_and(|then| then.kind == Kind::Word) {
            self.path(at + 2, names, paths)
        } else if next(1, "::") && next(2, "{") {
            let mut at = at + 3;
            while let Some(token) = self.tokens.get(at).filter(|token| !token.is("}")) {
                at = match token.kind {
                    // Another name for the same path.
                    Kind::Word if token.is("as") => at + 2,
                    Kind::Word => self.path(at, names, paths),
                    Kind::Text | Kind::Mark => at + 1,
                };
            }
            at + 1
        } else {
            paths.push(Path { line: token.line, names: names.clone(), test: token.test, imported: false });
            at + 1
        };
        names.pop();
        end
    }

    /// The path below the `src/` of its package; `None` for tests and benches.
    pub(crate) fn inside(&self) -> Option<&str> {
        inside(&self.path)
    }

    /// The module that the file is: `["host", "ports"]`; empty for the root.
    pub(crate) fn module(&self) -> Vec<&str> {
        let inside = self.inside().or_else(|| Some(self.path.split_once('/')?.1)).unwrap_or_default();
        let names = inside.trim_end_matches(".rs").split('/').collect::<Vec<_>>();
        match names.as_slice() {
            ["lib" | "main"] => Vec::new(),
            [above @ .., "mod"] => above.to_vec(),
            all => all.to_vec(),
        }
    }
}

/// What `path` is below the `src/` of its package.
pub(crate) fn inside(path: &str) -> Option<&str> {
    HOMES.iter().find_map(|home| path.strip_prefix(home))
}

fn spells(tokens: &[Token], wanted: &[&str]) -> bool {
    tokens.len() == wanted.len() && tokens.iter().zip(wanted).all(|(token, text)| token.is(text))
}

/// Reads files, given as path and text. Test code is what is declared under `#[cfg(test)]`, here or in the file
/// that declares the module, and everything outside [`HOMES`].
pub(crate) fn read(files: Vec<(String, String)>) -> Vec<Source> {
    let mut sources = files
        .into_iter()
        .map(|(path, text)| Source { tokens: tokens(&text), path, text })
        .collect::<Vec<_>>();
    let mut test_modules = BTreeSet::new();
    for source in &mut sources {
        mark_test_items(&mut source.tokens);
        let (folder, file) = source.path.rsplit_once('/').unwrap_or(("", &source.path));
        let below = match file {
            "mod.rs" | "lib.rs" | "main.rs" => folder,
            _ => source.path.trim_end_matches(".rs"),
        };
        for found in
            source.tokens.windows(3).filter(|found| found[0].test && found[0].is("mod") && found[2].is(";"))
        {
            test_modules.insert(format!("{below}/{}", found[1].text));
        }
    }
    for source in &mut sources {
        let mut ends = source.path.match_indices(['/', '.']).map(|(at, _)| &source.path[..at]);
        if inside(&source.path).is_none() || ends.any(|module| test_modules.contains(module)) {
            source.tokens.iter_mut().for_each(|token| token.test = true);
        }
    }
    sources
}

fn mark_test_items(tokens: &mut [Token]) {
    const ATTRIBUTE: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut at = 0;
    while at + ATTRIBUTE.len() <= tokens.len() {
        if !spells(&tokens[at..at + ATTRIBUTE.len()], &ATTRIBUTE) {
            at += 1;
            continue;
        }
        let mut depth = 0;
        while let Some(token) = tokens.get_mut(at) {
            token.test = true;
            at += 1;
            match token.text.as_str() {
                _ if token.kind != Kind::Mark => {}
                "(" | "[" | "{" => depth += 1,
                ")" | "]" => depth -= 1,
                "}" if depth == 1 => break,
                "}" => depth -= 1,
                ";" if depth == 0 => break,
                _ => {}
            }
        }
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut rest = text;
    let mut line = 1;
    let mut tokens = Vec::new();
    while let Some(first) = rest.chars().next() {
        let (kind, len) = piece(rest, first);
        let (piece, after) = rest.split_at(len);
        if let Some(kind) = kind {
            let text = match kind {
                Kind::Text => piece.trim_start_matches(['b', 'c', 'r']).trim_matches('#').trim_matches('"'),
                Kind::Word | Kind::Mark => piece,
            };
            tokens.push(Token { line, kind, text: text.to_owned(), test: false });
        }
        line += piece.matches('\n').count();
        rest = after;
    }
    tokens
}

/// What `rest` begins with, and its length in bytes; `None` is nothing that a rule reads.
fn piece(rest: &str, first: char) -> (Option<Kind>, usize) {
    let word = |text: &str| text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    if rest.starts_with("//") {
        return (None, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (None, block_comment(rest));
    }
    if first == '\'' {
        // `'a` is a lifetime, `'a'` and `'\n'` are characters.
        let mut chars = rest.char_indices().skip(1);
        let (second, third) = (chars.next(), chars.next());
        return match (second, third) {
            (Some((_, '\\')), Some((at, escaped))) => {
                let from = at + escaped.len_utf8();
                (None, rest[from..].find('\'').map_or(rest.len(), |end| from + end + 1))
            }
            (Some(_), Some((at, '\''))) => (None, at + 1),
            _ => (None, 1 + word(&rest[1..])),
        };
    }
    let name = word(rest);
    let (prefix, quoted) = rest.split_at(name);
    let hashes = quoted.len() - quoted.trim_start_matches('#').len();
    match prefix {
        "r" | "br" | "cr" if quoted[hashes..].starts_with('"') => {
            let from = name + hashes + 1;
            let close = format!("\"{}", "#".repeat(hashes));
            (Some(Kind::Text), rest[from..].find(&close).map_or(rest.len(), |end| from + end + close.len()))
        }
        "" | "b" | "c" if quoted.starts_with('"') => (Some(Kind::Text), name + string(quoted)),
        "" if first.is_whitespace() => (None, first.len_utf8()),
        "" if rest.starts_with("::") => (Some(Kind::Mark), 2),
        "" => (Some(Kind::Mark), first.len_utf8()),
        _ => (Some(Kind::Word), name),
    }
}

/// The length of a string that begins `text`, quotes included.
fn string(text: &str) -> usize {
    let mut escaped = true;
    for (at, c) in text.char_indices() {
        match c {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

fn block_comment(text: &str) -> usize {
    let (mut at, mut depth) = (0, 0);
    while at < text.len() {
        let (step, change) = match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => (2, 1),
            [b'*', b'/', ..] => (2, -1),
            _ => (1, 0),
        };
        at += step;
        depth += change;
        if depth == 0 {
            break;
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::{Kind, read};

    fn of(text: &str) -> super::Source {
        read(vec![("src/a/mod.rs".into(), text.into())]).remove(0)
    }

    #[track_caller]
    fn check_words(text: &str, expected: &str) {
        let source = of(text);
        let words = source.tokens.iter().filter(|token| token.kind != Kind::Mark).map(|token| &*token.text);
        assert_eq!(words.collect::<Vec<_>>().join(" "), expected, "{text}");
    }

    #[track_caller]
    fn check_paths(text: &str, expected: &[&str]) {
        let paths = of(text).paths().iter().map(|path| path.names.join("::")).collect::<Vec<_>>();
        assert_eq!(paths, expected, "{text}");
    }

    #[test]
    fn comments_and_quotes_hide_nothing_and_show_nothing() {
        check_words("a // b\nc /* d /* e */ f */ g", "a c g");
        check_words(r##"a "b \" c" d r#"e " f"# g b"h" i"##, r#"a b \" c d e " f g h i"#);
        check_words(r"a 'b' '\'' '\u{1F600}' 'é' b'x' <'c> d", "a b d");
        check_words("\"a\\\\\" b", "a\\\\ b");
    }

    #[test]
    fn tokens_know_their_lines() {
        let source = of("a /* \n */ \"\n\" b\nc");
        assert_eq!(source.tokens.iter().map(|token| token.line).collect::<Vec<_>>(), [1, 2, 3, 4]);
    }

    #[test]
    fn groups_are_spelled_out() {
        check_paths(
            "use crate::{a, b::{self, c as d}, e::*};",
            &["crate::a", "crate::b::self", "crate::b::c", "crate::e"],
        );
        check_paths("let x = ::a::b::<c::d>(e);", &["a::b", "c::d"]);
        check_paths("use a; pub(in crate::b) fn c() {}", &["a", "crate::b"]);
    }

    #[test]
    fn test_code_is_what_only_tests_compile() {
        let sources = read(vec![
            (
                "src/a/mod.rs".into(),
                "b\n#[cfg(test)]\nmod c;\n#[cfg(test)]\nfn d() { [{ 0 }; 3]; }\ne".into(),
            ),
            ("src/a/c.rs".into(), "f".into()),
            ("src/a/c/g.rs".into(), "h".into()),
            ("src/a/cc.rs".into(), "i".into()),
            ("tests/it/j.rs".into(), "k".into()),
            ("engine/src/l.rs".into(), "m".into()),
            ("engine/build.rs".into(), "n".into()),
        ]);
        let product = sources.iter().flat_map(super::Source::product).map(|token| &*token.text);
        assert_eq!(product.collect::<Vec<_>>(), ["b", "e", "i", "m"]);
    }
}
