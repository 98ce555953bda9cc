//! Java's `.properties` syntax, which is what zoo.cfg and member lists are written in (operations §10.1). Keys keep
//! their line numbers and values their columns, so that every later error can point at a place.
//!
//! It knows no key. Text is taken as UTF-8 where it is valid UTF-8 (Java reads ISO-8859-1, which
//! differs only for non-ASCII bytes), else as ISO-8859-1.

/// One `key=value`, trimmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    pub key: String,
    pub value: String,
    /// The line it starts on, from 1.
    pub line: usize,
    /// The column of that line where the value begins, from 1 and in characters. What stands in the value is counted
    /// from here; escapes and continued lines make such a count a guess.
    pub column: usize,
}

/// Reads a whole file, in order; duplicates are kept (the last one wins, callers decide).
///
/// Only a malformed `\uXXXX` is an error: line number and text.
pub fn parse(bytes: &[u8]) -> Result<Vec<Property>, (usize, String)> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text).to_owned(),
        Err(_) => bytes.iter().map(|&byte| char::from(byte)).collect(),
    };
    let mut properties = Vec::new();
    for Logical { line, indent, text } in logical_lines(&text) {
        let (key, value) = split(&text);
        let column = indent + text[..text.len() - value.len()].chars().count() + 1;
        let key = unescape(key).map_err(|what| (line, what))?.trim().to_owned();
        let value = unescape(value).map_err(|what| (line, what))?.trim().to_owned();
        properties.push(Property { key, value, line, column });
    }
    Ok(properties)
}

/// One or more lines of the file that are one.
struct Logical {
    line: usize,
    /// Characters before the first one that counts.
    indent: usize,
    text: String,
}

/// Joins lines that end in an odd number of backslashes; drops blank lines and comments.
fn logical_lines(text: &str) -> Vec<Logical> {
    // CR, LF and CR LF all end a line.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines = Vec::new();
    let mut open: Option<Logical> = None;
    for (index, raw) in text.split('\n').enumerate() {
        let part = raw.trim_start_matches(BLANK);
        let mut logical = match open.take() {
            Some(open) => open,
            None if part.is_empty() || part.starts_with(['#', '!']) => continue,
            None => Logical { line: index + 1, indent: raw.len() - part.len(), text: String::new() },
        };
        let backslashes = part.len() - part.trim_end_matches('\\').len();
        if backslashes % 2 == 1 {
            logical.text.push_str(&part[..part.len() - 1]);
            open = Some(logical);
        } else {
            logical.text.push_str(part);
            lines.push(logical);
        }
    }
    lines.extend(open);
    lines
}

/// The key ends at the first unescaped `=`, `:` or blank; one separator is swallowed.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.find(|c: char| {
        let ends = !escaped && (c == '=' || c == ':' || BLANK.contains(&c));
        escaped = c == '\\' && !escaped;
        ends
    });
    let Some(end) = end else {
        return (line, "");
    };
    let rest = line[end..].trim_start_matches(BLANK);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (&line[..end], rest.trim_start_matches(BLANK))
}

fn unescape(text: &str) -> Result<String, String> {
    if !text.contains('\\') {
        return Ok(text.to_owned());
    }
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let c = match c {
            '\\' => match chars.next() {
                None => break,
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\x0c',
                Some('u') => {
                    let digits: String = chars.by_ref().take(4).collect();
                    let hex = digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
                    match u16::from_str_radix(&digits, 16) {
                        Ok(unit) if hex => units.push(unit),
                        _ => return Err(format!("\\u{digits} is not \\u and four hex digits")),
                    }
                    continue;
                }
                Some(other) => other,
            },
            plain => plain,
        };
        units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
    }
    Ok(String::from_utf16_lossy(&units))
}

const BLANK: [char; 3] = [' ', '\t', '\x0c'];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(usize, &str, &str)]) {
        let got = parse(text.as_bytes()).unwrap();
        let got: Vec<_> = got.iter().map(|p| (p.line, p.key.as_str(), p.value.as_str())).collect();
        assert_eq!(got, expected, "{text:?}");
    }

    #[test]
    fn lines_are_read_as_java_reads_them() {
        check(
            "a=1\nb:2\nc 3\nd\t=\t4\n  e = 5  \n",
            &[(1, "a", "1"), (2, "b", "2"), (3, "c", "3"), (4, "d", "4"), (5, "e", "5")],
        );
        check("# x=1\n ! y=2\n\n \t\nz=3", &[(5, "z", "3")]);
        check("a=1\r\nb=2\rc=3", &[(1, "a", "1"), (2, "b", "2"), (3, "c", "3")]);
        check("a=x\\\n   y\\\n z\nb=2", &[(1, "a", "xyz"), (4, "b", "2")]);
        check("a=x\\\\\nb=2", &[(1, "a", "x\\"), (2, "b", "2")]);
        check("a\\=b=c\\:d", &[(1, "a=b", "c:d")]);
        check("a==b", &[(1, "a", "=b")]);
        check("dir=C:\\\\zk\\\\data", &[(1, "dir", "C:\\zk\\data")]);
        check("dir=\\u0041\\u00e9\\n", &[(1, "dir", "Aé")]);
        check("alone", &[(1, "alone", "")]);
        check("a=1\na=2", &[(1, "a", "1"), (2, "a", "2")]);
        check("a=end\\", &[(1, "a", "end")]);
        check("", &[]);
        check("server.1=[::1]:2888:3888;2181", &[(1, "server.1", "[::1]:2888:3888;2181")]);
    }

    #[test]
    fn a_value_knows_its_column() {
        for (text, column) in [("a=1", 3), ("  \ta : é", 8), ("é b", 3), ("alone", 6), ("a\\\n =1", 3)] {
            assert_eq!(parse(text.as_bytes()).unwrap()[0].column, column, "{text:?}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_are_latin_1() {
        assert_eq!(parse(b"a=caf\xe9").unwrap()[0].value, "café");
        assert_eq!(parse("a=café".as_bytes()).unwrap()[0].value, "café");
    }

    #[test]
    fn a_bad_unicode_escape_names_its_line() {
        assert_eq!(parse(b"\n\na=\\u12g4"), Err((3, "\\u12g4 is not \\u and four hex digits".to_owned())));
        assert!(parse(b"a=\\u+123").is_err());
    }
}
