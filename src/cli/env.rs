//! What every verb gets: where to report, and itself as the caller of use cases.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::opts::Global;
use super::prompt::Terminal;
use crate::operator::operate::caller::{Caller, Terms};
use crate::report::Report;

pub(super) struct Env {
    pub(super) report: Report,
    pub(super) caller: Caller,
}

impl Env {
    pub(super) fn new(global: &Global, without: &[String], report: Report) -> Env {
        let caller = Caller {
            terms: Terms {
                timeout: global.timeout,
                accept_new_host_keys: global.accept_new_host_keys,
                break_lock: global.break_lock,
                without: without.to_vec(),
                program: None,
            },
            ask: Arc::new(Terminal::new(report.clone())),
            events: report.sink(),
            state_dir: state_dir(),
            started: Instant::now(),
            stop: Default::default(),
        };
        Env { report, caller }
    }
}

/// Where zkops keeps its own state on this machine.
fn state_dir() -> PathBuf {
    let from = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    from("XDG_STATE_HOME")
        .or_else(|| std::env::home_dir().map(|home| home.join(".local/state")))
        .unwrap_or_else(|| PathBuf::from("/var/lib"))
        .join("zkops")
}
