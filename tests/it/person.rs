//! What a person sees and types in a terminal: bars, a table that is redrawn, questions before anything
//! changes; and what a pipe gets instead. The shell's terminal is in `editing`.

use crate::ensemble::SOON;
use crate::local::Local;
use crate::run::eventually;

/// The frames of the spinner in front of each bar.
const SPINNER: [&str; 4] = ["⠁", "⠂", "⠄", "⡀"];

#[test]
fn deploy_draws_bars_on_a_terminal_and_lines_in_a_pipe() {
    let local = Local::new();
    let terminal = local.terminal(&["deploy", &local.inventory()]);
    let screen = terminal.ends(0);
    let recorded = terminal.recorded();
    assert!(SPINNER.iter().any(|frame| recorded.contains(frame)), "no bar was drawn:\n{recorded}");
    for node in ["node-1", "node-2", "node-3"] {
        assert!(recorded.contains(node), "no bar for {node}:\n{recorded}");
    }
    // What is finished scrolled away as lines; no bar is left behind.
    assert!(!SPINNER.iter().any(|frame| screen.contains(frame)), "a bar was left:\n{screen}");
    assert!(screen.contains("== look at trial") && screen.contains("trial is ready: node-"), "{screen}");

    // No bar, no colour, no carriage return in a pipe: one line an event, steps named.
    let again = Local::new();
    let piped = again.zkops(&["deploy", &again.inventory()]).ok();
    assert!(!piped.all().contains(['\u{1b}', '\r']), "{piped}");
    for line in
        ["== look at trial", "== start", "node-1: server started (", "ok: one leader, all others in sync"]
    {
        piped.says(line);
    }
    assert!(
        piped.stderr.contains("== start") && !piped.stdout.contains("== start"),
        "progress is on stderr: {piped}"
    );
    assert!(piped.stdout.contains("zkops cli -server"), "the result is on stdout: {piped}");

    // Nothing is found to do, however unevenly the members answer.
    for _ in 0..3 {
        again.zkops(&["plan", &again.inventory()]).ok().says("nothing to do");
    }

    // One JSON document a line for machines, and nothing else.
    let json = again.zkops(&["deploy", "--json", &again.inventory()]).ok();
    assert!(json.stdout.lines().all(|line| line.starts_with("{\"") && line.ends_with('}')), "{json}");
    assert!(json.stdout.contains("\"event\":\"ready\""), "{json}");
}

#[test]
fn status_watch_redraws_one_table_until_it_is_interrupted() {
    let local = Local::deployed();
    let terminal = local.terminal(&["status", "--watch", "--interval", "200ms"]);
    let one_table = |screen: &str| screen.matches("MEMBER ").count() == 1;
    terminal.await_text("healthy: 1 leader + 2 followers in sync");
    local.zkops(&["stop", "node-2"]).ok();
    eventually("the screen shows that node-2 is down", SOON, || {
        let screen = terminal.visible();
        let shown = screen.contains("node-2 was stopped") && !screen.contains("healthy: 1 leader + 2");
        if shown && one_table(&screen) { Ok(()) } else { Err(screen) }
    });
    local.zkops(&["start", "node-2"]).ok();
    eventually("the screen shows that all is well", SOON, || {
        let screen = terminal.visible();
        let shown =
            screen.contains("healthy: 1 leader + 2 followers in sync") && !screen.contains("was stopped");
        if shown && one_table(&screen) { Ok(()) } else { Err(screen) }
    });
    terminal.keys(&["C-c"]);
    // The shell around it is interrupted too: what counts is that the terminal is a person's again.
    eventually("the program has gone", SOON, || {
        if terminal.is_at_work() { Err(terminal.visible()) } else { Ok(()) }
    });
}

#[test]
fn repair_shows_its_plan_and_asks() {
    let local = Local::deployed();
    local.zkops(&["stop", "node-3"]).ok();
    std::fs::remove_file(format!("{}/myid", local.data(3))).expect("it was there");

    let refused = local.terminal(&["repair", "node-3"]);
    let screen = refused.await_text("carry this out? [y/N]");
    assert!(screen.contains("repair node-3") && screen.contains("myid"), "no plan:\n{screen}");
    refused.text("n");
    let screen = refused.ends(1);
    assert!(screen.contains("not confirmed") && screen.contains("nothing was changed"), "{screen}");
    local.zkops(&["status"]).expect(9).says("node-3");

    // Nobody to ask is no consent.
    local.zkops(&["repair", "node-3"]).expect(2).says("there is nobody to ask").says("--yes");
    local.zkops(&["status"]).expect(9);

    let agreed = local.terminal(&["repair", "node-3"]);
    agreed.await_text("carry this out? [y/N]");
    agreed.text("y");
    agreed.ends(0);
    local.zkops(&["status"]).ok();
}

#[test]
fn destroy_wants_the_clusters_name() {
    let local = Local::deployed();
    let data = local.data(1);
    let wrong = local.terminal(&["destroy"]);
    let screen = wrong.await_text("type trial to destroy it (data stays)");
    assert!(screen.contains("server stopped"), "no plan:\n{screen}");
    wrong.line("trail");
    let screen = wrong.ends(1);
    assert!(screen.contains("\"trial\" was not typed") && screen.contains("nothing was changed"), "{screen}");
    local.zkops(&["status"]).ok();
    local.zkops(&["destroy"]).expect(2).says("there is nobody to ask");
    local.zkops(&["status"]).ok();

    let right = local.terminal(&["destroy"]);
    right.await_text("type trial to destroy it (data stays)");
    right.line("trial");
    let screen = right.ends(0);
    assert!(screen.contains("trial is gone; its data stays"), "{screen}");
    assert!(std::path::Path::new(&data).join("version-2").exists(), "the data is gone");
    // With the last deployment gone there is nothing to find by itself.
    local.zkops(&["status"]).expect(2).says("nothing is deployed from this machine");
    // The data is ours still: deployed again it is served again, and goes when asked for.
    local.zkops(&["deploy", &local.inventory()]).ok();
    let all = local.terminal(&["destroy", "--data"]);
    all.await_text("type trial to destroy it WITH ITS DATA");
    all.line("trial");
    all.ends(0);
    assert!(!std::path::Path::new(&data).exists(), "the data is there still");
}
