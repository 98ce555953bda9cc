//! Least privilege: whom servers run as, what they may write, who may read what they keep.

use crate::lab::{Lab, Make};

#[track_caller]
fn said(lab: &Lab, command: &str) -> String {
    lab.on(1, command).ok().stdout
}

/// The user of the one server, and who owns its data.
const WHO: &str = "ps -o user:20=,args= -C zkops | grep ' server ' | cut -d' ' -f1 | sort -u; stat -c %U /export/data/zkdata; \
                   find /export/data/zkdata -mindepth 1 -printf '%u\\n' | sort -u";

#[test]
fn a_server_runs_as_its_own_user_and_may_write_its_data_alone() {
    let lab = Lab::up(1);
    let inventory = lab.inventory("");
    lab.zkops(&["deploy", &inventory]).ok();
    assert_eq!(said(&lab, WHO), "zkops\nzkops\nzkops\n");
    let entry = said(&lab, "getent passwd zkops");
    assert!(entry.trim().ends_with(":/nonexistent:/usr/sbin/nologin"), "{entry}");
    let modes = said(
        &lab,
        "cd /export/server/zkops; stat -L -c '%a %U %G %n' current/zkops current/zoo.cfg var dynamic /export/data/zkdata; \
         find /export/data/zkdata -mindepth 1 -type d -printf '%m dir\\n' -o -type f -printf '%m file\\n' | sort -u",
    );
    assert_eq!(
        modes,
        "755 root root current/zkops\n640 root zkops current/zoo.cfg\n700 root root var\n700 zkops zkops dynamic\n\
         700 zkops zkops /export/data/zkdata\n600 file\n700 dir\n"
    );
    let shown = said(&lab, "systemctl show zkops-orders");
    for line in [
        "User=zkops",
        "Group=zkops",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateTmp=yes",
        "UMask=0077",
        "LimitNOFILE=",
        "StartLimitIntervalUSec=0",
        "RestartPreventExitStatus=3",
        "Restart=on-failure",
        "ReadWritePaths=/export/data/zkdata /export/server/zkops/dynamic",
    ] {
        assert!(shown.lines().any(|said| said.starts_with(line)), "{line} is not in:\n{shown}");
    }
    assert!(
        shown
            .lines()
            .any(|line| line.starts_with("RequiresMountsFor=") && line.contains("/export/data/zkdata"))
    );

    // Another user: the data changes hands at the restart, and a file that an administrator left with it.
    lab.on(
        1,
        "useradd --system alice; echo note >/export/data/zkdata/zkops.old-note; cat /etc/passwd >/root/keep",
    )
    .ok();
    lab.on(1, "ln -s /root/keep /export/data/zkdata/zkops.old-link; chown -h alice /export/data/zkdata/zkops.old-link").ok();
    let inventory = lab.inventory("user: alice\n");
    // A link to what is not hers stops it, with everything as it can be mended.
    let stopped = lab.zkops(&["deploy", &inventory]).expect(5);
    stopped.says("zkops.old-link").says("it is a link to /root/keep");
    assert_eq!(said(&lab, "stat -c %U /root/keep"), "root\n", "no link is followed");
    assert_eq!(said(&lab, "stat -c %U /export/data/zkdata/myid"), "zkops\n", "nothing is half done");
    lab.on(1, "rm /export/data/zkdata/zkops.old-link").ok();
    lab.zkops(&["deploy", &inventory]).ok().says("dynamic belong to alice");
    assert_eq!(said(&lab, WHO), "alice\nalice\nalice\n");
    lab.zkops(&["deploy", &inventory]).ok().says("nothing to do");
    // Not named any more: whose the data is, stays.
    lab.zkops(&["deploy", &lab.inventory("")]).ok().says("nothing to do");

    lab.zkops(&["destroy", "--yes"]).ok().says("the user zkops, which deploy made, stays");
    lab.zkops(&["deploy", &lab.inventory("user: root\n")]).ok();
    assert_eq!(said(&lab, WHO), "root\nroot\nroot\n");
}

#[test]
fn without_systemd_and_without_root_servers_are_whose_they_can_be() {
    let lab = Lab::made(1, &Make { firewalls: Some("none"), plain: true, ..Make::default() });
    let inventory = lab.inventory("");
    lab.zkops(&["deploy", &inventory]).ok();
    let servers = "ps -o user:20=,args= -C zkops | grep ' server ' | cut -d' ' -f1";
    assert_eq!(said(&lab, servers), "zkops\n");
    assert_eq!(said(&lab, "stat -c %U:%a /export/data/zkdata"), "zkops:700\n");
    lab.zkops(&["deploy", &inventory]).ok().says("nothing to do");
    lab.zkops(&["destroy", "--yes", "--cluster", "orders", "--data"]).ok();
    lab.on(1, "! id zkops").ok();
    assert_eq!(said(&lab, "find /export -mindepth 1 ! -name lost+found"), "", "an empty directory is left");

    // A user without sudo keeps what is theirs.
    lab.on(1, "mkdir -p /export/ops && chown ops /export/ops").ok();
    let dir = lab.dir().display().to_string();
    let text = format!(
        "cluster: rootless\nssh: {{ user: ops, key: {dir}/id, known_hosts: {dir}/known_hosts }}\nnodes:\n  \
         n1: {{ id: 1, ip: {}, install_dir: /export/ops/zkops, data_dir: /export/ops/data }}\n",
        Lab::ip(1)
    );
    let inventory = lab.write("rootless.yml", &text);
    lab.zkops(&["deploy", &inventory]).ok();
    assert_eq!(said(&lab, servers), "ops\n");
    assert_eq!(said(&lab, "stat -c %U:%a /export/ops/data /export/ops/zkops/var"), "ops:700\nops:700\n");
    lab.zkops(&["deploy", &inventory]).ok().says("nothing to do");
    lab.zkops(&["destroy", "--yes", "--cluster", "rootless", "--data", "-i", &inventory]).ok();
}
