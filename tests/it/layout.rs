//! Where things stand on a host: two slots and a link, a unit that takes any path, an older layout taken over.

use crate::ensemble::{SOON, Writer, kazoo_script};
use crate::lab::Lab;
use crate::run::{eventually, figure, time};

/// The unit as an older zkops wrote it.
const OLD_UNIT: &str = "# managed by zkops: node-N of cluster orders
[Unit]
Description=zkops coordination server: node-N of orders
Wants=network-online.target
After=network-online.target
# A server that cannot start says why in its journal; five tries in a minute are enough to say it.
StartLimitIntervalSec=60
StartLimitBurst=5

[Service]
ExecStart=/export/server/zkops/bin/zkops server /export/server/zkops/conf/zoo.cfg
Restart=on-failure
RestartSec=2
TimeoutStopSec=30
LimitNOFILE=65536
NoNewPrivileges=yes
PrivateTmp=yes
ProtectSystem=full

[Install]
WantedBy=multi-user.target
";

/// Makes of a deployment what an older zkops would have left: bin and conf, all of it root's.
const AGE: &str = "set -e; cd /export/server/zkops; systemctl stop zkops-orders; mkdir bin conf
cp current/zkops bin/zkops; cp current/zoo.cfg conf/zoo.cfg; chmod 644 conf/zoo.cfg; chmod 755 var
rm -r slots current dynamic; chown -R root:root /export/data/zkdata
find /export/data/zkdata -type f -exec chmod 644 {} +; find /export/data/zkdata -type d -exec chmod 750 {} +
sed -i /made_user/d var/journal.jsonl; userdel zkops
cat >/etc/systemd/system/zkops-orders.service; systemctl daemon-reload; systemctl start zkops-orders";

#[test]
fn a_deployment_of_an_older_zkops_is_rolled_over_under_a_writer() {
    let lab = Lab::up(3);
    let inventory = lab.inventory("");
    lab.zkops(&["deploy", &inventory]).ok();
    for node in 1..=3 {
        let unit = OLD_UNIT.replace("node-N", &format!("node-{node}"));
        let script = AGE.replace(
            "cat >/etc/systemd/system/zkops-orders.service;",
            &format!("cat >/etc/systemd/system/zkops-orders.service <<'END'\n{unit}END\n"),
        );
        lab.on(node, &script).ok();
    }
    lab.await_healthy();
    let plan = lab.zkops(&["plan", &inventory]).expect(8);
    for words in [
        "node-1, node-2 and node-3 stand as an older zkops deployed them",
        "replace the server of node-1",
        "/export/data/zkdata belongs to zkops [now root's]",
        "run from slots/a",
        "remove the older layout",
    ] {
        plan.says(words);
    }
    let hosts: Vec<String> = (1..=3).map(|node| format!("{}:2181", Lab::ip(node))).collect();
    let [python, script] = kazoo_script("writer.py");
    let mut writer = Writer::start(lab.ctl_command(&[&python, &script, &hosts.join(","), "/written"]));
    let deployed = lab.zkops(&["deploy", &inventory]).ok();
    writer.await_acks(20);
    time("an old deployment rolled over", deployed.took);
    figure("a writer meanwhile", writer.finish());
    for node in 1..=3 {
        let seen = lab.on(
            node,
            "ps -o user= -C zkops | sort -u; stat -c %U:%a /export/data/zkdata; ls -A /export/server/zkops; \
             find /export/data/zkdata ! -user zkops",
        );
        assert_eq!(seen.ok().stdout, "zkops\nzkops:700\ncurrent\ndynamic\nslots\nvar\n", "node-{node}");
    }
    lab.zkops(&["deploy", &inventory]).ok().says("nothing to do");
}

/// An inventory of one member on host 1.
fn one(lab: &Lab, cluster: &str, port: u16, dirs: &str) -> String {
    let dir = lab.dir().display().to_string();
    let (quorum, election, ip) = (port + 1, port + 2, Lab::ip(1));
    let text = format!(
        "cluster: {cluster}\nssh: {{ user: root, key: {dir}/id, known_hosts: {dir}/known_hosts }}\nnodes:\n  n1:\n    \
         id: 1\n    ip: {ip}\n    ports: {{ client: {port}, quorum: {quorum}, election: {election} }}\n{dirs}"
    );
    lab.write(&format!("{cluster}.yml"), &text)
}

#[test]
fn any_path_works_and_no_number_of_restarts_is_too_many() {
    let lab = Lab::up(1);
    lab.on(1, "mkdir -p '/export/re al' && ln -s '/export/re al' '/export/100% li nk'").ok();
    let dirs = "    install_dir: '/opt/zoo keeper/x%h'\n    data_dir: '/export/100% li nk'\n";
    let inventory = one(&lab, "blank", 2181, dirs);
    let first = lab.zkops(&["deploy", &inventory]).ok();
    first.says("/export/100% li nk belongs to zkops");
    lab.on(1, "systemd-analyze verify /etc/systemd/system/zkops-blank.service").ok();
    lab.zkops(&["deploy", &inventory]).ok().says("nothing to do");

    let pid = || lab.on(1, "systemctl show -p MainPID --value zkops-blank").ok().stdout.trim().to_owned();
    for _ in 0..6 {
        let before = pid();
        lab.zkops(&["restart"]).ok();
        assert_ne!(pid(), before, "it was not restarted");
    }
    for _ in 0..6 {
        let before = pid();
        lab.on(1, "systemctl kill -s KILL zkops-blank").ok();
        eventually("the unit starts it again", SOON, || {
            let now = pid();
            if now != "0" && now != before { Ok(()) } else { Err(now) }
        });
    }
    lab.await_healthy();

    // What is new is switched with the restart and not before: an end in between changes nothing.
    let link = "readlink '/opt/zoo keeper/x%h/current'";
    assert_eq!(lab.on(1, link).ok().stdout.trim(), "slots/a");
    let changed = one(&lab, "blank", 2181, &format!("{dirs}    zoo: {{ tickTime: 1000 }}\n"));
    let deployed = lab.zkops(&["deploy", &changed]).ok();
    deployed.says("run from slots/b");
    assert_eq!(lab.on(1, link).ok().stdout.trim(), "slots/b");
    lab.on(1, "grep -q tickTime=2000 '/opt/zoo keeper/x%h/slots/a/zoo.cfg'").ok();
    // Data that cannot be its server's: it is not tried over and over.
    let wrong = "systemctl stop zkops-blank; sed -i 's/\"blank\"/\"other\"/' '/export/re al/zkops.json'; \
                 systemctl start zkops-blank";
    lab.on(1, wrong).ok();
    eventually("it gave up", SOON, || {
        let shown =
            lab.on(1, "systemctl show -p ActiveState,ExecMainStatus,NRestarts zkops-blank").ok().stdout;
        let gave_up = ["ActiveState=failed", "ExecMainStatus=3", "NRestarts=0"];
        if gave_up.iter().all(|word| shown.contains(word)) { Ok(()) } else { Err(shown) }
    });
    lab.on(1, "sed -i 's/\"other\"/\"blank\"/' '/export/re al/zkops.json'").ok();

    // Beside it, one that systemd alone could not start.
    let dirs = "    install_dir: \"/opt/it's $5 \\\"x\\\"\\\\y\"\n    data_dir: \"/export/$HOME's \\\\d\"\n";
    let odd = one(&lab, "odd", 2191, dirs);
    lab.zkops(&["deploy", &odd]).ok();
    lab.zkops(&["deploy", &odd]).ok().says("nothing to do");
    lab.on(1, "systemd-analyze verify /etc/systemd/system/zkops-odd.service").ok();
    lab.zkops(&["destroy", "--yes", "--cluster", "odd", "--data", "-i", &odd]).ok();
    lab.on(1, "id zkops && test ! -e /export/\\$HOME* && test ! -e /opt/it*").ok();

    // Both the link and what it names.
    let destroyed = lab.zkops(&["destroy", "--yes", "--cluster", "blank", "--data", "-i", &changed]).ok();
    destroyed.says("/export/re al");
    lab.on(
        1,
        "test ! -e '/export/re al' && test ! -L '/export/100% li nk' && test ! -e '/opt/zoo keeper/x%h'",
    )
    .ok();
    lab.on(1, "! id zkops").ok();
}
