//! The items of a source: what is declared, how visible, from which token to which. It reads tokens as `source`
//! cuts them, so it sees no item that a macro makes, and none inside a function's body.

use super::source::{Kind, Source, Token};

/// One declaration. The tokens are those of [`Source::tokens`].
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) what: What,
    /// Empty for what has none; of an `impl`, the type that it is for.
    pub(crate) name: String,
    pub(crate) seen: Seen,
    /// The type whose `impl`, the trait or the struct that it stands in.
    pub(crate) of: Option<String>,
    /// Stands at the level of the file, not in an `impl` or in a module of its own.
    pub(crate) outer: bool,
    pub(crate) test: bool,
    /// The first token after attributes, and the one behind the last.
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// Where the body begins, its brace included; `to` for what has none.
    pub(crate) body: usize,
    pub(crate) line: usize,
    pub(crate) line_last: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Const,
    Enum,
    Field,
    Function,
    Impl,
    Macro,
    Module,
    Struct,
    Trait,
    Type,
    Use,
    Variant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// By its module alone.
    Here,
    /// `pub(super)`, `pub(crate)`, `pub(in …)`.
    Within,
    /// `pub`.
    Everywhere,
}

/// All items of a file, those of its inline modules, `impl`s, structs and enums after the one they stand in.
pub(crate) fn items(source: &Source) -> Vec<Item> {
    let mut reader = Reader { tokens: &source.tokens, items: Vec::new() };
    reader.level(0, source.tokens.len(), None, true);
    reader.items
}

struct Reader<'a> {
    tokens: &'a [Token],
    items: Vec<Item>,
}

impl Reader<'_> {
    fn is(&self, at: usize, text: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is(text))
    }

    /// Reads the items between two places.
    fn level(&mut self, mut at: usize, end: usize, of: Option<&str>, outer: bool) {
        while at < end {
            at = match self.tokens[at].is("#") {
                true => self.attribute(at),
                false => self.item(at, end, of, outer),
            };
        }
    }

    /// The place after an attribute.
    fn attribute(&self, at: usize) -> usize {
        self.closed(if self.is(at + 1, "!") { at + 2 } else { at + 1 })
    }

    /// The place after the bracket that closes the one at `at`; the next place when none is there.
    fn closed(&self, at: usize) -> usize {
        let mut depth = 0;
        for (place, token) in self.tokens.iter().enumerate().skip(at) {
            match token.text.as_str() {
                _ if token.kind != Kind::Mark => {}
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return place + 1;
            }
        }
        self.tokens.len()
    }

    /// The first of `marks` outside brackets, from `at` on.
    fn mark(&self, mut at: usize, end: usize, marks: &[&str]) -> usize {
        while at < end && !marks.iter().any(|mark| self.is(at, mark)) {
            at = match ["(", "[", "{"].iter().any(|open| self.is(at, open)) {
                true => self.closed(at),
                false => at + 1,
            };
        }
        at
    }

    fn item(&mut self, from: usize, end: usize, of: Option<&str>, outer: bool) -> usize {
        let (seen, mut at) = self.visibility(from);
        while ["async", "unsafe", "extern", "default"].iter().any(|word| self.is(at, word))
            || (self.is(at, "const") && self.is(at + 1, "fn"))
            || (at > from && at < end && self.tokens[at].kind == Kind::Text)
        {
            at += 1;
        }
        let Some(keyword) = self.tokens.get(at).filter(|_| at < end) else { return end };
        let what = match keyword.text.as_str() {
            _ if keyword.kind != Kind::Word => return at + 1,
            "const" | "static" => What::Const,
            "enum" => What::Enum,
            "fn" => What::Function,
            "impl" => What::Impl,
            "macro_rules" => What::Macro,
            "mod" => What::Module,
            "struct" | "union" => What::Struct,
            "trait" => What::Trait,
            "type" => What::Type,
            "use" => What::Use,
            // A macro is called.
            _ if self.is(at + 1, "!") => return self.closed(self.mark(at + 2, end, &["(", "[", "{"])),
            _ => return at + 1,
        };
        let (body, to) = match what {
            What::Const | What::Type | What::Use => {
                let semicolon = self.mark(at, end, &[";"]);
                (semicolon + 1, semicolon + 1)
            }
            What::Macro => {
                let body = self.mark(at + 2, end, &["{", "("]);
                (body, self.closed(body))
            }
            _ => match self.mark(at, end, &["{", ";"]) {
                body if self.is(body, "{") => (body, self.closed(body)),
                semicolon => (semicolon + 1, semicolon + 1),
            },
        };
        let to = to.min(end);
        let name = match what {
            What::Impl => self.implemented(at, body),
            What::Use => String::new(),
            What::Macro => self.tokens.get(at + 2).map(|name| name.text.clone()).unwrap_or_default(),
            _ => {
                let mutable = usize::from(self.is(at + 1, "mut"));
                self.tokens.get(at + 1 + mutable).map(|name| name.text.clone()).unwrap_or_default()
            }
        };
        self.items.push(Item {
            what,
            name: name.clone(),
            seen,
            of: of.map(str::to_owned),
            outer,
            test: self.tokens[at].test,
            from,
            to,
            body: body.min(to),
            line: self.tokens[from].line,
            line_last: self.tokens[to - 1].line,
        });
        if body < to {
            match what {
                What::Impl | What::Trait => self.level(body + 1, to - 1, Some(&name), false),
                What::Module => self.level(body + 1, to - 1, None, false),
                What::Struct => self.parts(What::Field, body + 1, to - 1, &name),
                What::Enum => self.parts(What::Variant, body + 1, to - 1, &name),
                _ => {}
            }
        }
        to
    }

    fn visibility(&self, at: usize) -> (Seen, usize) {
        match (self.is(at, "pub"), self.is(at + 1, "(")) {
            (false, _) => (Seen::Here, at),
            (true, true) => (Seen::Within, self.closed(at + 1)),
            (true, false) => (Seen::Everywhere, at + 1),
        }
    }

    /// The fields of a struct, the variants of an enum.
    fn parts(&mut self, what: What, mut at: usize, end: usize, of: &str) {
        while at < end {
            if self.is(at, "#") {
                at = self.attribute(at);
                continue;
            }
            let (seen, name) = self.visibility(at);
            let to = self.comma(name, end);
            if let Some(token) = self.tokens.get(name).filter(|token| token.kind == Kind::Word && name < end)
            {
                self.items.push(Item {
                    what,
                    name: token.text.clone(),
                    seen,
                    of: Some(of.to_owned()),
                    outer: false,
                    test: token.test,
                    from: at,
                    to,
                    body: to,
                    line: token.line,
                    line_last: self.tokens[to - 1].line,
                });
            }
            at = to + 1;
        }
    }

    /// The comma that ends a part: outside brackets, and outside the arguments of a type.
    fn comma(&self, mut at: usize, end: usize) -> usize {
        let mut depth = 0;
        while at < end && !(depth == 0 && self.is(at, ",")) {
            match self.tokens[at].text.as_str() {
                "<" => depth += 1,
                ">" if !self.is(at - 1, "-") => depth -= 1,
                _ => {}
            }
            at = match ["(", "[", "{"].iter().any(|open| self.is(at, open)) {
                true => self.closed(at),
                false => at + 1,
            };
        }
        at.min(end)
    }

    /// The type that an `impl` is for: the last name of its path.
    fn implemented(&self, at: usize, body: usize) -> String {
        let (mut name, mut depth) = (String::new(), 0);
        for (place, token) in self.tokens[..body].iter().enumerate().skip(at + 1) {
            match token.text.as_str() {
                "<" => depth += 1,
                ">" if !self.is(place - 1, "-") => depth -= 1,
                "where" if depth == 0 => break,
                "for" if depth == 0 => name.clear(),
                _ if depth == 0 && token.kind == Kind::Word => name.clone_from(&token.text),
                _ => {}
            }
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::{Seen, What, items};
    use crate::tidy::source;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let source = source::read(vec![("src/a/mod.rs".into(), text.into())]).remove(0);
        let found = items(&source).into_iter().map(|item| {
            let seen = match item.seen {
                Seen::Here => "",
                Seen::Within => "~",
                Seen::Everywhere => "+",
            };
            let of = item.of.map(|of| format!("{of}.")).unwrap_or_default();
            let lines = item.line_last - item.line + 1;
            format!("{seen}{of}{}{}", item.name, if lines > 1 { format!(" {lines}") } else { String::new() })
        });
        assert_eq!(found.collect::<Vec<_>>(), expected, "{text}");
    }

    #[test]
    fn what_is_declared_is_found_with_its_lines() {
        check(
            "pub const fn a() {}\npub(crate) async fn b(c: [u8; 2]) -> D {\n}\nfn e();",
            &["+a", "~b 2", "e"],
        );
        check(
            "#[x(y)]\npub struct A<T>(pub T);\nenum B { C, D(E, F), #[g] H { i: J } }",
            &["+A", "B", "B.C", "B.D", "B.H"],
        );
        check("struct A { pub b: C<D, E>, pub(super) f: fn(G) -> H, i: J }", &["A", "+A.b", "~A.f", "A.i"]);
        check(
            "impl<T: A<B>> C<T> for d::E<T> where T: F { const G: H = { 1 }; fn i() {} }",
            &["E", "E.G", "E.i"],
        );
        check("const A: [u8; 2] = [1, 2]; static B: C = D { e: 1 }; type F = G;", &["A", "B", "F"]);
        check("use a::{b, c}; mod d; mod e { pub fn f() {} }", &["", "d", "e", "+f"]);
        check(
            "thread_local! { static A: B = C; }\nmacro_rules! d { () => { fn e() {} } }\nfn f() {}",
            &["d", "f"],
        );
        check("trait A: B { type C; fn d() { fn e() {} } }", &["A", "A.C", "A.d"]);
    }

    #[test]
    fn outer_items_are_those_of_the_file() {
        let source =
            source::read(vec![("src/a/mod.rs".into(), "fn a() {} impl B { fn c() {} }".into())]).remove(0);
        let outer = items(&source).into_iter().filter(|item| item.outer).map(|item| item.what);
        assert_eq!(outer.collect::<Vec<_>>(), [What::Function, What::Impl]);
    }
}
