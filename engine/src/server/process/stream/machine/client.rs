//! The client port's framings: first a four-letter word or a length, then frames behind their lengths
//! (client-protocol §1.2). It understands no request.

use bytes::{Buf, Bytes, BytesMut};

use super::closed::Closed;
use super::inbox::Framing;
use crate::server::zab::wire::FrameError;

/// What the first four bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// A four-letter word; nothing is expected behind it.
    Word([u8; 4]),
    /// A whole frame, which stays where it is: who asks for a session has said so.
    Session,
}

/// Looks at the first four bytes, and waits for all of a first frame of at most `len_max` bytes.
#[derive(Debug)]
pub struct Openings {
    /// Whether four bytes are a word: any others are a length.
    pub is_word: fn(&[u8]) -> bool,
    pub len_max: usize,
}

/// Cuts frames of at most `len_max` bytes (`jute.maxbuffer`), their lengths taken off.
#[derive(Debug)]
pub struct Requests {
    pub len_max: usize,
}

impl Framing for Openings {
    type Frame = Opening;

    const READ_LEN: usize = READ_LEN;

    fn take(&mut self, buffer: &mut BytesMut) -> Result<Option<Opening>, Closed> {
        let Some(first) = buffer.first_chunk::<4>().copied() else { return Ok(None) };
        if (self.is_word)(&first) {
            return Ok(Some(Opening::Word(first)));
        }
        Ok(whole_frame(buffer, self.len_max)?.map(|_| Opening::Session))
    }
}

impl Framing for Requests {
    type Frame = Bytes;

    const READ_LEN: usize = READ_LEN;

    fn take(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, Closed> {
        let Some(len) = whole_frame(buffer, self.len_max)? else { return Ok(None) };
        buffer.advance(4);
        let frame = buffer.split_to(len).freeze();
        if len > READ_LEN {
            // What follows gets a place of its own: a short request behind a long one must not keep that one's memory.
            *buffer = BytesMut::from(&buffer[..]);
        }
        Ok(Some(frame))
    }
}

/// The length of the frame at the front, once all of it is there.
fn whole_frame(buffer: &mut BytesMut, len_max: usize) -> Result<Option<usize>, Closed> {
    let Some(len) = buffer.first_chunk::<4>().map(|len| i32::from_be_bytes(*len)) else {
        return Ok(None);
    };
    let whole = usize::try_from(len).ok().filter(|len| *len <= len_max);
    let Some(whole) = whole else {
        return Err(FrameError::Length { what: "request", len: len.into() }.into());
    };
    if buffer.len() < 4 + whole {
        buffer.reserve(4 + whole - buffer.len());
        return Ok(None);
    }
    Ok(Some(whole))
}

/// Bytes asked of a socket at a time: a batch of small requests in one read.
const READ_LEN: usize = 64 * 1024;
