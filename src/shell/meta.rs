//! About the shell: `help`, `version`, `history`, `printwatches`. (`redo` and `quit` are the loop's.)

use super::args::Args;
use super::failure::{Done, Failure};
use super::state::Shell;
use super::verbs::{Verb, usage};

/// `help [command]`.
pub(super) fn help(shell: &Shell, args: &Args) -> Done {
    match args.operand(0) {
        None => shell.out.line(&format!("{}\n{NOTES}", usage())),
        Some(name) => match Verb::named(name) {
            Some(verb) => shell.out.line(&verb.grammar().usage_lines()),
            None => return Err(Failure::Text(format!("There is no command {name}; help lists them"))),
        },
    }
    Ok(())
}

pub(super) fn version(shell: &Shell) -> Done {
    shell.out.line(&format!("ZooKeeper CLI version: zkops {}", env!("CARGO_PKG_VERSION")));
    Ok(())
}

/// The last lines with their numbers, this one included.
pub(super) fn history(shell: &Shell) -> Done {
    for (number, line) in shell.history.recent() {
        shell.out.line(&format!("{number} - {line}"));
    }
    Ok(())
}

/// `printwatches [on|off]`; anything but `on` is off.
pub(super) fn print_watches(shell: &mut Shell, args: &Args) -> Done {
    match args.operand(0) {
        None => {
            let state = if shell.print_watches { "on" } else { "off" };
            shell.out.line(&format!("printwatches is {state}"));
        }
        Some(state) => shell.print_watches = state == "on",
    }
    Ok(())
}

const NOTES: &str = "
A command without options answers as ZooKeeper 3.4 did, one with options as 3.5 and later:
  get /a, set /a x, ls2 /a    print the Stat block, on stderr; get -s /a prints it on stdout
  get /a watch                is get -w /a, with the Stat block
  set /a x 3, delete /a 3     expect version 3, as -v 3 does
Words with blanks stand in '…' or \"…\"; -- ends the options; Tab completes commands and paths.
Results go to stdout; Created …, errors and usage to stderr.";
