//! Whether the server will take a zoo.cfg, asked of the server's own parser before the file is put in place. The binary
//! that answers is the one that will run it. It writes nothing.

use std::fs;
use std::path::Path;

use super::records::Reader;
use crate::config::ServerConfig;
use crate::operator::host::failure::Failure;

/// # Errors
/// `Invalid` with every problem and its line.
pub(super) fn verify(path: &Path, bytes: &[u8], reader: Reader) -> Result<(), Failure> {
    match reader {
        Reader::Anybody => return Ok(()),
        Reader::Server => {}
    }
    let read = |path: &Path| fs::read(path);
    let Err(invalid) = ServerConfig::parse(path, bytes, &[], &read) else { return Ok(()) };
    let here = format!("{}:", path.display());
    let problems = invalid.0.iter().map(|problem| {
        let at = problem.at.strip_prefix(&here).map(|line| format!("line {line}: "));
        format!("{}{}; {}", at.unwrap_or_default(), problem.what, problem.advice)
    });
    let problems: Vec<String> = problems.collect();
    let why = format!("its server would not start with it: {}", problems.join("; "));
    Err(Failure::invalid("put in place", path.display(), why)
        .hint("the file that is there was left as it is"))
}
