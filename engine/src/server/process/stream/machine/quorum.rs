//! The quorum port's framing: packets, and behind a SNAP the snapshot stream (quorum-protocol §2.1, §2.5).
//!
//! The stream has no length: its end is found by walking it. That it is a tree is for others to prove.

use bytes::{Buf, Bytes, BytesMut};

use super::closed::Closed;
use super::inbox::Framing;
use crate::server::tree::snapshot::Scanner;
use crate::server::zab::wire::{self, Kind, Packet};

/// What comes out of a quorum connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    Packet(Packet),
    /// A piece of a snapshot stream has come and it goes on: the peer is alive although nothing is complete.
    Moved,
    /// A snapshot's body; its closing words were right and are dropped.
    Snapshot(Bytes),
}

/// Takes packets and snapshots.
#[derive(Debug)]
pub struct Packets {
    /// The longest data of a packet.
    data_len_max: usize,
    at: Place,
}

impl Packets {
    pub fn new(data_len_max: usize) -> Packets {
        Packets { data_len_max, at: Place::Packet }
    }
}

/// Where in the stream the next byte stands.
#[derive(Debug)]
enum Place {
    Packet,
    /// In a snapshot's body, of which this many bytes were walked.
    Body {
        scanner: Box<Scanner>,
        scanned: usize,
    },
    /// Behind it: its closing words are to come.
    Signature {
        body: Bytes,
    },
}

impl Framing for Packets {
    type Frame = Frame;

    /// A batch of proposals; a snapshot makes the buffer grow as it comes.
    const READ_LEN: usize = 256 * 1024;

    fn take(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, Closed> {
        loop {
            match &mut self.at {
                Place::Packet => {
                    let Some(packet) = wire::take_packet(buffer, self.data_len_max)? else { return Ok(None) };
                    if packet.kind == Kind::SNAP {
                        self.at =
                            Place::Body { scanner: Box::new(Scanner::new(self.data_len_max)), scanned: 0 };
                    }
                    return Ok(Some(Frame::Packet(packet)));
                }
                Place::Body { scanned, .. } if *scanned == buffer.len() => return Ok(None),
                Place::Body { scanner, scanned } => {
                    match scanner.feed(&buffer[*scanned..]).map_err(Closed::Snapshot)? {
                        Some(used) => {
                            let body = buffer.split_to(*scanned + used).freeze();
                            self.at = Place::Signature { body };
                        }
                        None => {
                            *scanned = buffer.len();
                            return Ok(Some(Frame::Moved));
                        }
                    }
                }
                Place::Signature { body } => {
                    let Some(is_right) = signed(buffer) else { return Ok(None) };
                    if !is_right {
                        return Err(Closed::Signature);
                    }
                    let body = std::mem::take(body);
                    self.at = Place::Packet;
                    return Ok(Some(Frame::Snapshot(body)));
                }
            }
        }
    }
}

/// Takes the closing words, a ustring; whether they were these. `None` when they are not complete.
fn signed(buffer: &mut BytesMut) -> Option<bool> {
    let words = wire::SNAPSHOT_SIGNATURE.as_bytes();
    let len = (words.len() as i32).to_be_bytes();
    if buffer.len() < len.len() + words.len() {
        return None;
    }
    let is_right = buffer.starts_with(&len) && buffer[len.len()..].starts_with(words);
    buffer.advance(len.len() + words.len());
    Some(is_right)
}
