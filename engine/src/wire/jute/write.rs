//! Writing: appends to one growing buffer. Lengths fit an `int` by the frame limits of the
//! callers; a longer field is a bug and stops the program.

use bytes::{BufMut, Bytes, BytesMut};

/// Appends jute primitives to a buffer.
#[derive(Debug, Default)]
pub struct Writer {
    out: BytesMut,
}

impl Writer {
    pub fn new() -> Writer {
        Writer::default()
    }

    pub fn with_capacity(bytes: usize) -> Writer {
        Writer { out: BytesMut::with_capacity(bytes) }
    }

    /// Goes on writing behind what `out` holds (a buffer kept for reuse).
    pub fn on(out: BytesMut) -> Writer {
        Writer { out }
    }

    pub fn len(&self) -> usize {
        self.out.len()
    }

    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    pub fn finish(self) -> Bytes {
        self.out.freeze()
    }

    /// The buffer itself, for reuse.
    pub fn into_inner(self) -> BytesMut {
        self.out
    }

    /// Opens a frame: reserves its 4-byte length and returns the mark for [`Writer::close_frame`].
    pub fn open_frame(&mut self) -> usize {
        self.int(0);
        self.out.len()
    }

    /// Writes the length of all that came since `mark` in front of it.
    pub fn close_frame(&mut self, mark: usize) {
        let len = length(self.out.len() - mark);
        self.out[mark - 4..mark].copy_from_slice(&len.to_be_bytes());
    }

    pub fn bool(&mut self, value: bool) {
        self.out.put_u8(value.into());
    }

    pub fn int(&mut self, value: i32) {
        self.out.put_i32(value);
    }

    pub fn long(&mut self, value: i64) {
        self.out.put_i64(value);
    }

    /// Bytes as they are, without a length.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.put_slice(bytes);
    }

    pub fn buffer(&mut self, value: Option<&[u8]>) {
        match value {
            None => self.int(-1),
            Some(bytes) => {
                self.int(length(bytes.len()));
                self.raw(bytes);
            }
        }
    }

    pub fn string(&mut self, value: &str) {
        self.buffer(Some(value.as_bytes()));
    }

    pub fn string_or_null(&mut self, value: Option<&str>) {
        self.buffer(value.map(str::as_bytes));
    }

    /// A vector's count, elements to follow.
    pub fn count(&mut self, count: usize) {
        self.int(length(count));
    }

    pub fn null_vector(&mut self) {
        self.int(-1);
    }
}

fn length(len: usize) -> i32 {
    i32::try_from(len).expect("callers bound every field by the frame limit, far below 2 GiB")
}
