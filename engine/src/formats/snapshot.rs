//! The snapshot file around a tree's body (disk-format §3): header, body, seals, the digest and last-zxid sections,
//! over plain streams ([`super::compression`] stands between them and the file). What the body holds is its reader's.

use std::io::{self, Read, Write};

use simd_adler32::Adler32;

use crate::wire::ids::Zxid;
use crate::wire::jute;

/// Why a stream is no snapshot that can be used.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("{0}")]
    Unreadable(#[from] io::Error),
    #[error("it does not begin with ZKSN, so it is no snapshot")]
    NotASnapshot,
    #[error("it is incomplete or damaged: no seal at its end matches its content")]
    Seal,
    #[error("its content does not decode: {0}")]
    Body(#[from] jute::Error),
}

/// What follows a body whose seals hold.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Trailer {
    /// The tree's digest and the zxid it belongs to; `None` when there is none to compare.
    pub digest: Option<(Zxid, u64)>,
    /// Section 8. Never where replay starts (TRAP D6).
    pub last_processed: Option<Zxid>,
}

/// Hands the body to `body` piece by piece until it says where the body ends; then checks the
/// seals over everything.
pub fn read(
    mut stream: impl Read,
    body: &mut dyn FnMut(&[u8]) -> jute::Result<Option<usize>>,
) -> Result<Trailer, Fault> {
    let mut header = [0; HEADER.len()];
    stream.read_exact(&mut header).map_err(|_| Fault::NotASnapshot)?;
    if !header.starts_with(MAGIC) {
        return Err(Fault::NotASnapshot);
    }
    let mut adler = Adler32::new();
    adler.write(&header);
    let mut chunk = vec![0; CHUNK];
    let mut trailer = loop {
        let got = stream.read(&mut chunk)?;
        if got == 0 {
            return Err(Fault::Seal);
        }
        if let Some(end) = body(&chunk[..got])? {
            adler.write(&chunk[..end]);
            break chunk[end..got].to_vec();
        }
        adler.write(&chunk[..got]);
    };
    stream.take(TRAILER_BYTES_MAX + 1).read_to_end(&mut trailer)?;
    Trailer::parse(&adler, &trailer).ok_or(Fault::Seal)
}

/// A snapshot on its way out: counts what the seals cover.
pub struct Writer<W> {
    out: W,
    adler: Adler32,
}

impl<W: Write> Writer<W> {
    pub fn new(out: W) -> Writer<W> {
        Writer { out, adler: Adler32::new() }
    }

    /// What every snapshot begins with.
    pub fn header(&mut self) -> io::Result<()> {
        self.write(&HEADER)
    }

    /// Appends a chunk of the body.
    pub fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.adler.write(chunk);
        self.out.write_all(chunk)
    }

    /// Everything behind the body. `digest` is the tree's digest and the zxid it belongs to (`None` writes "no
    /// digest"), `last_processed` the last zxid applied by then.
    pub fn trailer(&mut self, digest: Option<(Zxid, u64)>, last_processed: Zxid) -> io::Result<()> {
        self.seal()?;
        // Section 7 is always there when section 8 is, or the reference cannot read it (TRAP D7).
        let (zxid, digest) = digest.unwrap_or((Zxid::ZERO, 0));
        self.write(&zxid.0.to_be_bytes())?;
        self.write(&DIGEST_VERSION.to_be_bytes())?;
        self.write(&digest.to_be_bytes())?;
        self.seal()?;
        self.write(&last_processed.0.to_be_bytes())?;
        self.seal()
    }

    /// The stream underneath, to be finished by who gave it.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn seal(&mut self) -> io::Result<()> {
        let sum = u64::from(self.adler.finish());
        self.write(&sum.to_be_bytes())?;
        self.write(&SLASH)
    }
}

impl Trailer {
    /// Reads seal 1, then sections 7 and 8, each of which may be there or not (TRAP D7).
    /// `adler` covers all before `bytes`, which must be all that follows.
    fn parse(adler: &Adler32, bytes: &[u8]) -> Option<Trailer> {
        let mut at = seal(adler, bytes, 0)?;
        let mut trailer = Trailer::default();
        // Section 8 and its seal are 21 bytes, section 7 with its own at least 30.
        if bytes.len() - at > 8 + SEAL_BYTES {
            let zxid = Zxid(long(bytes, at)?);
            if int(bytes, at + 8)? == DIGEST_VERSION {
                // Zxid 0 is how writers say "no digest yet" (disk-format §3.2).
                trailer.digest = (zxid != Zxid::ZERO).then_some((zxid, long(bytes, at + 12)? as u64));
                at += 20;
            } else {
                // Before version 2 the digest was a string of hex digits; nobody compares those.
                at += 16 + usize::try_from(int(bytes, at + 12)?).ok()?;
            }
            at = seal(adler, bytes, at)?;
        }
        if bytes.len() > at {
            trailer.last_processed = Some(Zxid(long(bytes, at)?));
            at = seal(adler, bytes, at + 8)?;
        }
        (at == bytes.len()).then_some(trailer)
    }
}

/// Checks the seal at `at` over everything before it; the offset behind it.
fn seal(adler: &Adler32, bytes: &[u8], at: usize) -> Option<usize> {
    let sum = u64::try_from(long(bytes, at)?).ok()?;
    if bytes.get(at + 8..at + SEAL_BYTES)? != SLASH {
        return None;
    }
    let mut adler = adler.clone();
    adler.write(&bytes[..at]);
    (u64::from(adler.finish()) == sum).then_some(at + SEAL_BYTES)
}

fn long(bytes: &[u8], at: usize) -> Option<i64> {
    Some(i64::from_be_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

fn int(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// What an uncompressed snapshot begins with.
pub const MAGIC: &[u8] = b"ZKSN";
/// The ustring "/": ends the nodes and every seal; a plain file without it at its end is not
/// even a candidate.
pub const SLASH: [u8; 5] = [0, 0, 0, 1, b'/'];
/// Magic, version 2, dbid −1.
pub const HEADER: [u8; 16] = *b"ZKSN\0\0\0\x02\xff\xff\xff\xff\xff\xff\xff\xff";
/// A seal: Adler-32 of everything before it as a long, then "/".
const SEAL_BYTES: usize = 13;
/// The digest algorithm that everybody writes since 3.6.
const DIGEST_VERSION: i32 = 2;
const CHUNK: usize = 256 * 1024;
/// Seal, digest of an old version with 16 digits, seal, last zxid, seal.
const TRAILER_BYTES_MAX: u64 = 3 * SEAL_BYTES as u64 + 8 + 4 + 4 + 16 + 8;
