//! Running programs and waiting for conditions, with a deadline each.

use std::ffi::OsStr;
use std::fmt::{Debug, Display};
use std::fs::OpenOptions;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The program under test.
pub(crate) const ZKOPS: &str = env!("CARGO_BIN_EXE_zkops");

/// What a program that ended said.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    pub(crate) command: String,
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Ended {
    /// Panics with everything the program said unless it ended with `code`.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Ended {
        assert_eq!(self.code, code, "{self}");
        self
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Ended {
        self.expect(0)
    }

    /// Both outputs, for tests that do not care which.
    pub(crate) fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    #[track_caller]
    pub(crate) fn says(&self, text: &str) -> &Ended {
        assert!(self.all().contains(text), "does not say {text:?}: {self}");
        self
    }
}

impl Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "`{}` ended with {} after {:?}\n--- stdout\n{}\n--- stderr\n{}",
            self.command, self.code, self.took, self.stdout, self.stderr
        )
    }
}

/// A measured figure, for people: in the test's own output, and at the end of `tests/run`. No test passes or fails by one.
#[expect(clippy::print_stdout, reason = "that is what it is for")]
pub(crate) fn figure(what: &str, value: impl Display) {
    println!("{what}: {value}");
    let Some(path) = std::env::var_os("ZKOPS_TEST_FIGURES") else { return };
    let file = OpenOptions::new().append(true).create(true).open(path);
    let told = file.and_then(|mut file| file.write_all(format!("{what}: {value}\n").as_bytes()));
    told.expect("the file is there to be written");
}

/// As [`figure`], a time.
pub(crate) fn time(what: &str, took: Duration) {
    figure(what, format!("{:.2} s", took.as_secs_f64()));
}

/// Runs a program to its end. The caller bounds it: programs under test have deadlines of their own, and
/// this one kills what takes longer than five minutes.
#[track_caller]
pub(crate) fn run(program: impl AsRef<OsStr>, args: &[&str], env: &[(&str, &str)]) -> Ended {
    run_with_stdin(program, args, env, "")
}

#[track_caller]
pub(crate) fn run_with_stdin(
    program: impl AsRef<OsStr>,
    args: &[&str],
    env: &[(&str, &str)],
    stdin: &str,
) -> Ended {
    let started = Instant::now();
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", "300"]).arg(program.as_ref()).args(args).envs(env.iter().copied());
    let shown = format!("{} {}", program.as_ref().to_string_lossy(), args.join(" "));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{shown}: {error}"));
    let mut pipe = child.stdin.take().expect("stdin is piped");
    let input = stdin.to_owned();
    // A program that does not read must not block the test.
    let feeder = std::thread::spawn(move || {
        let _ = pipe.write_all(input.as_bytes());
    });
    let output = child.wait_with_output().expect("a child can be waited for");
    feeder.join().expect("the feeder does not panic");
    Ended {
        command: shown,
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        took: started.elapsed(),
    }
}

/// Asks again and again until there is an answer; panics with the last refusal at the deadline.
#[track_caller]
pub(crate) fn eventually<T, E: Debug>(
    what: &str,
    deadline: Duration,
    mut ask: impl FnMut() -> Result<T, E>,
) -> T {
    let end = Instant::now() + deadline;
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(error) if Instant::now() > end => panic!("{what}: not within {deadline:?}: {error:?}"),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// What a client of the calling thread comes to, in that thread's network namespace.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(work)
}
