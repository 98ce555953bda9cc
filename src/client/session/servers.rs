//! Which server comes next: the list shuffled once, then round and round (client-protocol §12).

use crate::client::Server;
use crate::client::random::Random;

#[derive(Debug)]
pub(super) struct Servers {
    list: Vec<Server>,
    next: usize,
    last: Option<usize>,
}

impl Servers {
    /// `list` is never empty: a connect string names at least one.
    pub(super) fn new(mut list: Vec<Server>, random: &mut Random) -> Servers {
        random.shuffle(&mut list);
        Servers { list, next: 0, last: None }
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Takes the next one.
    pub(super) fn advance(&mut self) -> Server {
        let at = self.next % self.list.len();
        self.next = at + 1;
        self.last = Some(at);
        self.list[at].clone()
    }

    /// The one taken last.
    pub(super) fn current(&self) -> Option<&Server> {
        self.last.map(|at| &self.list[at])
    }

    /// The one to ask whether it has a quorum, `step` places behind the current one.
    pub(super) fn candidate(&self, step: usize) -> Server {
        self.list[(self.next + step) % self.list.len()].clone()
    }

    /// Makes `server` the next one.
    pub(super) fn prefer(&mut self, server: &Server) {
        if let Some(at) = self.list.iter().position(|s| s == server) {
            self.next = at;
        }
    }
}
