//! The shell in a terminal: editing, history, completion, and events that arrive at the prompt.

use crate::ensemble::Ensemble;
use crate::terminal::Terminal;

/// A shell with a HOME of its own, connected to one server.
fn shell(ensemble: &Ensemble, home: &tempfile::TempDir) -> Terminal {
    let home = home.path().display().to_string();
    let command = format!("{} cli -server {}", crate::run::ZKOPS, ensemble.address(1));
    let terminal = Terminal::start(&command, &[("HOME", &home), ("XDG_STATE_HOME", &home)]);
    terminal.await_text("(CONNECTED) 0]");
    terminal
}

/// Runs a command in a shell of its own.
fn other(ensemble: &Ensemble, command: &[&str]) -> String {
    let server = ensemble.address(1);
    let args = [&["cli", "-server", &server], command].concat();
    crate::run::run(crate::run::ZKOPS, &args, &[]).ok().stdout
}

/// Waits for an empty prompt: keys that come before it are not edited but lost.
#[track_caller]
fn prompted(terminal: &Terminal) {
    terminal.await_screen("an empty prompt", |screen| {
        screen
            .trim_end()
            .lines()
            .last()
            .is_some_and(|line| line.trim_end().ends_with(']') && line.starts_with("[zk: "))
    });
}

#[test]
fn lines_are_edited_completed_and_remembered() {
    let (ensemble, home) = (Ensemble::started(1), tempfile::tempdir().expect("a temporary directory"));
    let terminal = shell(&ensemble, &home);
    prompted(&terminal);
    // A slip is mended inside the line.
    terminal.text("crete /edited 1");
    terminal.keys(&["Home", "Right", "Right", "Right"]);
    terminal.text("a");
    terminal.keys(&["Enter"]);
    terminal.await_text("Created /edited");
    prompted(&terminal);
    // The last line comes back, and its end is changed.
    terminal.keys(&["Up", "BSpace", "BSpace"]);
    terminal.text("-too 2");
    terminal.keys(&["Enter"]);
    terminal.await_text("Created /edited-too");
    prompted(&terminal);
    // Tab completes a command and a path.
    terminal.text("sta");
    terminal.keys(&["Tab"]);
    terminal.text("/edited-");
    terminal.keys(&["Tab"]);
    terminal.await_text("2] stat /edited-too");
    terminal.keys(&["Enter"]);
    terminal.await_text("dataLength = 1");
    prompted(&terminal);
    // Ctrl-C drops a line, not the shell; Ctrl-D on an empty line ends it.
    terminal.text("deleteall /edited");
    terminal.keys(&["C-c"]);
    prompted(&terminal);
    terminal.line("ls /");
    terminal.await_text("[edited, edited-too, zookeeper]");
    prompted(&terminal);
    terminal.keys(&["C-d"]);
    terminal.ends(0);

    // The next shell remembers.
    let next = shell(&ensemble, &home);
    prompted(&next);
    next.keys(&["Up", "Up"]);
    next.await_text("0] stat /edited-too");
    next.keys(&["Enter"]);
    next.await_text("dataLength = 1");
    prompted(&next);
    next.line("quit");
    next.ends(0);
}

#[test]
fn events_arrive_at_the_prompt_without_harming_the_line_being_typed() {
    let (ensemble, home) = (Ensemble::started(1), tempfile::tempdir().expect("a temporary directory"));
    let terminal = shell(&ensemble, &home);
    prompted(&terminal);
    terminal.line("create /w 123");
    terminal.await_text("Created /w");
    prompted(&terminal);
    terminal.line("get /w watch");
    terminal.await_text("(CONNECTED) 2]");
    prompted(&terminal);
    terminal.text("create /half");
    terminal.await_text("2] create /half");
    other(&ensemble, &["set", "/w", "abc"]);
    terminal.await_text("WatchedEvent state:SyncConnected type:NodeDataChanged path:/w");
    // The line stands below the event and goes on.
    terminal.line("way 1");
    let screen = terminal.await_text("Created /halfway");
    let event = screen.find("type:NodeDataChanged path:/w").expect("it was shown");
    let line =
        screen.rfind("2] create /halfway 1").unwrap_or_else(|| panic!("the line was harmed:\n{screen}"));
    assert!(event < line, "{screen}");
    assert_eq!(other(&ensemble, &["get", "/halfway"]).trim_end().lines().last(), Some("1"));
    terminal.line("quit");
    terminal.ends(0);
}
