//! Reaching and logging in to real OpenSSH servers: keys, agents, jump hosts, dead hosts; and commands on them.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout_at};

use super::lab::{Agent, Answers, Lab, run, soon, tried};
use crate::operator::transport::dialer::{Dialer, Settings};
use crate::operator::transport::error::Error;
use crate::operator::transport::exec::OUTPUT_MAX;
use crate::operator::transport::question::Question;
use crate::operator::transport::status::Status;
use crate::operator::transport::target::{SshTarget, Target};

fn ssh(target: SshTarget) -> Target {
    Target::Ssh(Box::new(target))
}

#[tokio::test]
async fn a_key_logs_in_and_commands_run() {
    let lab = Lab::new();
    let sshd = lab.sshd("node-1");
    let connection = lab.dialer().open(&lab.target(&sshd), soon()).await.unwrap();
    assert_eq!(connection.label(), format!("node-1 (root@127.0.0.1:{})", sshd.port));

    let output = connection.exec("echo out; echo err >&2; exit 3", "", soon()).await.unwrap();
    assert_eq!(output.status, Status::Code(3));
    assert_eq!((output.stdout_text().as_str(), output.stderr_text().as_str()), ("out\n", "err\n"));
    let error = output.checked(connection.label(), "a thing").unwrap_err().to_string();
    assert!(error.contains("`a thing` ended with exit status 3\n    err"), "{error}");

    let killed = connection.exec("kill -TERM $$", "", soon()).await.unwrap();
    assert_eq!(killed.status, Status::Signal("TERM".into()));
    let fed = connection.exec("tr a-z A-Z", "it's \"quoted\" $HOME", soon()).await.unwrap();
    assert_eq!(fed.stdout_text(), "IT'S \"QUOTED\" $HOME");
    let awkward = connection.exec("printf %s 'a  b' \"$((1+1))\" \\! '\n'", "", soon()).await.unwrap();
    assert_eq!(awkward.stdout_text(), "a  b2!\n");
    connection.close().await;
}

#[tokio::test]
async fn output_is_bounded_and_unread_input_does_not_block() {
    let lab = Lab::new();
    let sshd = lab.sshd("node-1");
    let connection = lab.dialer().open(&lab.target(&sshd), soon()).await.unwrap();
    let big = connection.exec("head -c 6000000 /dev/zero; echo end >&2", "", soon()).await.unwrap();
    assert!(big.truncated && big.stdout.len() == OUTPUT_MAX && big.stderr == b"end\n");
    let input = vec![b'x'; 8 << 20];
    let unread = connection.exec("exit 7", input.clone(), soon()).await.unwrap();
    assert_eq!(unread.status, Status::Code(7));
    let counted = connection.exec("wc -c", input, soon()).await.unwrap();
    assert_eq!(counted.stdout_text().trim(), "8388608");
}

#[tokio::test]
async fn one_connection_serves_many_commands_at_once() {
    let lab = Lab::new();
    let sshd = lab.sshd("node-1");
    let connection = Arc::new(lab.dialer().open(&lab.target(&sshd), soon()).await.unwrap());
    // More than sshd's MaxSessions of 10.
    let tasks: Vec<_> = (0..30)
        .map(|i| {
            let connection = connection.clone();
            tokio::spawn(async move { connection.exec(&format!("echo {i}"), "", soon()).await })
        })
        .collect();
    for (i, task) in tasks.into_iter().enumerate() {
        assert_eq!(task.await.unwrap().unwrap().stdout_text(), format!("{i}\n"));
    }
}

#[tokio::test]
async fn a_deadline_ends_a_command_and_frees_its_channel() {
    let lab = Lab::new();
    let sshd = lab.sshd("node-1");
    let connection = lab.dialer().open(&lab.target(&sshd), soon()).await.unwrap();
    // More than we or the server allow at once; sshd counts them until they have ended.
    let command = format!("cd {}; while [ -e key ] && [ ! -e go ]; do sleep 0.02; done", lab.text(""));
    for _ in 0..12 {
        let late = connection.exec(&command, "", Instant::now() + Duration::from_millis(100)).await;
        assert!(
            matches!(&late, Err(Error::Timeout { doing, .. }) if *doing == format!("running `{command}`")),
            "{late:?}"
        );
    }
    fs::write(lab.path("go"), "").unwrap();
    assert!(connection.exec("true", "", soon()).await.unwrap().status.success());
}

#[tokio::test]
async fn a_connection_that_dies_is_reported_as_lost() {
    let lab = Lab::new();
    let sshd = lab.sshd("node-1");
    let connection = lab.dialer().open(&lab.target(&sshd), soon()).await.unwrap();
    let error = connection.exec("kill -9 $PPID; cat", "", soon()).await.unwrap_err();
    assert!(matches!(error, Error::Lost { .. }), "{error}");
    let error = connection.exec("true", "", soon()).await.unwrap_err();
    assert!(matches!(error, Error::Lost { .. }), "{error}");
}

#[tokio::test]
async fn a_host_that_falls_silent_is_lost_long_before_the_deadline() {
    let lab = Lab::new();
    let sshd = lab.sshd("node-1");
    let settings = Settings { keepalive: Duration::from_millis(200), ..lab.settings() };
    let connection = Dialer::new(settings).unwrap().open(&lab.target(&sshd), soon()).await.unwrap();
    // A command that says nothing for many such spans is no silent host.
    let quiet = connection.exec("sleep 2; echo done", "", soon()).await.unwrap();
    assert_eq!(quiet.stdout_text(), "done\n");
    // The process at the other end of the connection stands still: no goodbye, no reset.
    let other_end = connection.exec("echo $PPID", "", soon()).await.unwrap().stdout_text();
    let error = connection.exec("kill -STOP $PPID; cat", "", soon()).await.unwrap_err();
    run("kill", &["-KILL", other_end.trim()]);
    assert!(matches!(error, Error::Lost { .. }), "{error}");
    assert!(error.to_string().contains("no answer to 3 keepalives in a row"), "{error}");
}

#[tokio::test]
async fn a_host_that_dies_while_it_is_sent_to_costs_seconds() {
    let lab = Lab::new();
    let sshd = lab.sshd("node-1");
    let settings = Settings { keepalive: Duration::from_millis(300), ..lab.settings() };
    let connection = Dialer::new(settings).unwrap().open(&lab.target(&sshd), soon()).await.unwrap();
    let other_end = connection.exec("echo $PPID", "", soon()).await.unwrap().stdout_text();
    // More than all buffers on the way hold.
    let sending = connection.exec("kill -STOP $PPID; cat", vec![7u8; 64 << 20], soon());
    let error = timeout_at(soon(), sending).await.expect("it ends").unwrap_err();
    run("kill", &["-KILL", other_end.trim()]);
    assert!(matches!(&error, Error::Lost { host, .. } if host.starts_with("node-1 ")), "{error}");
}

#[tokio::test]
async fn a_stream_carries_both_ways_and_keeps_the_end_of_stderr() {
    let lab = Lab::new();
    let sshd = lab.sshd("node-1");
    let connection = lab.dialer().open(&lab.target(&sshd), soon()).await.unwrap();
    let mut stream = connection.stream("echo warning >&2; cat; exit 4", soon()).await.unwrap();
    let sent: Vec<u8> = (0..3_000_000u32).map(|i| i as u8).collect();
    let (mut reader, mut writer) = tokio::io::split(&mut stream);
    let mut received = Vec::new();
    let (wrote, read) = tokio::join!(
        async {
            writer.write_all(&sent).await?;
            writer.shutdown().await
        },
        reader.read_to_end(&mut received)
    );
    wrote.unwrap();
    read.unwrap();
    assert!(received == sent);
    let ending = stream.finish(soon()).await.unwrap();
    assert_eq!((ending.status, ending.stderr.as_str()), (Status::Code(4), "warning\n"));
}

#[tokio::test]
async fn dropping_a_stream_ends_the_command_on_the_host() {
    let lab = Lab::new();
    let sshd = lab.sshd("node-1");
    let connection = lab.dialer().open(&lab.target(&sshd), soon()).await.unwrap();
    let command = format!("cat; echo > {}", lab.text("ended"));
    for _ in 0..12 {
        drop(connection.stream(&command, soon()).await.unwrap());
    }
    let ended = lab.path("ended");
    tokio::task::spawn_blocking(move || super::lab::eventually("cat saw its end", || ended.exists()))
        .await
        .unwrap();
    assert!(connection.exec("true", "", soon()).await.unwrap().status.success());
}

#[tokio::test]
async fn an_encrypted_key_is_asked_for_once_for_all_hosts() {
    let lab = Lab::new();
    lab.make_key("locked", "sesame");
    lab.make_key("other", "nobody knows");
    lab.authorize("locked");
    let (one, two) = (lab.sshd("node-1"), lab.sshd("node-2"));
    let keys = vec![lab.path("other"), lab.path("locked")];
    let answers = Answers::with("sesame");
    let dialer = lab.dialer_asking(&answers);
    let (first, second) = (
        ssh(SshTarget { keys: keys.clone(), ..lab.ssh(&one) }),
        ssh(SshTarget { keys: keys.clone(), ..lab.ssh(&two) }),
    );
    let (a, b) = tokio::join!(dialer.open(&first, soon()), dialer.open(&second, soon()));
    a.unwrap();
    b.unwrap();
    // The key that no server wants was not asked for at all.
    let question = Question::Passphrase { key: lab.path("locked"), attempt: 1 };
    assert_eq!(*answers.asked.lock().unwrap(), [question]);

    let wrong = Answers::with("wrong");
    let error = lab.dialer_asking(&wrong).open(&first, soon()).await.err().unwrap();
    assert_eq!(
        tried(&error),
        format!(
            "{}: refused; {}: encrypted, and the passphrase was wrong",
            lab.text("other"),
            lab.text("locked")
        )
    );
    assert_eq!(wrong.count(), 3);
    let error = lab.dialer().open(&first, soon()).await.err().unwrap();
    assert!(tried(&error).contains("locked: encrypted, and no passphrase was given"), "{error}");
}

#[tokio::test]
async fn an_encrypted_pem_key_works_too() {
    let lab = Lab::new();
    let key = lab.make_key_of("rsa", "pem", "");
    run("ssh-keygen", &["-q", "-p", "-P", "", "-N", "sesame", "-m", "PKCS8", "-f", key.to_str().unwrap()]);
    lab.authorize("pem");
    let sshd = lab.sshd("node-1");
    let target = ssh(SshTarget { keys: vec![key], ..lab.ssh(&sshd) });
    lab.dialer_asking(&Answers::with("sesame")).open(&target, soon()).await.unwrap();
}

#[tokio::test]
async fn other_key_types_log_in() {
    let lab = Lab::new();
    let sshd = lab.sshd("node-1");
    for kind in ["rsa", "ecdsa"] {
        let key = lab.make_key_of(kind, kind, "");
        lab.authorize(kind);
        let target = ssh(SshTarget { keys: vec![key], ..lab.ssh(&sshd) });
        lab.dialer().open(&target, soon()).await.unwrap();
    }
}

#[tokio::test]
async fn a_wrong_or_missing_key_says_what_was_tried() {
    let lab = Lab::new();
    let wrong = lab.make_key("wrong", "");
    fs::write(lab.path("text"), "hello").unwrap();
    let sshd = lab.sshd("node-1");
    let keys = vec![wrong, lab.path("missing"), lab.path("text")];
    let error = lab.dialer().open(&ssh(SshTarget { keys, ..lab.ssh(&sshd) }), soon()).await.err().unwrap();
    let said = tried(&error);
    assert!(said.contains("missing: not found") && said.contains("text: not a private key"), "{said}");
    assert!(said.contains("wrong: refused"), "{said}");
    assert!(error.to_string().contains("zkops ssh-setup"), "{error}");

    let none = SshTarget { keys: Vec::new(), ..lab.ssh(&sshd) };
    let error = lab.dialer().open(&ssh(none), soon()).await.err().unwrap();
    assert!(error.to_string().contains("no key was found"), "{error}");
}

#[tokio::test]
async fn default_keys_and_ssh_config_are_used() {
    let lab = Lab::new();
    let sshd = lab.sshd("node-1");
    let open = SshTarget { keys: Vec::new(), ..lab.ssh(&sshd) };
    fs::copy(lab.path("key"), lab.path("home/.ssh/id_ed25519")).unwrap();
    lab.dialer().open(&ssh(open), soon()).await.unwrap();

    fs::remove_file(lab.path("home/.ssh/id_ed25519")).unwrap();
    let config = format!(
        "Host box\n HostName 127.0.0.1\n Port {}\n User root\n IdentityFile {}\n",
        sshd.port,
        lab.text("key")
    );
    fs::write(lab.path("home/.ssh/config"), config).unwrap();
    lab.dialer().open(&ssh(SshTarget::new("node-1", "box")), soon()).await.unwrap();
}

#[tokio::test]
async fn the_agent_logs_in_and_saves_the_passphrase() {
    let lab = Lab::new();
    let sshd = lab.sshd("node-1");
    let agent = Agent::with_keys(&lab, &["key"]);
    let dialer = |socket| Dialer::new(Settings { agent: Some(socket), ..lab.settings() }).unwrap();
    let no_keys = SshTarget { keys: Vec::new(), ..lab.ssh(&sshd) };
    dialer(agent.socket.clone()).open(&ssh(no_keys.clone()), soon()).await.unwrap();

    // The key file itself is locked by now; the agent holds it open.
    run("ssh-keygen", &["-q", "-p", "-P", "", "-N", "sesame", "-a", "1", "-f", &lab.text("key")]);
    dialer(agent.socket.clone()).open(&lab.target(&sshd), soon()).await.unwrap();

    let error = dialer(lab.path("no.sock")).open(&ssh(no_keys), soon()).await.err().unwrap();
    assert!(tried(&error).contains("no.sock"), "{error}");
}

#[tokio::test]
async fn a_full_agent_does_not_use_up_the_patience_for_the_named_key() {
    let lab = Lab::new();
    let names = ["a1", "a2", "a3", "a4", "a5", "a6", "a7"];
    for name in names {
        lab.make_key(name, "");
    }
    let agent = Agent::with_keys(&lab, &names);
    let sshd = lab.sshd("node-1");
    let settings = Settings { agent: Some(agent.socket.clone()), ..lab.settings() };
    let dialer = Dialer::new(settings.clone()).unwrap();
    dialer.open(&lab.target(&sshd), soon()).await.unwrap();
    // Without a named key they are all tried, and the server says when it has had enough.
    let error =
        dialer.open(&ssh(SshTarget { keys: Vec::new(), ..lab.ssh(&sshd) }), soon()).await.err().unwrap();
    assert!(tried(&error).contains("authentication failures"), "{error}");
    let config = format!("IdentitiesOnly yes\nIdentityFile {}\n", lab.text("key"));
    fs::write(lab.path("home/.ssh/config"), config).unwrap();
    let target = SshTarget { keys: Vec::new(), ..lab.ssh(&sshd) };
    Dialer::new(settings).unwrap().open(&ssh(target), soon()).await.unwrap();
}

#[tokio::test]
async fn a_jump_host_is_dialled_once_and_verified_too() {
    let lab = Lab::new();
    let gate = lab.stranger("gate", "");
    let (one, two) = (lab.sshd("node-1"), lab.sshd("node-2"));
    let behind = |sshd| ssh(SshTarget { jump: Some(Box::new(lab.ssh(&gate))), ..lab.ssh(sshd) });
    let error = lab.dialer().open(&behind(&one), soon()).await.err().unwrap();
    assert!(matches!(&error, Error::HostKeyUnknown { host, .. } if host.starts_with("gate ")), "{error}");

    lab.know(&gate.known_line());
    let dialer = lab.dialer();
    let (first, second) = (behind(&one), behind(&two));
    let (a, b) = tokio::join!(dialer.open(&first, soon()), dialer.open(&second, soon()));
    let output = a.unwrap().exec("echo $SSH_CONNECTION", "", soon()).await.unwrap();
    assert!(output.stdout_text().trim().ends_with(&one.port.to_string()), "{output:?}");
    assert!(b.unwrap().exec("true", "", soon()).await.unwrap().status.success());
    let log = fs::read_to_string(lab.path("gate.log")).unwrap();
    assert_eq!(log.matches("Accepted publickey").count(), 1, "{log}");
}

#[tokio::test]
async fn jump_hosts_nest_through_ssh_config() {
    let lab = Lab::new();
    let (outer, inner, node) = (lab.sshd("outer"), lab.sshd("inner"), lab.sshd("node-1"));
    let config = format!(
        "Host node-1\n ProxyJump outer,inner\nHost outer\n Port {}\nHost inner\n Port {}\nHost *\n HostName 127.0.0.1\n User root\n IdentityFile {}\n",
        outer.port,
        inner.port,
        lab.text("key")
    );
    fs::write(lab.path("home/.ssh/config"), config).unwrap();
    let target = SshTarget { port: Some(node.port), ..SshTarget::new("node-1", "node-1") };
    let connection = lab.dialer().open(&ssh(target), soon()).await.unwrap();
    assert!(connection.exec("true", "", soon()).await.unwrap().status.success());
    let log = fs::read_to_string(lab.path("outer.log")).unwrap();
    assert!(log.contains("Accepted publickey"), "{log}");
}

#[tokio::test]
async fn a_loop_of_jump_hosts_is_found() {
    let lab = Lab::new();
    fs::write(lab.path("home/.ssh/config"), "Host *\n ProxyJump gate\n").unwrap();
    let error = lab.dialer().open(&ssh(SshTarget::new("n", "x")), soon()).await.err().unwrap();
    assert!(error.to_string().contains("ProxyJump loop"), "{error}");
}

#[tokio::test]
async fn what_a_jump_host_cannot_reach_or_will_not_is_unreachable() {
    let lab = Lab::new();
    let gate = lab.sshd("gate");
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let behind = |gate| SshTarget {
        port: Some(closed),
        jump: Some(Box::new(lab.ssh(gate))),
        ..SshTarget::new("node-1", "127.0.0.1")
    };
    let error = lab.dialer().open(&ssh(behind(&gate)), soon()).await.err().unwrap();
    assert!(matches!(&error, Error::Unreachable { why, .. } if why.contains("could not connect")), "{error}");
    let shut = lab.sshd_with("shut", "AllowTcpForwarding no");
    let error = lab.dialer().open(&ssh(behind(&shut)), soon()).await.err().unwrap();
    assert!(
        matches!(&error, Error::Unreachable { why, .. } if why.contains("AllowTcpForwarding")),
        "{error}"
    );
}

#[tokio::test]
async fn connections_dropped_for_max_startups_are_tried_again() {
    let lab = Lab::new();
    let sshd = lab.sshd_with("node-1", "MaxStartups 1");
    let dialer = lab.dialer();
    let target = lab.target(&sshd);
    let opened = futures_util::future::join_all((0..5).map(|_| dialer.open(&target, soon()))).await;
    for connection in opened {
        connection.unwrap();
    }
    let log = fs::read_to_string(lab.path("node-1.log")).unwrap();
    assert!(log.contains("drop connection"), "the test did not provoke what it is about: {log}");
}

#[tokio::test]
async fn a_dead_host_costs_its_deadline_and_delays_nobody() {
    let lab = Lab::new();
    let sshd = lab.sshd("node-1");
    // Accepts connections and never says a word.
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = ssh(SshTarget {
        port: Some(dead.local_addr().unwrap().port()),
        ..SshTarget::new("dead", "127.0.0.1")
    });
    let dialer = Arc::new(lab.dialer());
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let (dialer, silent) = (dialer.clone(), silent.clone());
            tokio::spawn(async move { dialer.open(&silent, soon()).await.map(drop) })
        })
        .collect();
    dialer.open(&lab.target(&sshd), soon()).await.unwrap();
    assert!(waiting.iter().all(|task| !task.is_finished()), "the dead ones were to be waited for still");
    waiting.iter().for_each(tokio::task::JoinHandle::abort);

    let at_once = || Instant::now() + Duration::from_millis(500);
    let error = timeout_at(soon(), dialer.open(&silent, at_once())).await.expect("it ends").err().unwrap();
    assert!(matches!(&error, Error::Timeout { doing, .. } if doing.starts_with("connecting to ")), "{error}");

    // One that stops after its banner.
    let stops = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = stops.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (mut socket, _) = stops.accept().await.unwrap();
        socket.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await.unwrap();
        let _ = socket.read_to_end(&mut Vec::new()).await;
    });
    let stopping = ssh(SshTarget { port: Some(port), ..SshTarget::new("stops", "127.0.0.1") });
    let error = timeout_at(soon(), dialer.open(&stopping, at_once())).await.expect("it ends").err().unwrap();
    assert!(matches!(&error, Error::Timeout { host, .. } if host.starts_with("stops ")), "{error}");
    server.abort();
}

#[tokio::test]
async fn closed_ports_unknown_names_and_other_servers_are_unreachable() {
    let lab = Lab::new();
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let at = |host: &str, port| ssh(SshTarget { port: Some(port), ..SshTarget::new("n", host) });
    let why = async |target: Target| match lab.dialer().open(&target, soon()).await.err().unwrap() {
        Error::Unreachable { why, .. } => why,
        other => panic!("{other}"),
    };
    assert!(why(at("127.0.0.1", closed)).await.contains("refused"));
    assert!(why(at("no-such-host.invalid", 22)).await.contains("cannot be resolved"));
    let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = http.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (mut socket, _) = http.accept().await.unwrap();
        socket.write_all("HTTP/1.1 400 Bad\r\n".repeat(500).as_bytes()).await.unwrap();
        let _ = socket.read(&mut [0u8; 1024]).await;
    });
    assert!(why(at("127.0.0.1", port)).await.contains("invalid SSH version"));
    server.await.unwrap();
}
