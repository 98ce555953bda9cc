//! The shell in a terminal: editing, history, completion, and events that arrive at the prompt.

use crate::{ensemble::Ensemble, terminal::Terminal};

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

#[test]
fn lines_are_edited_completed_and_remembered() {
    let (ensemble, home) = (Ensemble::started(1), tempfile::tempdir().expect("a temporary directory"));
    let terminal = shell(&ensemble, &home);
    // A slip is mended inside the line.
    terminal.text("crete /edited 1");
    terminal.keys(&["Home", "Right", "Right", "Right"]);
    terminal.text("a");
    terminal.keys(&["Enter"]);
    terminal.await_text("Created /edited");
    // The line before the last comes back, and its end is changed.
    terminal.keys(&["Up", "BSpace"]);
    terminal.text("2");
    terminal.keys(&["Home", "C-Right", "C-Right", "C-Right"]);
    terminal.keys(&["End"]);
    terminal.keys(&["C-a", "C-k"]);
    terminal.line("set /edited 22");
    terminal.await_text("(CONNECTED) 2]");
    // Tab completes a command and a path.
    terminal.text("sta");
    terminal.keys(&["Tab"]);
    terminal.text("/edi");
    terminal.keys(&["Tab", "Enter"]);
    let screen = terminal.await_text("dataLength = 2");
    assert!(screen.contains("2] stat /edited"), "not completed:\n{screen}");
    // Ctrl-C drops a line, not the shell; Ctrl-D on an empty line ends it.
    terminal.text("deleteall /edited");
    terminal.keys(&["C-c"]);
    terminal.line("ls /");
    terminal.await_text("[edited, zookeeper]");
    terminal.keys(&["C-d"]);
    terminal.ends(0);

    // The next shell remembers.
    let next = shell(&ensemble, &home);
    next.keys(&["Up", "Up"]);
    next.await_screen("the line from the shell before", |screen| screen.contains("0] stat /edited"));
    next.keys(&["Enter"]);
    next.await_text("dataLength = 2");
    next.line("history");
    next.await_text("- history");
    next.line("quit");
    next.ends(0);
}

#[test]
fn events_arrive_at_the_prompt_without_harming_the_line_being_typed() {
    let (ensemble, home) = (Ensemble::started(1), tempfile::tempdir().expect("a temporary directory"));
    let terminal = shell(&ensemble, &home);
    terminal.line("create /w 123");
    terminal.await_text("Created /w");
    terminal.line("get /w watch");
    terminal.await_text("(CONNECTED) 2]");
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
