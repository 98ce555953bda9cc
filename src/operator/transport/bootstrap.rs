//! Putting files and our own binary on a host with nothing but POSIX sh: compare a SHA-256,
//! send gzip only if it differs, verify, prove that it runs, rename into place. A failure at
//! any point leaves what was there before and nothing else.
//!
//! The scripts name the stage that failed on stdout and leave the tool's own words on stderr;
//! deciding what they mean is done here.

use bytes::Bytes;
use tokio::time::Instant;

use super::binary::{LocalBinary, Machine};
use super::connection::Connection;
use super::error::{Error, Fault};
use super::exec::{ExecOutput, Stdin, last_lines};
use super::status::Status;

/// Called with (compressed bytes sent so far, compressed bytes in all).
pub type Progress<'a> = &'a (dyn Fn(u64, u64) + Send + Sync);

/// Where the binary goes and how it proves itself.
#[derive(Debug, Clone)]
pub struct Install {
    /// Absolute path; stays usable while it is replaced, also by running processes.
    pub path: String,
    /// Arguments with which the binary must exit 0.
    pub prove: Vec<String>,
}

impl Install {
    /// `path --version` is the proof.
    pub fn at(path: impl Into<String>) -> Install {
        Install { path: path.into(), prove: vec!["--version".to_string()] }
    }
}

/// The binary is in place and runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bootstrapped {
    /// False: the right one was there already.
    pub uploaded: bool,
    /// Compressed bytes.
    pub bytes_sent: u64,
    pub path: String,
    /// The topmost of the directories that were made for it.
    pub made: Option<String>,
}

impl Connection {
    /// Makes sure that exactly this binary is at `install.path` and runs there.
    ///
    /// # Errors
    /// [`Error::Install`] with the [`Fault`]; errors of the connection.
    pub async fn bootstrap(
        &self,
        binary: &LocalBinary,
        install: &Install,
        progress: Option<Progress<'_>>,
        deadline: Instant,
    ) -> Result<Bootstrapped, Error> {
        let found = self.inspect(binary, install, deadline).await?;
        self.same_machine(binary, install, &found.machine)?;
        if found.sha256 == binary.sha256() {
            found.proof(self, binary, install)?;
            return Ok(Bootstrapped {
                uploaded: false,
                bytes_sent: 0,
                path: install.path.clone(),
                made: None,
            });
        }
        let compressed = binary.compressed().await?;
        let bytes_sent = compressed.len() as u64;
        let file = Push {
            path: &install.path,
            mode: 0o755,
            sha256: binary.sha256(),
            prove: &install.prove,
            machine: binary.machine().name(),
        };
        let made = self.push(&file, compressed, progress, deadline).await?;
        Ok(Bootstrapped { uploaded: true, bytes_sent, path: install.path.clone(), made })
    }

    /// The push alone, of any content: what tests break on its way.
    #[cfg(test)]
    pub(super) async fn upload(
        &self,
        compressed: Bytes,
        path: &str,
        mode: u32,
        sha256: &str,
        deadline: Instant,
    ) -> Result<(), Error> {
        let file = Push { path, mode, sha256, prove: &[], machine: String::new() };
        self.push(&file, compressed, None, deadline).await.map(drop)
    }

    async fn inspect(
        &self,
        binary: &LocalBinary,
        install: &Install,
        deadline: Instant,
    ) -> Result<Found, Error> {
        self.absolute(&install.path)?;
        let arguments = arguments(&[&install.path, binary.sha256()], &install.prove);
        let script = format!("{HASH}{INSPECT}");
        let output = self.script(INSPECT_NAME, &script, &arguments, Bytes::new().into(), deadline).await?;
        Found::parse(&output).ok_or_else(|| Error::Command {
            host: self.label().to_string(),
            command: "looking at the installed binary".to_string(),
            stderr: last_lines(&output.stderr_text()),
            status: output.status,
        })
    }

    fn same_machine(&self, binary: &LocalBinary, install: &Install, theirs: &str) -> Result<(), Error> {
        match Machine::of_uname(theirs) {
            Some(machine) if machine != binary.machine() => {
                let fault =
                    Fault::WrongArchitecture { theirs: theirs.into(), ours: binary.machine().name().into() };
                Err(self.cannot_install(&install.path, fault, String::new()))
            }
            _ => Ok(()),
        }
    }

    async fn push(
        &self,
        file: &Push<'_>,
        compressed: Bytes,
        progress: Option<Progress<'_>>,
        deadline: Instant,
    ) -> Result<Option<String>, Error> {
        self.absolute(file.path)?;
        let total = compressed.len() as u64;
        let report = |sent: u64| {
            if let Some(progress) = progress {
                progress(sent, total);
            }
        };
        let mode = format!("{:o}", file.mode);
        let arguments = arguments(&[file.path, file.sha256, &mode], file.prove);
        let script = format!("{HASH}{PUSH}");
        let stdin = Stdin { first: None, bytes: compressed, progress: Some(&report) };
        let output = self.script(PUSH_NAME, &script, &arguments, stdin, deadline).await?;
        let said = output.stdout_text();
        if output.status.success() && value(&said, "done").is_some() {
            // Only what the path says itself is believed.
            let above = |dir: &&str| {
                !dir.is_empty() && file.path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'))
            };
            return Ok(value(&said, "made").filter(above).map(str::to_owned));
        }
        let fault = file.fault(&said, &output);
        Err(self.cannot_install(file.path, fault, last_lines(&output.stderr_text())))
    }

    fn absolute(&self, path: &str) -> Result<(), Error> {
        let file = path.rsplit('/').next().unwrap_or_default();
        if path.starts_with('/') && !matches!(file, "" | "." | "..") {
            return Ok(());
        }
        Err(Error::setting(
            self.label(),
            format!("cannot write to {path:?}"),
            "it is not the absolute path of a file; correct install_dir in the inventory",
        ))
    }

    fn cannot_install(&self, path: &str, fault: Fault, evidence: String) -> Error {
        Error::Install { host: self.label().to_string(), path: path.to_string(), fault, evidence }
    }
}

/// What `INSPECT` found on the host.
struct Found {
    machine: String,
    /// Of the installed file; empty if there is none.
    sha256: String,
    /// How the proof ended, if the installed file is the right one.
    proved: Option<i32>,
    said: String,
    evidence: String,
}

impl Found {
    fn parse(output: &ExecOutput) -> Option<Found> {
        let said = output.stdout_text();
        Some(Found {
            machine: value(&said, "machine")?.to_string(),
            sha256: value(&said, "sha256").unwrap_or_default().to_string(),
            proved: value(&said, "proved").and_then(|code| code.parse().ok()),
            evidence: last_lines(&output.stderr_text()),
            said,
        })
    }

    fn proof(&self, connection: &Connection, binary: &LocalBinary, install: &Install) -> Result<(), Error> {
        match self.proved {
            Some(0) => Ok(()),
            code => {
                let ours = binary.machine().name();
                let fault = not_running(&install.path, &ours, code.unwrap_or(-1), &self.evidence, &self.said);
                Err(connection.cannot_install(&install.path, fault, self.evidence.clone()))
            }
        }
    }
}

/// One file on its way.
struct Push<'a> {
    path: &'a str,
    mode: u32,
    sha256: &'a str,
    prove: &'a [String],
    /// What the file is for, if it is a program.
    machine: String,
}

impl Push<'_> {
    fn fault(&self, said: &str, output: &ExecOutput) -> Fault {
        let stage = value(said, "failed").unwrap_or("sh");
        let stderr = output.stderr_text();
        match stage {
            "hasher" => Fault::MissingTool { tools: "sha256sum, shasum and openssl" },
            "unpacker" => Fault::MissingTool { tools: "gzip and gunzip" },
            "kind" => Fault::WrongKind,
            "prove" => {
                let code = value(said, "proved").and_then(|code| code.parse().ok()).unwrap_or(-1);
                not_running(self.path, &self.machine, code, &stderr, said)
            }
            "verify" => Fault::Damaged {
                expected: self.sha256.into(),
                found: value(said, "sha256").unwrap_or("unknown").into(),
            },
            "unpack" if stderr.contains("unexpected end") || stderr.contains("crc error") => {
                Fault::Damaged { expected: self.sha256.into(), found: "incomplete".into() }
            }
            other => wrote_nothing(&stderr).unwrap_or(Fault::Other { stage: other.to_string() }),
        }
    }
}

/// What the tools say (in the C locale) when a file cannot be written.
pub(super) fn wrote_nothing(stderr: &str) -> Option<Fault> {
    let has = |texts: &[&str]| texts.iter().any(|text| stderr.contains(text));
    if has(&["No space left on device", "Disk quota exceeded"]) {
        Some(Fault::DiskFull)
    } else if has(&["Read-only file system"]) {
        Some(Fault::ReadOnly)
    } else if has(&["Permission denied", "Operation not permitted"]) {
        Some(Fault::NotWritable)
    } else if has(&["Not a directory", "File exists", "Is a directory"]) {
        Some(Fault::WrongKind)
    } else {
        None
    }
}

/// Why a binary that arrived intact did not prove itself. Shells exit 126 for a file that may
/// not be executed; the mount table, printed by the script, tells whether the mount is why.
pub(super) fn not_running(path: &str, ours: &str, code: i32, stderr: &str, said: &str) -> Fault {
    let mounts = said.split_once(MOUNTS_MARK).map(|(_, table)| table).unwrap_or_default();
    match noexec_mount(path, mounts) {
        Some(mount) if code == 126 || stderr.contains("ermission denied") => Fault::NoExec { mount },
        // The kernel does not know the format; some shells then try to read it as a script.
        _ if stderr.contains("Exec format error") || stderr.contains("\u{7f}ELF") => {
            let theirs = value(said, "machine").unwrap_or("another machine").into();
            Fault::WrongArchitecture { theirs, ours: ours.into() }
        }
        // A shell reports a signal as 128 + its number.
        _ => Fault::DoesNotRun { status: Status::Code(code) },
    }
}

/// The mount that holds `path`, if its options have noexec. The last line for the longest mount
/// point wins: later mounts cover earlier ones.
pub(super) fn noexec_mount(path: &str, mounts: &str) -> Option<String> {
    let holds = |point: &str| {
        point == "/" || path.strip_prefix(point).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let mut best: Option<(&str, &str)> = None;
    for line in mounts.lines() {
        let mut words = line.split_ascii_whitespace().skip(1);
        let (Some(point), Some(_), Some(options)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        if holds(point) && best.is_none_or(|(longest, _)| point.len() >= longest.len()) {
            best = Some((point, options));
        }
    }
    let (point, options) = best?;
    options.split(',').any(|option| option == "noexec").then(|| format!("{point} is mounted noexec"))
}

fn arguments<'a>(first: &[&'a str], prove: &'a [String]) -> Vec<&'a str> {
    first.iter().copied().chain(prove.iter().map(String::as_str)).collect()
}

/// The value of a `name=value` line, up to the mount table.
fn value<'a>(said: &'a str, name: &str) -> Option<&'a str> {
    said.lines()
        .take_while(|line| *line != MOUNTS_MARK.trim())
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

/// `$0` of the scripts. A temporary file belongs to a live upload only while a process of that
/// id has the second name among its arguments.
const INSPECT_NAME: &str = "zkops-inspect";
const PUSH_NAME: &str = "zkops-push";

const MOUNTS_MARK: &str = "mounts:\n";

/// `sha256_of FILE` by whichever program there is; `hashing` is empty if there is none.
const HASH: &str = r#"LC_ALL=C; export LC_ALL
has() { command -v "$1" >/dev/null 2>&1; }
hashing=
for tool in sha256sum shasum openssl; do
  if has $tool; then hashing=$tool; break; fi
done
sha256_of() {
  case $hashing in
    sha256sum) out=$(sha256sum <"$1") ;;
    shasum) out=$(shasum -a 256 <"$1") ;;
    openssl) out=$(openssl dgst -sha256 -r <"$1") ;;
    *) out= ;;
  esac
  echo "${out%% *}"
}
prove() {
  out=$("$@" </dev/null 2>&1)
  code=$?
  echo "proved=$code"
  [ $code -eq 0 ] && return 0
  echo "machine=$(uname -m)"
  echo "$out" >&2
  return 1
}
mounts() { echo mounts:; cat /proc/self/mounts; }
"#;

/// Arguments: path, wanted SHA-256, proof. Changes nothing but a missing x bit.
const INSPECT: &str = r#"path=$1 want=$2
shift 2
echo "machine=$(uname -m)"
if [ -f "$path" ]; then
  have=$(sha256_of "$path")
  echo "sha256=$have"
  if [ "$have" = "$want" ]; then
    [ -x "$path" ] || chmod 755 "$path"
    prove "$path" "$@" || mounts
  fi
fi
exit 0
"#;

/// Arguments: path, SHA-256, mode, proof (may be empty); gzip on stdin. One temporary file,
/// named after this process, removed whatever happens, as are directories made in vain. Those
/// of uploads whose process is gone are removed as well.
const PUSH: &str = r#"path=$1 want=$2 mode=$3
shift 3
dir=${path%/*}
made=
tmp=$path.tmp.$$
clean() {
  rm -f "$tmp"
  d=$dir
  while [ -n "$made" ] && rmdir "$d" 2>/dev/null; do
    [ "$d" = "$made" ] && break
    d=${d%/*}
  done
}
failed() { echo "failed=$1"; exit 1; }
trap clean EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 141' PIPE
trap 'exit 143' TERM
[ -n "$hashing" ] || failed hasher
if has gzip; then unpack='gzip -dc'; elif has gunzip; then unpack='gunzip -c'; else failed unpacker; fi
[ -d "$path" ] && failed kind
d=$dir
while [ -n "$d" ] && [ ! -d "$d" ]; do made=$d; d=${d%/*}; done
(umask 022; mkdir -p "${dir:-/}") || failed mkdir
for old in "$path".tmp.*; do
  [ -f "$old" ] || continue
  pid=${old##*.}
  case $pid in *[!0-9]*|'') continue ;; esac
  case $(cat "/proc/$pid/cmdline" 2>/dev/null) in
    *zkops-push*) ;;
    *) rm -f "$old" ;;
  esac
done
umask 077
$unpack >"$tmp" || failed unpack
have=$(sha256_of "$tmp")
[ "$have" = "$want" ] || { echo "sha256=$have"; failed verify; }
chmod "$mode" "$tmp" || failed chmod
sync "$tmp" 2>/dev/null || sync
if [ $# -gt 0 ]; then prove "$tmp" "$@" || { echo failed=prove; mounts; exit 1; }; fi
mv -f "$tmp" "$path" || failed rename
echo "made=$made"
made=
sync "${dir:-/}" 2>/dev/null || sync
echo done=1
"#;
