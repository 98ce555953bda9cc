//! What is over leaves nothing: a server knows no connection that is closed, and counts nothing when nobody asks
//! anything.

use zkops::server::replica::Wanted;

use crate::node::Process;
use crate::scenario::SECOND;
use crate::world::World;

impl World {
    /// After a batch a server knows the connections that its driver has, and no others.
    pub(crate) fn nothing_is_left(&mut self, i: usize) {
        let node = &mut self.nodes[i];
        if !node.process.as_mut().is_some_and(Process::has_other_connections) {
            return;
        }
        let node = &self.nodes[i];
        let Some(process) = &node.process else { return };
        let status = process.replica.status(node.clock.now(self.now), Wanted::default());
        if status.connections != process.clients.len() {
            let (known, open) = (status.connections, process.clients.len());
            let what = format!("n{} knows {known} clients, {open} are connected", i + 1);
            self.checks.fail("nothing left", what);
        } else if let Some(gone) =
            status.learners.iter().find(|learner| !process.conns.contains_key(&learner.conn))
        {
            let what = format!("n{} keeps the closed link of server {}", i + 1, gone.sid);
            self.checks.fail("nothing left", what);
        }
    }

    /// Nobody asks anything any more, and everything is answered.
    pub(crate) fn counters_return_to_zero(&mut self) {
        if !self.run_while(5 * SECOND, |world| world.counted().is_some())
            && let Some(what) = self.counted()
        {
            self.checks.fail("counters at rest", what);
        }
    }

    /// What a server still counts.
    fn counted(&self) -> Option<String> {
        let wanted = Wanted { connections: true, ..Wanted::default() };
        self.nodes.iter().enumerate().find_map(|(i, node)| {
            let process = node.process.as_ref()?;
            let status = process.replica.status(node.clock.now(self.now), wanted);
            let queued: usize = status.lists.connections.iter().map(|line| line.queued).sum();
            let outstanding = status.stats.traffic.outstanding;
            let in_flight = process.replica.in_flight();
            let is_zero = (outstanding, queued, in_flight) == (0, 0, 0);
            (!is_zero).then(|| {
                format!("n{}: {outstanding} outstanding, {queued} queued, {in_flight} in flight", i + 1)
            })
        })
    }
}
