//! The binary that is pushed to hosts: its hash, its machine, and its compressed bytes, made
//! once for all hosts.

use std::io::Write;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

use super::error::Error;

/// A Linux program on this machine, ready to be pushed. Share one between all hosts.
#[derive(Debug)]
pub struct LocalBinary {
    path: PathBuf,
    bytes: Bytes,
    sha256: String,
    machine: Machine,
    compressed: OnceCell<Bytes>,
}

impl LocalBinary {
    /// The running program itself.
    ///
    /// # Errors
    /// [`Error::Setting`] if it cannot be read.
    pub async fn current() -> Result<LocalBinary, Error> {
        // Opened through /proc, it is the running program even if its file was replaced since.
        let shown = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("zkops"));
        LocalBinary::read(PathBuf::from("/proc/self/exe"), shown).await
    }

    /// Any program file.
    ///
    /// # Errors
    /// [`Error::Setting`] if it cannot be read or is not an ELF program.
    pub async fn open(path: &Path) -> Result<LocalBinary, Error> {
        LocalBinary::read(path.to_path_buf(), path.to_path_buf()).await
    }

    async fn read(from: PathBuf, path: PathBuf) -> Result<LocalBinary, Error> {
        let shown = path.display().to_string();
        let failed = |why: String| Error::setting("this machine", format!("cannot push {shown}"), why);
        let work = move || -> Result<LocalBinary, String> {
            let bytes = Bytes::from(std::fs::read(&from).map_err(|e| e.to_string())?);
            let machine = Machine::of_elf(&bytes).ok_or("it is not a Linux program (no ELF header)")?;
            let sha256 = hex(&Sha256::digest(&bytes));
            Ok(LocalBinary { path, bytes, sha256, machine, compressed: OnceCell::new() })
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(read) => read.map_err(failed),
            Err(e) => Err(failed(e.to_string())),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lower-case hex.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    pub fn machine(&self) -> Machine {
        self.machine
    }

    /// Uncompressed size in bytes.
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The gzip of the program: compressed at the first call, the same bytes afterwards.
    ///
    /// # Errors
    /// [`Error::Local`] if the compressing thread died.
    pub async fn compressed(&self) -> Result<Bytes, Error> {
        let failed =
            |e: String| Error::local("this machine", format!("compressing {}", self.path.display()), e);
        let bytes = self
            .compressed
            .get_or_try_init(|| async {
                let raw = self.bytes.clone();
                match tokio::task::spawn_blocking(move || gzip(&raw)).await {
                    Ok(done) => done.map_err(|e| failed(e.to_string())),
                    Err(e) => Err(failed(e.to_string())),
                }
            })
            .await?;
        Ok(bytes.clone())
    }
}

/// An ELF machine number (`e_machine`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine(pub u16);

impl Machine {
    /// Of a program's first bytes.
    pub(super) fn of_elf(bytes: &[u8]) -> Option<Machine> {
        let header = bytes.get(..20)?;
        let raw = [header[18], header[19]];
        match (header.starts_with(b"\x7fELF"), header[5]) {
            (true, 1) => Some(Machine(u16::from_le_bytes(raw))),
            (true, 2) => Some(Machine(u16::from_be_bytes(raw))),
            _ => None,
        }
    }

    /// What `uname -m` says; `None` for a name that we do not know (then only running it tells).
    pub(super) fn of_uname(name: &str) -> Option<Machine> {
        MACHINES.iter().find(|(_, names)| names.contains(&name)).map(|(number, _)| Machine(*number))
    }

    pub fn name(self) -> String {
        match MACHINES.iter().find(|(number, _)| *number == self.0) {
            Some((_, names)) => names[0].to_string(),
            None => format!("ELF machine {}", self.0),
        }
    }
}

/// gzip of `raw`, without a time stamp: the same bytes give the same file.
/// Level 1: a fraction of the time of the usual 6 for a fifth more bytes, and deploy waits for it.
pub(super) fn gzip(raw: &[u8]) -> std::io::Result<Bytes> {
    let mut out = GzBuilder::new().mtime(0).write(Vec::with_capacity(raw.len() / 2), Compression::new(1));
    out.write_all(raw)?;
    Ok(Bytes::from(out.finish()?))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// ELF numbers (`elf.h`) and the names that kernels give them.
const MACHINES: [(u16, &[&str]); 8] = [
    (62, &["x86_64", "amd64"]),
    (183, &["aarch64", "arm64"]),
    (40, &["arm", "armv6l", "armv7l", "armv8l"]),
    (3, &["i386", "i486", "i586", "i686"]),
    (243, &["riscv64"]),
    (21, &["ppc64le", "ppc64"]),
    (22, &["s390x"]),
    (258, &["loongarch64"]),
];
