//! A terminal to run programs in, as a person sees them: tmux with a server of its own.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::run::{Ended, eventually, run};

/// How long the screen may take to show something on a busy machine.
const SHOWN: Duration = Duration::from_secs(90);

/// One window, 120 columns wide. It goes when dropped, with what runs in it.
pub(crate) struct Terminal {
    dir: tempfile::TempDir,
    socket: String,
}

impl Terminal {
    /// Runs `command` (words for a shell) with these variables; its exit status is shown at the end.
    #[track_caller]
    pub(crate) fn start(command: &str, env: &[(&str, &str)]) -> Terminal {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let dir = tempfile::tempdir().expect("a temporary directory");
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let socket = dir.path().join(format!("tmux-{number}")).display().to_string();
        let terminal = Terminal { dir, socket };
        let env: String = env.iter().map(|(key, value)| format!("{key}='{value}' ")).collect();
        // It begins when everything it prints is recorded, and ends when the terminal goes.
        let script = format!("read -r go; {env}{command}; echo \"exit status $?\"; exec cat >/dev/null");
        let size = ["-x", "120", "-y", "40"];
        // Whoever runs the tests may ignore signals: a person at a terminal does not.
        let shell = ["env", "--default-signal", "sh", "-c", &script];
        terminal.tmux(&[&["-f", "/dev/null", "new-session", "-d"], &size[..], &shell].concat()).ok();
        terminal.tmux(&["pipe-pane", "-o", &format!("cat >'{}'", terminal.record().display())]).ok();
        terminal.keys(&["Enter"]);
        terminal
    }

    /// Text, letter by letter, without Enter.
    #[track_caller]
    pub(crate) fn text(&self, text: &str) {
        self.tmux(&["send-keys", "-l", "--", text]).ok();
    }

    /// Keys by tmux's names.
    #[track_caller]
    pub(crate) fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat()).ok();
    }

    #[track_caller]
    pub(crate) fn line(&self, text: &str) {
        self.text(text);
        self.keys(&["Enter"]);
    }

    /// What is on the screen, and what scrolled away above it.
    #[track_caller]
    pub(crate) fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-J", "-S", "-"]).ok().stdout
    }

    /// Only what is on the screen now.
    #[track_caller]
    pub(crate) fn visible(&self) -> String {
        self.tmux(&["capture-pane", "-p"]).ok().stdout
    }

    /// Every byte that was printed, escape sequences included.
    pub(crate) fn recorded(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.record()).unwrap_or_default()).into_owned()
    }

    /// Waits until the screen shows `text`.
    #[track_caller]
    pub(crate) fn await_text(&self, text: &str) -> String {
        self.await_screen(text, |screen| screen.contains(text))
    }

    #[track_caller]
    pub(crate) fn await_screen(&self, what: &str, good: impl Fn(&str) -> bool) -> String {
        struct Shown(String);
        impl std::fmt::Debug for Shown {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "the screen shows\n{}", self.0.trim_end())
            }
        }
        eventually(what, SHOWN, || {
            let screen = self.screen();
            if good(&screen) { Ok(screen) } else { Err(Shown(screen)) }
        })
    }

    /// Waits until the program has ended with `code`; gives the screen.
    #[track_caller]
    pub(crate) fn ends(&self, code: i32) -> String {
        let screen = self.await_text("exit status ");
        assert!(screen.contains(&format!("exit status {code}\n")), "it did not end with {code}:\n{screen}");
        screen
    }

    /// Something else than the shell that it was started with runs in the foreground.
    #[track_caller]
    pub(crate) fn is_at_work(&self) -> bool {
        let asked = run("tmux", &["-S", &self.socket, "list-panes", "-F", "#{pane_current_command}"], &[]);
        // Without a window nothing is at work any more.
        asked.code == 0 && asked.stdout.trim() == "zkops"
    }

    fn record(&self) -> PathBuf {
        self.dir.path().join("record")
    }

    #[track_caller]
    fn tmux(&self, args: &[&str]) -> Ended {
        run(
            "tmux",
            &[&["-S", &self.socket], args].concat(),
            &[("TERM", "xterm-256color"), ("LC_ALL", "C.UTF-8")],
        )
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Nothing depends on it: the server may have ended with its last window.
        let _ = Command::new("tmux").args(["-S", &self.socket, "kill-server"]).output();
    }
}
