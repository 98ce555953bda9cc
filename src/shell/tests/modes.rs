//! The shell as a program: one command, a pipe, exit codes, servers that are not there.

use std::io::{self, Cursor, Write};

use super::{Said, check, china, once, script, strings};
use crate::client::fake::Fake;
use crate::shell::run::run_in;
use crate::shell::verbs::usage;
use crate::shell::{Input, Io};

#[tokio::test]
async fn one_command_prints_its_result_and_nothing_else() {
    let fake = Fake::start().await;
    assert_eq!(once(&fake, &["create", "/a", "two words"]).await, (0, String::new(), "Created /a\n".into()));
    let (code, out, err) = once(&fake, &["get", "/a"]).await;
    assert_eq!((code, out.as_str()), (0, "two words\n"), "the old form's Stat block is on stderr");
    assert!(err.starts_with("cZxid = 0x"), "{err}");
    assert_eq!(once(&fake, &["ls", "-R", "/a"]).await, (0, "/a\n".into(), String::new()));
    assert_eq!(once(&fake, &["ls", "/no"]).await, (1, String::new(), "Node does not exist: /no\n".into()));
    assert_eq!(once(&fake, &["set", "/a"]).await.0, 1);
    assert_eq!(once(&fake, &["quit"]).await, (0, String::new(), String::new()));
    assert_eq!(fake.session_count(), 0, "every session was closed");
}

#[tokio::test]
async fn an_unknown_command_exits_127_with_the_usage() {
    let fake = Fake::start().await;
    let expected = format!("{}\nCommand not found: Command not found nosuch\n", usage());
    assert_eq!(once(&fake, &["nosuch"]).await, (127, String::new(), expected.clone()));
    check(&fake, "nosuch\n", &expected, 127).await;
}

#[tokio::test]
async fn a_script_exits_with_its_last_commands_code() {
    let fake = Fake::start().await;
    for (lines, code) in [
        ("", 0),
        ("ls /\n", 0),
        ("ls /no\n", 1),
        ("ls /no\nls /\n", 0),
        ("ls /no\nquit\n", 1),
        ("ls /no\nexit\nls /\n", 1),
        ("ls /\nnosuch", 127),
        ("nosuch\n\n \n", 127),
    ] {
        assert_eq!(script(&fake, lines).await.0, code, "{lines:?}");
    }
}

#[tokio::test]
async fn help_and_version_need_no_server() {
    let said = Said::default();
    let io = || said.io(Input::Lines(Box::new(Cursor::new(""))), false);
    let server = nobody().await;
    for command in ["help", "version"] {
        assert_eq!(run_in(&strings(&["-server", &server, command]), io(), china()).await, 0);
    }
    assert!(said.out().starts_with(&usage()), "{}", said.out());
    assert!(said.out().contains("as ZooKeeper 3.4 did"));
    let fake = Fake::start().await;
    let get = "get [-s] [-w] [-b] [-x] path\n -b   Output data in base64 format\n \
               -s   Print znode stats additionally\n -w   Watch for changes on the znode\n \
               -x   Output data in hexdump format\n\n";
    check(&fake, "help get\n", get, 0).await;
    check(&fake, "get\n", get, 1).await;
    check(&fake, "help nosuch\n", "There is no command nosuch; help lists them\n", 1).await;
    check(&fake, "ls -?\n", "ls [-s] [-w] [-R] path\n", 1).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_with_its_reason() {
    let said = Said::default();
    let server = nobody().await;
    for args in [
        vec!["-server", &server, "-timeout", "300", "ls", "/"],
        vec!["-server", &server, "-timeout", "300", "-waitforconnection"],
    ] {
        let io = said.io(Input::Lines(Box::new(Cursor::new("ls /\n"))), false);
        assert_eq!(run_in(&strings(&args), io, china()).await, 1);
        let last = said.err().lines().last().unwrap().to_owned();
        assert!(last.starts_with(&format!("Not connected to {server} within 300 ms ({server}: ")), "{last}");
        assert!(last.contains("refused"), "{last}");
    }
    assert!(!said.out().contains("Welcome"));
}

#[tokio::test]
async fn a_pipe_without_a_server_fails_each_command() {
    let said = Said::default();
    let server = nobody().await;
    let io = said.io(Input::Lines(Box::new(Cursor::new("ls /\nversion\nget /x\n"))), false);
    assert_eq!(run_in(&strings(&["-server", &server]), io, china()).await, 1);
    assert_eq!(
        said.err(),
        "KeeperErrorCode = ConnectionLoss for /\nKeeperErrorCode = ConnectionLoss for /x\n"
    );
}

#[tokio::test]
async fn bad_program_options_exit_2() {
    for (args, says) in [
        (&["-server"][..], "Error: no argument found for option -server\n"),
        (&["-server", "a:b", "ls", "/"], "server \"a:b\": the port must be a number from 1 to 65535\n"),
    ] {
        let said = Said::default();
        let io = said.io(Input::Lines(Box::new(Cursor::new(""))), false);
        assert_eq!(run_in(&strings(args), io, china()).await, 2);
        assert_eq!(said.both(), says);
    }
}

#[tokio::test]
async fn a_chroot_is_the_shells_root() {
    let fake = Fake::start().await;
    script(&fake, "create /app\ncreate /app/x 1\n").await;
    let said = Said::default();
    let io = said.io(Input::Lines(Box::new(Cursor::new("ls /\ncreate /y\nsetquota -n 1 /y\n"))), false);
    let server = format!("{}/app", fake.server());
    assert_eq!(run_in(&strings(&["-server", &server]), io, china()).await, 1);
    assert!(
        said.both().ends_with(
            "[x]\nCreated /y\nquotas lie in /zookeeper/quota, outside of /app: connect without a chroot\n"
        ),
        "{}",
        said.both()
    );
    check(&fake, "ls /app\n", "[x, y]\n", 0).await;
}

/// A stream whose reader has gone.
struct Gone;

impl Write for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_closed_standard_output_ends_the_shell() {
    let fake = Fake::start().await;
    let endless = Input::Lines(Box::new(io::BufReader::new(Endless)));
    let io = Io { input: endless, out: Box::new(Gone), err: Box::new(Vec::new()), terminal: false };
    assert_eq!(run_in(&strings(&["-server", &fake.server()]), io, china()).await, 0);
}

/// `ls /` for ever.
struct Endless;

impl io::Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let line = b"ls /\n";
        buffer[..line.len()].copy_from_slice(line);
        Ok(line.len())
    }
}

/// An address where nobody listens.
async fn nobody() -> String {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    listener.local_addr().unwrap().to_string()
}
