//! Events and failures in, the text that people and machines see out.

use std::io::Write;
use std::sync::{Arc, Mutex};

use super::event::{Event, StepOutcome};
use super::{Cell, Exit, Failure, Report, Style, Table, Tone};

#[derive(Clone, Default)]
struct Out(Arc<Mutex<Vec<u8>>>);

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[track_caller]
fn check(style: Style, events: &[Event], expected: &str) {
    let sink = Out::default();
    let report = Report::to(style, Box::new(sink.clone()));
    for event in events {
        report.event(event.clone());
    }
    assert_eq!(String::from_utf8(sink.0.lock().unwrap().clone()).unwrap(), expected);
}

fn story() -> Vec<Event> {
    let member = || "node-1".to_owned();
    vec![
        Event::Phase { title: "install".into() },
        Event::Host { member: member(), doing: "writing files".into() },
        Event::Upload { member: member(), sent: 10, total: 20 },
        Event::Upload { member: member(), sent: 20, total: 20 },
        Event::Step { member: member(), what: "directory /x".into(), outcome: StepOutcome::Noop, took_ms: 1 },
        Event::Step { member: member(), what: "file /x/y".into(), outcome: StepOutcome::Changed, took_ms: 3 },
        Event::Waiting { gate: "ready".into(), missing: "node-2: no leader yet".into() },
        Event::Passed { gate: "ready".into(), took_ms: 812 },
        Event::Note { text: "an even number of voters".into() },
    ]
}

#[test]
fn plain_lines_leave_out_what_only_a_terminal_can_redraw() {
    check(
        Style::default(),
        &story(),
        "== install\nnode-1: uploaded 20 bytes\nnode-1: file /x/y (3 ms)\nwaiting: ready: node-2: no leader yet\nok: \
         ready (812 ms)\nnote: an even number of voters\n",
    );
}

#[test]
fn verbose_tells_what_was_done_already() {
    check(Style { json: false, verbose: true }, &story()[4..5], "node-1: directory /x (nothing to do)\n");
}

#[test]
fn machines_get_every_event_as_one_document_a_line() {
    check(
        Style { json: true, verbose: false },
        &story()[4..7],
        "{\"event\":\"step\",\"member\":\"node-1\",\"what\":\"directory /x\",\"outcome\":\"noop\",\"took_ms\":1}\n\
         {\"event\":\"step\",\"member\":\"node-1\",\"what\":\"file /x/y\",\"outcome\":\"changed\",\"took_ms\":3}\n\
         {\"event\":\"waiting\",\"gate\":\"ready\",\"missing\":\"node-2: no leader yet\"}\n",
    );
}

#[test]
fn a_failure_ends_with_evidence_state_next_and_undo() {
    let failure = Failure::new(Exit::Failed, "node-3 did not become ready")
        .evidence("node-3: last lines of its log", vec!["ERROR no myid".into(), "exit 2".into()])
        .evidence("nothing to show", vec![])
        .state("node-1 and node-2 serve")
        .state("node-3 is stopped")
        .next("zkops deploy orders.yml")
        .undo("zkops stop node-3");
    assert_eq!(
        failure.text(false),
        "FAILED: node-3 did not become ready\n  node-3: last lines of its log:\n    ERROR no myid\n    exit 2\n  \
         state now: node-1 and node-2 serve\n             node-3 is stopped\n  do next:   zkops deploy orders.yml\n  \
         undo:      zkops stop node-3\n"
    );
    assert!(failure.text(true).starts_with("\x1b[1;31mFAILED\x1b[0m: node-3"));
}

#[test]
fn tables_are_columns_without_frames_and_colour_only_where_it_is_seen() {
    let mut table = Table::new(["node", "mode"]);
    table.row(vec![Cell::plain("node-1"), Cell::toned("leader", Tone::Good)]);
    table.row(vec![Cell::plain("n2"), Cell::toned("dead", Tone::Bad)]);
    assert_eq!(table.draw(false), "NODE    MODE\nnode-1  leader\nn2      dead\n");
    assert!(table.draw(true).contains("\x1b["));
}

#[test]
fn exit_codes_are_the_documented_ones() {
    let codes = [
        Exit::Done,
        Exit::Failed,
        Exit::Usage,
        Exit::Preflight,
        Exit::Refused,
        Exit::Halfway,
        Exit::Locked,
        Exit::Unreachable,
        Exit::Pending,
        Exit::Unhealthy,
    ];
    assert_eq!(codes.map(|exit| exit as u8), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
}
