//! Reading one snapshot, of any compression, in one pass: what is there is handed on before the seal behind it is known
//! to hold, which is said at the end.

use std::fs::File;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::place::{Found, Place};
use crate::forensics::inquiry::znode::Origin;
use crate::formats::compression::decoder;
use crate::formats::snapshot::{self, Fault, SLASH, Trailer};
use crate::server::tree::snapshot::{Item, Scanner};
use crate::wire::jute;

/// Why a snapshot is not one that a server could use.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    #[error("it is gone since the directory was listed (purged?)")]
    Gone,
    #[error("cannot be opened: {0}")]
    Unopened(io::Error),
    /// A server that is writing it, or was killed meanwhile; others pass it over.
    #[error("it stops before its end: it is being written just now, or its writing was cut short")]
    Unfinished,
    #[error("damaged: {0}")]
    Damaged(Fault),
}

/// Hands everything in a snapshot to `each`, until that has enough: then there is no trailer.
///
/// # Errors
/// It is damaged, or not all there; what came before has been handed on.
pub fn walk(found: &Found, each: &mut dyn FnMut(Item) -> ControlFlow<()>) -> Result<Option<Trailer>, Unread> {
    let file = File::open(&found.path).map_err(|why| match why.kind() {
        io::ErrorKind::NotFound => Unread::Gone,
        _ => Unread::Unopened(why),
    })?;
    let mut stream =
        Stream { inner: decoder(found.compression, file), last: [0; SLASH.len()], is_cut: false };
    // A file has an end: nothing is waited for. What is longer than any field is refused by the scanner itself.
    let mut scanner = Scanner::new(0);
    let mut is_enough = false;
    let read = snapshot::read(&mut stream, &mut |piece| {
        scanner.walk(piece, |item| {
            if each(item).is_break() {
                is_enough = true;
                return Err(jute::Error::Value { what: "reader", value: 0 });
            }
            Ok(())
        })
    });
    match read {
        Ok(trailer) => Ok(Some(trailer)),
        Err(_) if is_enough => Ok(None),
        Err(fault) => {
            Err(if stream.ends_before_its_end() { Unread::Unfinished } else { Unread::Damaged(fault) })
        }
    }
}

/// The newest snapshot of a place that is whole, and the newer ones that are not.
pub fn newest(place: &Place) -> (Option<Found>, Vec<(PathBuf, Unread)>) {
    let mut passed_over = Vec::new();
    for found in place.files.iter().rev() {
        match walk(found, &mut |_| ControlFlow::Continue(())) {
            Ok(_) => return (Some(found.clone()), passed_over),
            Err(why) => passed_over.push((found.path.clone(), why)),
        }
    }
    (None, passed_over)
}

/// Where a znode comes from: the newest snapshot that has it tells. Its seal is not waited for, damage before the znode is.
pub fn origin(place: &Place, path: &str) -> Option<Origin> {
    let path = if path == "/" { "" } else { path };
    place.files.iter().rev().find_map(|found| {
        let mut origin = None;
        let read = walk(found, &mut |item| match item {
            Item::Node(node) if node.path == path => {
                origin = Some(Origin::of(&node, &found.path.display().to_string()));
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        });
        origin.filter(|_| read.is_ok())
    })
}

/// The state of a file that is not to change while it is read twice.
pub fn stamp(path: &Path) -> io::Result<(u64, std::time::SystemTime)> {
    let meta = path.metadata()?;
    Ok((meta.len(), meta.modified()?))
}

/// A stream that remembers how it ended.
struct Stream<'a> {
    inner: Box<dyn Read + 'a>,
    last: [u8; SLASH.len()],
    is_cut: bool,
}

impl Stream<'_> {
    /// Every snapshot ends with the same bytes, whatever is wrong before them.
    fn ends_before_its_end(&mut self) -> bool {
        let mut chunk = [0; 8192];
        while !self.is_cut && matches!(self.read(&mut chunk), Ok(1..)) {}
        self.is_cut || self.last != SLASH
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buf).inspect_err(|why| {
            self.is_cut |= why.kind() == io::ErrorKind::UnexpectedEof;
        })?;
        let fresh = &buf[got.saturating_sub(SLASH.len())..got];
        self.last.rotate_left(fresh.len());
        self.last[SLASH.len() - fresh.len()..].copy_from_slice(fresh);
        Ok(got)
    }
}
