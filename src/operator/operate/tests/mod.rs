//! Use cases called as anybody calls them, without a command line: a script answers, events are collected, the
//! ensemble is on this machine. What needs servers that run is in `tests/it/operate.rs`.

mod ask;
mod documents;
mod init;
mod owed;
mod record;
mod settings;
mod undeployed;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::ask::{Answer, Ask, Question};
use super::caller::{Caller, Terms};
use crate::operator::fleet::stop::Stop;
use crate::operator::transport::{self, Secret};
use crate::report::{Event, Sink};

/// Answers in order, and what was asked. A question too many is nobody's.
#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<Answer>>,
    asked: Mutex<Vec<String>>,
}

impl Script {
    fn of(answers: impl IntoIterator<Item = Answer>) -> Arc<Script> {
        Arc::new(Script { answers: Mutex::new(answers.into_iter().collect()), ..Script::default() })
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Ask for Script {
    fn consent(&self, question: &Question<'_>) -> Answer {
        self.asked.lock().unwrap().push(question.to_string());
        self.answers.lock().unwrap().pop_front().unwrap_or(Answer::Nobody)
    }

    fn secret(&self, _question: &transport::Question) -> Option<Secret> {
        None
    }
}

/// A caller with a directory of its own; the events it was told.
fn caller(dir: &Path, ask: Arc<dyn Ask>) -> (Caller, Arc<Mutex<Vec<Event>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let events = told.clone();
    let caller = Caller {
        terms: Terms {
            timeout: Duration::from_secs(60),
            accept_new_host_keys: false,
            break_lock: false,
            without: Vec::new(),
            program: None,
        },
        ask,
        events: Sink::new(move |event| events.lock().unwrap().push(event)),
        state_dir: dir.join("state"),
        started: Instant::now(),
        stop: Stop::default(),
    };
    (caller, told)
}

/// Three members on this machine, nothing of them there yet.
fn inventory(dir: &Path) -> PathBuf {
    let mut text = "cluster: trial\nconnection: local\nnodes:\n".to_owned();
    for n in 1..=3 {
        let home = dir.join(format!("node-{n}")).display().to_string();
        // The discard service's neighbours: nobody listens there.
        let ports = format!("client: {}, quorum: {}, election: {}", n, n + 10, n + 20);
        text += &format!(
            "  node-{n}: {{ id: {n}, ip: 127.0.0.1, ports: {{ {ports} }}, install_dir: {home}, data_dir: {home}/data }}\n"
        );
    }
    let path = dir.join("trial.yml");
    std::fs::write(&path, text).unwrap();
    path
}
