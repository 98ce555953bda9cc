//! Where the shell reads and writes: the process's own streams, or what a test puts there.

use std::io::{self, BufRead, IsTerminal, Write};

/// Where the shell reads and writes; tests put buffers here.
pub struct Io {
    pub input: Input,
    pub out: Box<dyn Write + Send>,
    pub err: Box<dyn Write + Send>,
    /// `out` is a terminal: what comes from the ensemble must not steer it.
    pub terminal: bool,
}

impl Io {
    /// The process's own streams.
    pub fn process() -> Io {
        let terminal = io::stdout().is_terminal();
        let input = if terminal && io::stdin().is_terminal() {
            Input::Terminal
        } else {
            Input::Lines(Box::new(io::BufReader::new(io::stdin())))
        };
        Io { input, out: Box::new(io::stdout()), err: Box::new(io::stderr()), terminal }
    }
}

/// Where the shell reads its commands.
pub enum Input {
    /// The process's terminal.
    Terminal,
    /// A pipe, a file, a test: no prompt is printed (operations §11.1).
    Lines(Box<dyn BufRead + Send>),
}
