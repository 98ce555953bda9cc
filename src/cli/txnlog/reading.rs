//! The logs behind a path, read from the first to the last: what is damaged, gone or unknown is told, and passed over.

use std::ops::ControlFlow;

use crate::cli::env::Env;
use crate::cli::lost;
use crate::forensics::evidence::logs;
use crate::forensics::evidence::place::Place;
use crate::forensics::inquiry::coverage::Coverage;
use crate::forensics::inquiry::entry;
use crate::forensics::inquiry::seen::{Damage, Read, Seen};
use crate::report::{Exit, Failure};

/// What was read, and where to.
pub(super) struct Reading<'a> {
    env: &'a Env,
    pub(super) coverage: Coverage,
    /// Damage was told of before.
    is_quiet: bool,
}

impl<'a> Reading<'a> {
    pub(super) fn new(env: &'a Env) -> Reading<'a> {
        Reading { env, coverage: Coverage::default(), is_quiet: false }
    }

    /// One more time through files that were read before.
    pub(super) fn again(env: &'a Env) -> Reading<'a> {
        Reading { is_quiet: true, ..Reading::new(env) }
    }

    /// Every transaction of a place to `each`, until that has enough.
    pub(super) fn read(
        &mut self,
        place: &Place,
        each: &mut dyn FnMut(entry::Place, Read) -> ControlFlow<()>,
    ) -> Result<(), Failure> {
        let read = logs::read_all(place, &mut |file, seen| {
            let name = file.path.display().to_string();
            match seen {
                Seen::Txn { offset, txn } => {
                    let read = Read::of(&txn);
                    self.count(&name, offset, &read);
                    each(entry::Place { file: &name, offset }, read)
                }
                seen => {
                    self.told(&name, seen);
                    ControlFlow::Continue(())
                }
            }
        });
        read.map_err(|why| lost::unreadable(&why.to_string()))
    }

    /// How a run ends that came this far.
    pub(super) fn exit(&self) -> Exit {
        if self.coverage.is_whole() { Exit::Done } else { Exit::Unhealthy }
    }

    fn count(&mut self, file: &str, offset: u64, read: &Read) {
        match read {
            Read::Txn(txn) => self.coverage.txn(txn.header.zxid, txn.header.time_ms),
            Read::Unknown { header, why } => {
                self.coverage.txn(header.zxid, header.time_ms);
                self.coverage.unknown += 1;
                self.note(&format!("{file}: {} at byte {offset} cannot be read: {why}", header.zxid));
            }
            Read::Nothing => {
                self.coverage.unknown += 1;
                self.note(&format!("{file}: the entry at byte {offset} is too short for a transaction"));
            }
        }
    }

    fn told(&mut self, file: &str, seen: Seen) {
        match seen {
            Seen::Damage(Damage { offset, after, what, goes_on }) => {
                self.coverage.damages += 1;
                let behind = match goes_on {
                    Some(next) => format!("passed over {} bytes", next - offset),
                    None => "nothing that can be read follows in it".to_owned(),
                };
                self.note(&format!("{file}: damaged at byte {offset}, after {after}: {what}; {behind}"));
            }
            Seen::Gone => {
                self.note(&format!("{file}: gone since the directory was listed (purged?): passed over"))
            }
            Seen::End { .. } => self.coverage.files += 1,
            Seen::Txn { .. } => {}
        }
    }

    fn note(&self, text: &str) {
        if !self.is_quiet {
            self.env.caller.events.note(text);
        }
    }
}
