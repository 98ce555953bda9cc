//! Whether a run is to end before it is done, and why. Somebody asks (a person, the time allowed, whoever took the
//! locks over); who works looks here before everything new. It ends nothing by itself: whoever only looks is cut off
//! where it is, a step that changes something comes to its end first.

use std::time::Instant;

use tokio::sync::watch;

use crate::operator::host::runs::StaleLock;

/// Clones are about the same run.
#[derive(Clone, Default)]
pub struct Stop {
    state: watch::Sender<State>,
}

#[derive(Default)]
struct State {
    why: Option<Why>,
    /// When the time allowed began to count anew.
    anew: Option<Instant>,
    /// Something is being changed.
    changing: bool,
    /// Steps that changed something in plans that were carried out.
    changes: usize,
}

/// Why a run ends early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// A person, or whoever ends processes: the name of the signal.
    Signal(String),
    /// The time allowed for the whole run is over.
    TimeUp,
    /// Somebody else holds the lock of this member now.
    TakenOver { member: String, stale: Box<StaleLock> },
}

impl Why {
    /// As a run says it that ends for it.
    pub fn words(&self) -> String {
        match self {
            Why::Signal(name) => format!("stopped by {name}"),
            Why::TimeUp => "the time allowed for the whole run is over".to_owned(),
            Why::TakenOver { member, stale } => format!("{member}: {stale}"),
        }
    }
}

impl Stop {
    /// The first reason stays.
    pub fn ask(&self, why: Why) {
        self.state.send_if_modified(|state| {
            let first = state.why.is_none();
            state.why.get_or_insert(why);
            first
        });
    }

    /// One look of many begins: the time allowed counts from now, whatever the one before took.
    pub fn begin_anew(&self) {
        self.state.send_modify(|state| {
            state.anew = Some(Instant::now());
            state.why = state.why.take().filter(|why| *why != Why::TimeUp);
        });
    }

    /// When that was, if it was.
    pub fn begun_anew(&self) -> Option<Instant> {
        self.state.borrow().anew
    }

    pub fn why(&self) -> Option<Why> {
        self.state.borrow().why.clone()
    }

    pub fn is_asked(&self) -> bool {
        self.state.borrow().why.is_some()
    }

    /// Waits until somebody asks.
    pub async fn asked(&self) {
        self.until(|state| state.why.is_some()).await;
    }

    /// Waits until somebody has asked and nothing is being changed: then whatever goes on may be dropped.
    pub async fn cut(&self) {
        self.until(|state| state.why.is_some() && !state.changing).await;
    }

    /// Until this is dropped, something is being changed.
    pub fn changing(&self) -> Changing<'_> {
        self.state.send_modify(|state| state.changing = true);
        Changing(self)
    }

    /// A plan was carried out; so many of its steps changed something.
    pub fn changed(&self, steps: usize) {
        self.state.send_modify(|state| state.changes += steps);
    }

    /// All of them so far.
    pub fn changes(&self) -> usize {
        self.state.borrow().changes
    }

    async fn until(&self, holds: impl FnMut(&State) -> bool) {
        // The sender is ours, so it does not end.
        let mut state = self.state.subscribe();
        let _ended = state.wait_for(holds).await;
    }
}

/// Something is being changed: nothing is cut off meanwhile.
pub struct Changing<'a>(&'a Stop);

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.0.state.send_modify(|state| state.changing = false);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::{Stop, Why};

    #[test]
    fn looks_are_cut_off_and_changes_are_not() {
        let stop = Stop::default();
        assert_eq!(stop.asked().now_or_never(), None);
        let changing = stop.changing();
        stop.clone().ask(Why::Signal("SIGINT".into()));
        stop.ask(Why::TimeUp);
        assert_eq!(stop.asked().now_or_never(), Some(()));
        assert_eq!(stop.why(), Some(Why::Signal("SIGINT".into())), "the first reason stays");
        assert_eq!(stop.cut().now_or_never(), None, "something is being changed");
        drop(changing);
        assert_eq!(stop.cut().now_or_never(), Some(()));
        stop.begin_anew();
        assert!(stop.is_asked(), "a person meant all looks");
    }

    #[test]
    fn a_look_that_took_too_long_is_no_end_of_the_next() {
        let stop = Stop::default();
        stop.ask(Why::TimeUp);
        stop.begin_anew();
        assert_eq!((stop.why(), stop.begun_anew().is_some()), (None, true));
    }
}
