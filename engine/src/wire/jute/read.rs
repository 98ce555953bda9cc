//! Reading: a cursor over `Bytes`, so that buffers are shared with the frame, not copied.

use bytes::Bytes;

use super::{Error, Result, Str};

/// A cursor over one record or a run of records.
#[derive(Debug, Clone)]
pub struct Reader {
    bytes: Bytes,
    at: usize,
}

impl Reader {
    pub fn new(bytes: Bytes) -> Reader {
        Reader { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Bytes left.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// All that is left, without copying.
    pub fn rest(&mut self) -> Bytes {
        let rest = self.bytes.slice(self.at..);
        self.at = self.bytes.len();
        rest
    }

    pub fn bool(&mut self) -> Result<bool> {
        Ok(self.array::<1>()?[0] != 0)
    }

    pub fn int(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub fn long(&mut self) -> Result<i64> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// A buffer; `None` is jute's null (length −1), which differs from empty.
    pub fn buffer(&mut self) -> Result<Option<Bytes>> {
        let Some(len) = self.length(1)? else {
            return Ok(None);
        };
        let start = self.at;
        self.at += len;
        Ok(Some(self.bytes.slice(start..self.at)))
    }

    /// A string; `None` is null. Bytes that are not UTF-8 are an error.
    pub fn string_or_null(&mut self) -> Result<Option<String>> {
        let start = self.at;
        match self.buffer()? {
            None => Ok(None),
            Some(bytes) => match std::str::from_utf8(&bytes) {
                Ok(text) => Ok(Some(text.to_owned())),
                Err(_) => Err(Error::Utf8 { at: start }),
            },
        }
    }

    /// A string that must be there.
    pub fn string(&mut self) -> Result<String> {
        let at = self.at;
        self.string_or_null()?.ok_or(Error::Null { at })
    }

    /// A string that must be there, sharing the frame's bytes.
    pub fn text(&mut self) -> Result<Str> {
        self.text_or_null()?.ok_or(Error::Null { at: self.at - 4 })
    }

    /// A string sharing the frame's bytes; `None` is null.
    pub fn text_or_null(&mut self) -> Result<Option<Str>> {
        let at = self.at;
        match self.buffer()? {
            None => Ok(None),
            Some(bytes) => Str::from_bytes(bytes).map(Some).ok_or(Error::Utf8 { at }),
        }
    }

    /// A string taken as the reference decodes it: what is not UTF-8 becomes U+FFFD
    /// (its own writer emits CESU-8, client-protocol §1.1 TRAP).
    pub fn string_lossy(&mut self) -> Result<Option<String>> {
        Ok(self.buffer()?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// The count of a vector whose elements take at least `element_size_min` bytes each;
    /// `None` is null. A count that the rest of the bytes cannot hold is an error.
    pub fn count(&mut self, element_size_min: usize) -> Result<Option<usize>> {
        self.length(element_size_min.max(1))
    }

    /// A vector read element by element; `None` is null.
    pub fn vector<T>(
        &mut self,
        element_size_min: usize,
        mut element: impl FnMut(&mut Reader) -> Result<T>,
    ) -> Result<Option<Vec<T>>> {
        let Some(count) = self.count(element_size_min)? else {
            return Ok(None);
        };
        (0..count).map(|_| element(self)).collect::<Result<_>>().map(Some)
    }

    fn length(&mut self, unit: usize) -> Result<Option<usize>> {
        let at = self.at;
        let len = self.int()?;
        match usize::try_from(len) {
            Ok(len) if len <= self.remaining() / unit => Ok(Some(len)),
            Err(_) if len == -1 => Ok(None),
            _ => Err(Error::Length { at, len: len.into() }),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let Some(slice) = self.bytes.get(self.at..self.at + N) else {
            return Err(Error::Short { at: self.at, missing: N - self.remaining() });
        };
        let mut array = [0; N];
        array.copy_from_slice(slice);
        self.at += N;
        Ok(array)
    }
}
