//! Where lines come from: a terminal with editing, history and completion, or anything that reads. A
//! thread of its own does the blocking reads; at the end it is left to itself when it waits for a key.

use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc as sync_mpsc;
use std::thread;

use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor, ExternalPrinter};
use tokio::sync::mpsc;

use super::completion::{Completion, Current};
use super::io::Input;
use super::output::Out;

/// What a question for a line came to.
#[derive(Debug)]
pub(super) enum Line {
    Text(String),
    /// Ctrl-C: the line is dropped.
    Interrupted,
    End,
    Failed(String),
}

/// The reading end: ask for a line, then take the answer.
pub(super) struct Lines {
    asks: sync_mpsc::SyncSender<String>,
    answers: mpsc::Receiver<Line>,
    edits: bool,
    /// Prints above a prompt that is being edited.
    prints: Option<sync_mpsc::SyncSender<String>>,
}

impl Lines {
    /// Starts the reading thread; in a runtime, because completion asks the servers.
    pub(super) fn start(input: Input, history_file: Option<PathBuf>, current: Current) -> Lines {
        let (asks, asked) = sync_mpsc::sync_channel(1);
        let (answer, answers) = mpsc::channel(1);
        let (mut edits, mut prints) = (false, None);
        match input {
            Input::Lines(reader) => {
                thread::spawn(move || read_lines(reader, &asked, &answer));
            }
            Input::Terminal => match editor(history_file.as_deref(), current) {
                Ok(mut editor) => {
                    edits = true;
                    prints = editor.create_external_printer().ok().map(start_printer);
                    thread::spawn(move || edit_lines(editor, history_file.as_deref(), &asked, &answer));
                }
                Err(why) => {
                    thread::spawn(move || answer.blocking_send(Line::Failed(why.to_string())));
                }
            },
        }
        Lines { asks, answers, edits, prints }
    }

    /// A person edits the lines.
    pub(super) fn edits(&self) -> bool {
        self.edits
    }

    pub(super) fn ask(&self, prompt: String) {
        // A reader that is gone answers with `End`.
        let _ = self.asks.send(prompt);
    }

    /// Cancellation-safe.
    pub(super) async fn answer(&mut self) -> Line {
        self.answers.recv().await.unwrap_or(Line::End)
    }

    /// Prints while a prompt may be on the screen.
    pub(super) fn print(&self, text: &str, out: &Out) {
        let above = format!("{}\n", out.harmless(text));
        match &self.prints {
            Some(prints) if prints.try_send(above).is_ok() => {}
            _ => out.line(text),
        }
    }
}

/// The printer waits while a prompt is set up or taken down; it must not make the loop wait.
fn start_printer(mut printer: impl ExternalPrinter + Send + 'static) -> sync_mpsc::SyncSender<String> {
    let (prints, texts) = sync_mpsc::sync_channel::<String>(PRINTS_MAX);
    thread::spawn(move || {
        while let Ok(text) = texts.recv() {
            if printer.print(text).is_err() {
                return;
            }
        }
    });
    prints
}

fn read_lines(
    mut reader: Box<dyn BufRead + Send>,
    asked: &sync_mpsc::Receiver<String>,
    answer: &mpsc::Sender<Line>,
) {
    while asked.recv().is_ok() {
        let line = read_line(&mut reader);
        let ends = !matches!(line, Line::Text(_));
        if answer.blocking_send(line).is_err() || ends {
            return;
        }
    }
}

fn read_line(reader: &mut impl BufRead) -> Line {
    let mut bytes = Vec::new();
    match reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes) {
        Ok(0) => Line::End,
        // Its rest must not become a command.
        Ok(read) if read as u64 == LINE_BYTES_MAX => {
            Line::Failed(format!("a line is longer than {LINE_BYTES_MAX} bytes"))
        }
        Ok(_) => {
            let text = String::from_utf8_lossy(&bytes);
            Line::Text(text.trim_end_matches(['\n', '\r']).to_owned())
        }
        Err(why) => Line::Failed(why.to_string()),
    }
}

type PathEditor = Editor<Completion, FileHistory>;

fn editor(history_file: Option<&Path>, current: Current) -> rustyline::Result<PathEditor> {
    let config = Config::builder().max_history_size(HISTORY_FILE_LINES_MAX)?.build();
    let history = FileHistory::with_config(&config);
    let mut editor = Editor::with_history(config, history)?;
    editor.set_helper(Some(Completion::new(current, tokio::runtime::Handle::current())));
    if let Some(file) = history_file {
        prepare_history(file);
        // Absent the first time, unreadable at worst: a shell without old lines.
        let _ = editor.load_history(file);
    }
    Ok(editor)
}

/// The state directory may not be there yet.
fn prepare_history(file: &Path) {
    if let Some(directory) = file.parent() {
        // Without it lines are kept for this session only.
        let _ = std::fs::create_dir_all(directory);
    }
}

fn edit_lines(
    mut editor: PathEditor,
    history_file: Option<&Path>,
    asked: &sync_mpsc::Receiver<String>,
    answer: &mpsc::Sender<Line>,
) {
    while let Ok(prompt) = asked.recv() {
        let line = match editor.readline(&prompt) {
            Ok(text) => {
                if is_kept(&text) && editor.add_history_entry(&text).unwrap_or(false) {
                    // A full disk must not stop the shell.
                    let _ = history_file.map(|file| editor.append_history(file));
                }
                Line::Text(text)
            }
            Err(ReadlineError::Interrupted) => Line::Interrupted,
            Err(ReadlineError::Eof) => Line::End,
            Err(ReadlineError::Io(why)) if why.kind() == io::ErrorKind::Interrupted => Line::Interrupted,
            Err(why) => Line::Failed(why.to_string()),
        };
        let ends = matches!(line, Line::End | Line::Failed(_));
        if answer.blocking_send(line).is_err() || ends {
            return;
        }
    }
}

/// Passwords do not go to disk.
fn is_kept(line: &str) -> bool {
    !line.trim().is_empty() && !line.trim_start().starts_with("addauth")
}

/// A longer line ends the shell: a node's data cannot be as long.
const LINE_BYTES_MAX: u64 = 16 << 20;
/// Lines kept in the history file.
const HISTORY_FILE_LINES_MAX: usize = 1000;
/// Events that wait for the terminal; more are printed where the cursor stands.
const PRINTS_MAX: usize = 256;
