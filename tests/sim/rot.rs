//! Data that is damaged at rest, on one server at a time, and reads that go wrong.

use zkops::server::store::mem::ReadFault;

use crate::node::is_data;
use crate::world::World;

impl World {
    /// One bit of one data file flips, unless there is damage still to mend: two damaged copies may be one too many,
    /// and two flips of one bit are none.
    pub(crate) fn flip_bit(&mut self, i: usize) {
        let mut files = self.nodes[i].disk.files();
        files.retain(|path| is_data(path));
        if self.nodes[i].process.is_some() || files.is_empty() || !self.all_are_sound() {
            return;
        }
        let path = &files[self.rng.usize(0..files.len())];
        let at = self.rng.u64(..);
        self.nodes[i].disk.edit(path, |bytes| {
            if !bytes.is_empty() {
                let bit = (at % (bytes.len() as u64 * 8)) as usize;
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        });
        self.nodes[i].rotten = true;
        self.trace.say(self.now, || format!("n{}: a bit of {} flips", i + 1, path.display()));
    }

    /// No data is damaged, and nobody was stopped amid a sync: one that is has no vote either.
    fn all_are_sound(&self) -> bool {
        self.nodes.iter().all(|node| !node.rotten && !node.is_unsynced())
    }

    /// One server's data was damaged while others had been stopped amid a sync: too few are left that may vote, and
    /// a human must choose. Each of the two alone must heal.
    pub(crate) fn is_beyond_healing(&self) -> bool {
        let voters = &self.nodes[..self.checks.voters];
        let voting = voters.iter().filter(|node| !node.rotten && !node.is_unsynced()).count();
        voting <= voters.len() / 2 && voters.iter().any(|node| node.rotten)
    }

    /// A node that is down will read badly when it starts: once, or the start after.
    pub(crate) fn bad_read(&mut self, i: usize, after: u64, fault: ReadFault) {
        let all_are_sound = self.all_are_sound();
        let node = &mut self.nodes[i];
        if node.process.is_none() && all_are_sound {
            node.disk.fail_read_at(node.disk.reads() + after, fault);
            node.rotten = true;
        }
    }
}
