//! Faults for the rules about documents.

use super::check;
use crate::tidy::rules::documents as rules;

#[test]
fn commands() {
    let help = "About.\n\nCommands:\n  deploy   Go\n           on\n  ssh-setup\n\nOptions:\n  -v\n";
    let verbs = rules::verbs(help);
    assert_eq!(verbs.iter().copied().collect::<Vec<_>>(), ["deploy", "ssh-setup"]);
    let readme = "zkops is, `zkops deploy`, `zkops <verb>` and `zkops fly`.\n\n```sh\n$ sudo ./zkops -v deploy x\nA=1 zkops ssh-setup && zkops swim\nzkops: error\nzkops 0.1.0\n```\nzkops runs\n";
    check(&rules::commands("README.md", readme, &verbs), &["README.md:1", "README.md:5"]);
}

#[test]
fn prereleases() {
    let lock = "[[package]]\nname = \"a\"\nversion = \"1.0.0-rc.1\"\n\n[[package]]\nname = \"b\"\nversion = \"1.0.0+c-d\"\n\n\
        [[package]]\nname = \"e\"\nversion = \"2.0.0-beta\"\n[[package]]\nname = \"f\"\nversion = \"2.0.0-pre\"\n";
    let rows = "| package | version | why | when |\n|---|---|---|---|\n| `a` | `1.0.0-rc.1` | x | y |\n\
        | `e` | `2.0.0-alpha` | x | y |\n| `f` | `2.0.0-pre` | | y |\n";
    assert_eq!(
        rules::prereleases(lock, "d.md", rows),
        [
            "Cargo.lock: prereleases: `e` 2.0.0-beta: say in d.md why it is there and when it goes",
            "Cargo.lock: prereleases: `f` 2.0.0-pre: say in d.md why it is there and when it goes",
            "d.md: prereleases: `e` 2.0.0-alpha is gone: take its row out",
        ]
    );
}
