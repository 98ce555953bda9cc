//! Snapshot compression: gzip by flate2; snappy-java's stream framing (magic, two versions, then
//! length-prefixed raw blocks), which is not the Snappy framing format that `snap::read` knows.

use std::io::{self, Read, Write};

use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

/// How a snapshot file is stored; chosen for writing by `snapshot.compression.method`, for
/// reading by the file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Compression {
    #[default]
    None,
    Gzip,
    Snappy,
}

impl Compression {
    pub fn extension(self) -> &'static str {
        match self {
            Compression::None => "",
            Compression::Gzip => ".gz",
            Compression::Snappy => ".snappy",
        }
    }

    /// The bytes that a file of this kind begins with; empty when its end decides.
    pub fn magic(self) -> &'static [u8] {
        match self {
            Compression::None => &[],
            Compression::Gzip => &[0x1f, 0x8b],
            Compression::Snappy => &SNAPPY_HEADER[..8],
        }
    }
}

/// The uncompressed stream of a file.
pub fn decoder<'a>(compression: Compression, file: impl Read + 'a) -> Box<dyn Read + 'a> {
    match compression {
        Compression::None => Box::new(file),
        Compression::Gzip => Box::new(MultiGzDecoder::new(io::BufReader::with_capacity(CHUNK, file))),
        Compression::Snappy => Box::new(SnappyReader::new(io::BufReader::with_capacity(CHUNK, file))),
    }
}

/// What compresses into a file.
pub enum Encoder<W: Write> {
    None(io::BufWriter<W>),
    Gzip(GzEncoder<W>),
    Snappy(SnappyWriter<W>),
}

impl<W: Write> Encoder<W> {
    pub fn new(compression: Compression, file: W) -> Encoder<W> {
        match compression {
            Compression::None => Encoder::None(io::BufWriter::with_capacity(CHUNK, file)),
            Compression::Gzip => Encoder::Gzip(GzEncoder::new(file, flate2::Compression::default())),
            Compression::Snappy => Encoder::Snappy(SnappyWriter::new(file)),
        }
    }

    /// Writes what is still held back and hands the file out.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Encoder::None(writer) => writer.into_inner().map_err(io::IntoInnerError::into_error),
            Encoder::Gzip(writer) => writer.finish(),
            Encoder::Snappy(writer) => writer.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Encoder::None(writer) => writer.write(bytes),
            Encoder::Gzip(writer) => writer.write(bytes),
            Encoder::Snappy(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct SnappyReader<R> {
    file: R,
    started: bool,
    block: Vec<u8>,
    at: usize,
}

impl<R: Read> SnappyReader<R> {
    fn new(file: R) -> SnappyReader<R> {
        SnappyReader { file, started: false, block: Vec::new(), at: 0 }
    }

    /// Decompresses the next block; false at the end of the file.
    fn fill(&mut self) -> io::Result<bool> {
        if !self.started {
            let mut header = [0; SNAPPY_HEADER.len()];
            self.file.read_exact(&mut header)?;
            if header[..8] != SNAPPY_HEADER[..8] {
                return Err(io::Error::other("not a snappy-java stream"));
            }
            self.started = true;
        }
        let mut len = [0; 4];
        match self.file.read(&mut len[..1])? {
            0 => return Ok(false),
            _ => self.file.read_exact(&mut len[1..])?,
        }
        let len = u32::from_be_bytes(len) as usize;
        if len > SNAPPY_BLOCK_MAX {
            return Err(io::Error::other(format!("a snappy block claims {len} bytes")));
        }
        let mut compressed = vec![0; len];
        self.file.read_exact(&mut compressed)?;
        let size = snap::raw::decompress_len(&compressed).map_err(io::Error::other)?;
        if size > SNAPPY_BLOCK_MAX {
            return Err(io::Error::other(format!("a snappy block claims {size} bytes inside")));
        }
        self.block.resize(size, 0);
        self.at = 0;
        snap::raw::Decoder::new().decompress(&compressed, &mut self.block).map_err(io::Error::other)?;
        Ok(true)
    }
}

impl<R: Read> Read for SnappyReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.at == self.block.len() {
            if !self.fill()? {
                return Ok(0);
            }
        }
        let count = buf.len().min(self.block.len() - self.at);
        buf[..count].copy_from_slice(&self.block[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

pub struct SnappyWriter<W> {
    file: W,
    started: bool,
    block: Vec<u8>,
}

impl<W: Write> SnappyWriter<W> {
    fn new(file: W) -> SnappyWriter<W> {
        SnappyWriter { file, started: false, block: Vec::with_capacity(SNAPPY_BLOCK) }
    }

    fn put_block(&mut self) -> io::Result<()> {
        if !self.started {
            self.file.write_all(&SNAPPY_HEADER)?;
            self.started = true;
        }
        if self.block.is_empty() {
            return Ok(());
        }
        let compressed = snap::raw::Encoder::new().compress_vec(&self.block).map_err(io::Error::other)?;
        let len = u32::try_from(compressed.len()).map_err(io::Error::other)?;
        let mut framed = len.to_be_bytes().to_vec();
        framed.extend_from_slice(&compressed);
        self.file.write_all(&framed)?;
        self.block.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<W> {
        self.put_block()?;
        Ok(self.file)
    }
}

impl<W: Write> Write for SnappyWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(SNAPPY_BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..count]);
        if self.block.len() == SNAPPY_BLOCK {
            self.put_block()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const CHUNK: usize = 256 * 1024;
/// Magic (8), version 1, compatible version 1.
const SNAPPY_HEADER: [u8; 16] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1];
/// snappy-java compresses 32 KiB at a time; readers allocate by the block's own word.
const SNAPPY_BLOCK: usize = 32 * 1024;
/// No writer makes blocks near this; a larger claim is damage.
const SNAPPY_BLOCK_MAX: usize = 64 * 1024 * 1024;
