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
