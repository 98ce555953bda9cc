//! Words as a systemd unit takes them (systemd.syntax(7), systemd.service(5)): blanks, quotes, backslashes, `%` and
//! `$` of an inventory's paths mean themselves.

/// The command line of `ExecStart=` that runs `program` with `args`.
pub(super) fn command(program: &str, args: &[&str]) -> String {
    let args = args.iter().map(|arg| word(arg).replace('$', "$$"));
    // systemd takes no program whose name holds a quote or a backslash, and leaves a `$` in it as it stands; as an
    // argument of the shell, which it starts instead, the name is a word like others.
    let line: Vec<String> = if program.contains(['"', '\'', '\\', '$']) {
        let program = word(program).replace('$', "$$");
        ["/bin/sh", "-c", r#""exec \"$$0\" \"$$@\"""#]
            .map(str::to_owned)
            .into_iter()
            .chain([program])
            .chain(args)
            .collect()
    } else {
        [word(program)].into_iter().chain(args).collect()
    };
    line.join(" ")
}

/// The paths of a setting that takes several.
pub(super) fn paths<'a>(paths: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = paths.into_iter().map(word).collect();
    words.join(" ")
}

/// One word; quoted only where it must be, for people who read it.
fn word(text: &str) -> String {
    let text = text.replace('%', "%%");
    if text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-:@+,%$~=".contains(c)) {
        return text;
    }
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
}
