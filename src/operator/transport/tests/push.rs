//! Getting the binary onto real servers: interrupted, onto full, read-only and noexec file
//! systems, onto hosts that lack tools; and a host's clock.

use std::fs;
use std::path::Path;

use tokio::sync::Notify;

use super::lab::{Lab, eventually, program, soon};
use crate::operator::transport::binary::LocalBinary;
use crate::operator::transport::bootstrap::Install;
use crate::operator::transport::error::{Error, Fault};
use crate::operator::transport::target::{Escalation, SshTarget, Target};

fn fault(error: Error) -> Fault {
    match error {
        Error::Install { fault, .. } => fault,
        other => panic!("{other}"),
    }
}

async fn binary(lab: &Lab, noise: usize) -> LocalBinary {
    LocalBinary::open(&program(lab, "program", noise)).await.unwrap()
}

#[tokio::test]
async fn bootstrap_over_ssh_uploads_once() {
    let lab = Lab::new();
    let sshd = lab.sshd("node-1");
    let binary = binary(&lab, 3 << 20).await;
    let install = Install::at(lab.text("host/opt/bin/zkops"));
    let connection = lab.dialer().open(&lab.target(&sshd), soon()).await.unwrap();
    let first = connection.bootstrap(&binary, &install, None, soon()).await.unwrap();
    assert!(first.uploaded && first.bytes_sent > 3 << 20, "{first:?}");
    assert_eq!(fs::read(&install.path).unwrap(), fs::read(binary.path()).unwrap());
    let second = connection.bootstrap(&binary, &install, None, soon()).await.unwrap();
    assert!(!second.uploaded && second.bytes_sent == 0, "{second:?}");
}

#[tokio::test]
async fn bootstrap_works_through_sudo() {
    let lab = Lab::new();
    let sshd = lab.sshd("node-1");
    let sudo = lab.script("sudo", "#!/bin/sh\nshift 2\nexec \"$@\"\n");
    let target = SshTarget { escalation: Escalation::Sudo { path: sudo }, ..lab.ssh(&sshd) };
    let connection = lab.dialer().open(&Target::Ssh(Box::new(target)), soon()).await.unwrap();
    let install = Install::at(lab.text("host/it's/zkops"));
    assert!(connection.bootstrap(&binary(&lab, 0).await, &install, None, soon()).await.unwrap().uploaded);
}

#[tokio::test]
async fn an_interrupted_upload_leaves_nothing() {
    let lab = Lab::new();
    let sshd = lab.sshd("node-1");
    let binary = binary(&lab, 12 << 20).await;
    fs::create_dir(lab.path("host")).unwrap();
    let install = Install::at(lab.text("host/opt/bin/zkops"));
    let connection = lab.dialer().open(&lab.target(&sshd), soon()).await.unwrap();
    let some = Notify::new();
    let progress = |sent: u64, total: u64| {
        assert!(sent < total, "it was to be interrupted before its end");
        some.notify_one();
    };
    tokio::select! {
        done = connection.bootstrap(&binary, &install, Some(&progress), soon()) => panic!("{done:?}"),
        () = some.notified() => {}
    }
    // As when the operator is killed: no goodbye.
    drop(connection);
    let host = lab.path("host");
    tokio::task::spawn_blocking(move || {
        eventually("nothing is left on the host", || fs::read_dir(&host).unwrap().next().is_none());
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn file_systems_that_refuse_are_named() {
    let lab = Lab::new();
    let dirs = ["noexec", "full", "readonly"];
    for dir in dirs {
        fs::create_dir(lab.path(dir)).unwrap();
    }
    let mounts = format!(
        "mount -t tmpfs -o noexec tmpfs {}; mount -t tmpfs -o size=64k tmpfs {}; mount -t tmpfs -o ro tmpfs {}",
        lab.text("noexec"),
        lab.text("full"),
        lab.text("readonly")
    );
    let sshd = lab.sshd_after("node-1", "", &mounts);
    let binary = binary(&lab, 1 << 20).await;
    let connection = lab.dialer().open(&lab.target(&sshd), soon()).await.unwrap();
    let mut faults = Vec::new();
    for dir in dirs {
        let install = Install::at(lab.text(&format!("{dir}/opt/zkops")));
        let error = connection.bootstrap(&binary, &install, None, soon()).await.unwrap_err();
        faults.push(fault(error));
        let left = connection.exec(&format!("ls -A {}", lab.text(dir)), "", soon()).await.unwrap();
        assert_eq!(left.stdout_text(), "", "{dir}");
    }
    let mount = format!("{} is mounted noexec", lab.text("noexec"));
    assert_eq!(faults, [Fault::NoExec { mount }, Fault::DiskFull, Fault::ReadOnly]);
}

#[tokio::test]
async fn a_remount_to_noexec_is_noticed_without_an_upload() {
    let lab = Lab::new();
    fs::create_dir(lab.path("opt")).unwrap();
    let sshd = lab.sshd_after("node-1", "", &format!("mount -t tmpfs tmpfs {}", lab.text("opt")));
    let binary = binary(&lab, 0).await;
    let install = Install::at(lab.text("opt/zkops"));
    let connection = lab.dialer().open(&lab.target(&sshd), soon()).await.unwrap();
    connection.bootstrap(&binary, &install, None, soon()).await.unwrap();
    let remount = format!("mount -o remount,noexec {}", lab.text("opt"));
    connection.exec(&remount, "", soon()).await.unwrap().checked("node-1", &remount).unwrap();
    let error = connection.bootstrap(&binary, &install, None, soon()).await.unwrap_err();
    assert!(matches!(fault(error), Fault::NoExec { .. }));
}

async fn push_with(tools: &[&str]) -> Result<bool, Error> {
    let lab = Lab::new();
    let path = lab.tools(&[&BARE[..], tools].concat());
    let sshd = lab.sshd_with("node-1", &format!("SetEnv PATH={path}"));
    let connection = lab.dialer().open(&lab.target(&sshd), soon()).await.unwrap();
    let install = Install::at(lab.text("opt/zkops"));
    let binary = binary(&lab, 0).await;
    let done = connection.bootstrap(&binary, &install, None, soon()).await;
    assert_eq!(Path::new(&install.path).exists(), done.is_ok());
    if done.is_ok() {
        assert!(!connection.bootstrap(&binary, &install, None, soon()).await?.uploaded);
    }
    done.map(|done| done.uploaded)
}

#[tokio::test]
async fn few_tools_are_enough_and_missing_ones_are_named() {
    assert!(push_with(&["sha256sum", "gzip", "sync"]).await.unwrap());
    assert!(push_with(&["openssl", "gzip", "sync"]).await.unwrap());
    let error = push_with(&["gzip"]).await.unwrap_err();
    assert!(error.to_string().contains("the host has none of sha256sum, shasum and openssl"), "{error}");
    let error = push_with(&["sha256sum"]).await.unwrap_err();
    assert!(error.to_string().contains("the host has none of gzip and gunzip"), "{error}");
}

#[tokio::test]
async fn a_hosts_clock_is_measured_through_its_own_date() {
    let lab = Lab::new();
    let ahead = "#!/bin/sh\necho $(( $(/bin/date +%s%N) + 90000000000 ))\n";
    lab.script("bin/date", ahead);
    let path = format!("{}:/usr/bin:/bin", lab.text("bin"));
    let sshd = lab.sshd_with("node-1", &format!("SetEnv PATH={path}"));
    let connection = lab.dialer().open(&lab.target(&sshd), soon()).await.unwrap();
    let clock = connection.clock_offset(soon()).await.unwrap();
    assert!((clock.offset_ms - 90_000.0).abs() <= clock.bound_ms, "{clock:?}");

    lab.script("bin/date", "#!/bin/sh\nexec /bin/date +%s\n");
    let clock = connection.clock_offset(soon()).await.unwrap();
    assert!(clock.offset_ms.abs() <= clock.bound_ms && clock.bound_ms >= 500.0, "{clock:?}");

    lab.script("bin/date", "#!/bin/sh\necho no clock here >&2; exit 1\n");
    let error = connection.clock_offset(soon()).await.unwrap_err();
    assert!(matches!(&error, Error::Command { stderr, .. } if stderr.contains("no clock here")), "{error}");
}

/// What the scripts may rely on beside one hasher and one unpacker; `sync` and `rmdir` where there.
const BARE: [&str; 8] = ["sh", "cat", "mkdir", "chmod", "mv", "rm", "uname", "true"];
