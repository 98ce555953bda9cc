//! YAML in; a cluster, or findings with their places, out.

use super::{About, Cluster, Complaint, Connection, Finding, Role, Severity};

fn parse(file: &str, text: &str) -> Result<(Cluster, Vec<Finding>), Vec<Finding>> {
    super::parse(file, text, &|_| Vec::new())
}

/// What the findings of `text` say, one line each: `line:column code offending-text`.
fn findings(text: &str) -> Vec<String> {
    let found = match parse("test.yml", text) {
        Ok((_, warnings)) => warnings,
        Err(found) => found,
    };
    found
        .iter()
        .map(|finding| {
            let place = &finding.places[0];
            format!("{}:{} {} {}", place.line, place.column, finding.code, place.text)
        })
        .collect()
}

#[track_caller]
fn valid(text: &str) -> Cluster {
    match parse("test.yml", text) {
        Ok((cluster, _)) => cluster,
        Err(found) => panic!("{}", found.iter().map(|f| f.render(text, false)).collect::<String>()),
    }
}

#[test]
fn the_shortest_inventory_numbers_its_nodes() {
    let cluster = valid("nodes: [192.168.17.130, 192.168.17.131, 192.168.17.132]");
    assert_eq!(cluster.name, "zookeeper");
    let members: Vec<_> =
        cluster.members.iter().map(|m| (m.name.as_str(), m.id.0, m.host.as_str())).collect();
    assert_eq!(
        members,
        [("node-1", 1, "192.168.17.130"), ("node-2", 2, "192.168.17.131"), ("node-3", 3, "192.168.17.132")]
    );
    let first = &cluster.members[0];
    assert_eq!((first.ports.client, first.ports.quorum, first.ports.election), (2181, 2888, 3888));
    assert_eq!(
        (first.install_dir.as_str(), first.data_dir.as_str()),
        ("/export/server/zkops", "/export/data/zkdata")
    );
}

#[test]
fn the_everyday_inventory_is_read_as_written() {
    let cluster = valid(
        "cluster: orders\nssh: { user: root, key: ~/.ssh/id_ed25519 }\nnodes:\n  node-3: { id: 3, ip: 192.168.17.132 }\n  \
         node-1: { id: 1, ip: 192.168.17.130 }\n  node-2: { id: 2, ip: 192.168.17.131 }\n",
    );
    assert_eq!(cluster.name, "orders");
    assert_eq!(cluster.members.iter().map(|m| m.id.0).collect::<Vec<_>>(), [1, 2, 3], "by id, not by place");
    let Connection::Ssh(ssh) = &cluster.members[0].connection else { panic!("ssh is the default") };
    assert_eq!(ssh.user.as_deref(), Some("root"));
    assert_eq!(ssh.key.as_deref(), Some("~/.ssh/id_ed25519"));
}

#[test]
fn a_node_wins_over_the_defaults_and_keeps_what_it_does_not_say() {
    let cluster = valid(
        "ssh: { user: ops, port: 2200, sudo: /usr/bin/sudo, jump: me@bastion:2222 }\nzoo: { tickTime: 1000, syncLimit: 5 }\n\
         defaults: { data_dir: /data/zk, ports: { client: 3181 } }\nnodes:\n  a: { id: 1, ip: 10.0.0.1 }\n  \
         b: { id: 2, ip: 10.0.0.2, ports: { quorum: 9999 }, ssh: { user: root, sudo: false }, zoo: { syncLimit: 10 } }\n  \
         c: { id: 3, ip: db.example.com, role: observer }\n  d: { id: 4, ip: '::1' }\n  e: { id: 5, ip: 10.0.0.5 }\n",
    );
    let b = &cluster.members[1];
    assert_eq!((b.ports.client, b.ports.quorum), (3181, 9999));
    assert_eq!(b.data_dir, "/data/zk");
    assert_eq!(
        b.zoo.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>(),
        ["syncLimit=10", "tickTime=1000"]
    );
    let Connection::Ssh(ssh) = &b.connection else { panic!("ssh") };
    assert_eq!((ssh.user.as_deref(), ssh.port, ssh.sudo.as_deref()), (Some("root"), Some(2200), None));
    let jump = ssh.jump.as_ref().expect("from the file");
    assert_eq!((jump.user.as_deref(), jump.host.as_str(), jump.port), (Some("me"), "bastion", Some(2222)));
    assert_eq!(cluster.members[2].role, Role::Observer);
}

#[test]
fn local_nodes_get_directories_of_their_own() {
    let cluster = valid(include_str!("../../../inventories/local.yml"));
    assert!(cluster.members.iter().all(|m| m.connection == Connection::Local));
    assert_eq!(cluster.members[1].data_dir, "~/.zkops/local/node-2/data");
}

#[test]
fn every_shipped_inventory_is_valid_without_a_warning() {
    for text in [
        include_str!("../../../inventories/local.yml"),
        include_str!("../../../inventories/three-nodes.yml"),
        include_str!("../../../inventories/five-with-observer.yml"),
    ] {
        valid(text);
        assert_eq!(findings(text), Vec::<String>::new());
    }
}

#[test]
fn every_mistake_is_found_where_it_was_made() {
    let mut wrong = String::new();
    for (text, expected) in [
        ("", &["1:1 empty "][..]),
        ("nodes: [", &["1:9 yaml "]),
        ("nodes:\n\t- 10.0.0.1\n", &["2:1 yaml \\t"]),
        ("cluster: x\n", &["1:1 no-nodes "]),
        ("nodes: {}\n", &["1:1 no-voters nodes"]),
        ("nodes: [10.0.0.1, 10.0.0.1, 10.0.0.2]\n", &["1:19 duplicate-ip 10.0.0.1"]),
        ("nodes: [10.0.0.1, 10.0.0.256, 10.0.0.2]\n", &["1:19 address 10.0.0.256"]),
        ("nodes: ['http://x', 10.0.0.2:2181]\n", &["1:9 address 'http://x'", "1:21 address 10.0.0.2:2181"]),
        ("nodes: [0.0.0.0, 10.0.0.2, 10.0.0.3]\n", &["1:9 address 0.0.0.0"]),
        ("nodes: [10.0.0.1, 10.0.0.2]\n", &["1:1 even-voters nodes"]),
        ("nodes: [10.0.0.1]\n", &["1:1 lone-voter nodes"]),
        ("nodes:\n  a: { id: two, ip: 10.0.0.1 }\n", &["2:12 number two"]),
        ("nodes:\n  a: { id: 256, ip: 10.0.0.1 }\n", &["2:12 number 256"]),
        ("nodes:\n  a: { ip: 10.0.0.1 }\n", &["2:3 missing-key a"]),
        (
            "nodes:\n  a: { id: 1, ip: 10.0.0.1 }\n  b: { id: 1, ip: 10.0.0.2 }\n  c: { id: 3, ip: 10.0.0.3 }\n",
            &["3:12 duplicate-id 1"],
        ),
        ("nodes:\n  a: { id: 1, ip: 10.0.0.1 }\n  a: { id: 2, ip: 10.0.0.2 }\n", &["3:3 duplicate-key a"]),
        (
            "connection: local\nnodes:\n  a: { id: 1, ip: 127.0.0.1 }\n  b: { id: 2, ip: 127.0.0.1, ports: { client: 2182, quorum: 2888, election: 3889 } }\n  c: { id: 3, ip: 10.0.0.1 }\n",
            &["4:61 duplicate-port 2888"],
        ),
        (&format!("ssh: {{ usr: root }}\n{THREE}"), &["1:8 unknown-key usr"]),
        (&format!("ssh: {{ user: -oProxyCommand=x }}\n{THREE}"), &["1:14 user -oProxyCommand=x"]),
        ("nodes: [-oX@10.0.0.1, -oX, 10.0.0.3]\n", &["1:9 address -oX@10.0.0.1", "1:23 address -oX"]),
        (
            "nodes:\n  2: { id: 1, ip: 10.0.0.1 }\n  1: { id: 2, ip: 10.0.0.2 }\n  03: { id: 3, ip: 10.0.0.3 }\n",
            &["2:3 name 2", "3:3 name 1"],
        ),
        (
            &format!(
                "defaults: {{ data_dir: '/data/{{nmae}}', install_dir: '/opt/{{id}}/{{name}}' }}\n{THREE}"
            ),
            &["1:23 placeholder '/data/{nmae}'", "1:52 placeholder '/opt/{id}/{name}' "],
        ),
        (
            &format!("zoo: {{ zookeeper.zookeeper.snapCount: 1 }}\n{THREE}"),
            &["1:8 zoo-key zookeeper.zookeeper.snapCount"],
        ),
        (&format!("ssh: {{ sudo: true }}\n{THREE}"), &["1:14 sudo true"]),
        (&format!("ssh: {{ sudo: sudo }}\n{THREE}"), &["1:14 sudo sudo"]),
        (&format!("ssh: {{ port: 70000 }}\n{THREE}"), &["1:14 number 70000"]),
        (&format!("ssh: {{ jump: 'a b' }}\n{THREE}"), &["1:14 jump 'a b' "]),
        (&format!("conection: local\n{THREE}"), &["1:1 unknown-key conection"]),
        (&format!("connection: lokal\n{THREE}"), &["1:13 choice lokal"]),
        (&format!("cluster: 'a b'\n{THREE}"), &["1:10 name 'a b'"]),
        (&format!("defaults: {{ data_dir: data }}\n{THREE}"), &["1:23 dir data"]),
        (&format!("defaults: {{ data_dir: /data }}\n{THREE}"), &["1:23 dir /data"]),
        (&format!("defaults: {{ role: leader }}\n{THREE}"), &["1:19 choice leader"]),
        (&format!("zoo: {{ dataDir: /x }}\n{THREE}"), &["1:8 owned-key dataDir"]),
        (&format!("zoo: {{ zkops.uuid: x }}\n{THREE}"), &["1:8 owned-key zkops.uuid"]),
        (&format!("zoo: {{ server.1: x }}\n{THREE}"), &["1:8 owned-key server.1"]),
        (&format!("zoo: {{ zookeeper.dataDir: /x }}\n{THREE}"), &["1:8 owned-key zookeeper.dataDir"]),
        (
            &format!(
                "zoo: {{ zookeeper.clientPort: 1, zookeeper.standaloneEnabled: no, zookeeper.server.1: x }}\n{THREE}"
            ),
            &[
                "1:8 owned-key zookeeper.clientPort",
                "1:33 owned-key zookeeper.standaloneEnabled",
                "1:66 owned-key zookeeper.server.1",
            ],
        ),
        (
            &format!("zoo: {{ snapCount: 1, zookeeper.snapCount: 2 }}\n{THREE}"),
            &["1:22 duplicate-key zookeeper.snapCount"],
        ),
        (&format!("zoo: [a]\n{THREE}"), &["1:6 type [a"]),
        (&format!("cluster: &x orders\n{THREE}zoo: {{ a: *x }}\n"), &["3:11 alias *x"]),
        (
            &format!("{THREE}---\n{THREE}"),
            &["3:1 several-documents nodes: [10.0.0.1, 10.0.0.2, 10.0.0.3]\\n"],
        ),
    ] {
        let found = findings(text);
        if found != expected {
            wrong += &format!("{text}\n   found {found:?}\nexpected {expected:?}\n\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Whatever an uninstall takes away holds no data, and a log directory is not among the server's own files.
#[test]
fn data_is_never_among_what_goes_with_the_program() {
    let dirs = |more: &str| findings(&format!("defaults: {{ install_dir: /export/a/, {more} }}\n{THREE}"));
    for name in ["slots", "current", "dynamic", "var", "bin", "conf"] {
        for below in ["", "/", "/deep/er"] {
            let dir = format!("/export/a/{name}{below}");
            assert_eq!(dirs(&format!("data_dir: {dir}")), [format!("1:48 dir {dir}")]);
            assert_eq!(dirs(&format!("data_log_dir: {dir}")), [format!("1:52 dir {dir}")]);
        }
    }
    assert_eq!(dirs("data_dir: /export/a"), ["1:48 dir /export/a"]);
    assert_eq!(dirs("data_log_dir: /export/a"), ["1:52 dir /export/a"]);
    for log in ["/export/d/version-2", "/export/d/version-2/log/"] {
        assert_eq!(dirs(&format!("data_dir: /export/d, data_log_dir: {log}")), [format!("1:73 dir {log}")]);
    }
    for fine in
        ["data_dir: /export/a/data", "data_dir: /export/a/slots2", "data_log_dir: /export/data/zkdata/log"]
    {
        assert_eq!(dirs(fine), Vec::<String>::new(), "{fine}");
    }
    // And what a `destroy --data` takes away holds no program.
    for key in ["data_dir", "data_log_dir"] {
        let text = format!("defaults: {{ install_dir: /export/d/zkops, {key}: /export/d }}\n{THREE}");
        assert_eq!(findings(&text), ["1:26 dir /export/d/zkops"], "{key}");
    }
    let two = "nodes:\n  a: { id: 1, ip: 10.0.0.1, install_dir: /export/a }\n  b: { id: 2, ip: 10.0.0.1, install_dir: /export/b, \
               data_dir: /export/a/var/b, ports: { client: 1, quorum: 2, election: 3 } }\n  c: { id: 3, ip: 10.0.0.2 }\n";
    assert_eq!(findings(two), ["3:63 dir /export/a/var/b"]);
}

#[test]
fn what_is_clear_is_accepted_however_it_is_written() {
    let hosts = |text: &str| -> Vec<(String, i64, String)> {
        let read = |m: &super::Member| (m.name.clone(), m.id.0, m.host.clone());
        valid(text).members.iter().map(read).collect()
    };
    let listed = "nodes:\n  - { id: 3, ip: 10.0.0.3 }\n  - { id: 1, ip: 10.0.0.1, name: one }\n  - { id: 2, host: zk_2.lan }\n";
    let expected = [("one", 1, "10.0.0.1"), ("node-2", 2, "zk_2.lan"), ("node-3", 3, "10.0.0.3")];
    assert_eq!(hosts(listed), expected.map(|(name, id, host)| (name.into(), id, host.into())));
    for text in [
        "\u{feff}nodes: [fd00::1, fd00::2, fd00::3]\n",
        "nodes: [[fd00::1], '[fd00::2]', \"FD00:0::3\"]\n",
        "nodes:\n- [fd00::1]\n- fd00::2\n- fd00::0:3\n",
        "nodes:\n  a: { id: 1, ip: [fd00::1] }\n  b: { id: 2, ip: fd00::2 }\n  c:\n    id: 3\n    host: '[fd00::3]'\n",
    ] {
        let found: Vec<String> = hosts(text).into_iter().map(|(_, _, host)| host).collect();
        assert_eq!(found, ["fd00::1", "fd00::2", "fd00::3"], "{text}");
    }
    let cluster = valid("ssh: { user: ops }\nnodes: [root@10.0.0.1, 10.0.0.2, 'adm@[fd00::3]']\n");
    let user = |m: &super::Member| match &m.connection {
        Connection::Ssh(ssh) => ssh.user.clone().unwrap_or_default(),
        Connection::Local => panic!("ssh is the default"),
    };
    assert_eq!(cluster.members.iter().map(user).collect::<Vec<_>>(), ["root", "ops", "adm"]);
}

#[test]
fn one_host_is_found_across_spellings_and_a_mark_moves_no_place() {
    for (text, expected) in [
        ("nodes: ['::1', '0:0:0:0:0:0:0:1', 10.0.0.1]\n", "1:16 duplicate-ip '0:0:0:0:0:0:0:1'"),
        ("nodes: [10.0.0.1, '::ffff:10.0.0.1', 10.0.0.3]\n", "1:19 duplicate-ip '::ffff:10.0.0.1'"),
        ("nodes: [zk1.lan, ZK1.LAN, 10.0.0.3]\n", "1:18 duplicate-ip ZK1.LAN"),
        ("nodes: [10.0.0.1, 'fe80::1%eth0', 10.0.0.3]\n", "1:19 address 'fe80::1%eth0'"),
        ("nodes:\n  a: 10.0.0.1\n", "2:6 missing-key 10.0.0.1"),
        ("nodes:\n  a: { id: 0, ip: 10.0.0.1 }\n", "2:12 number 0"),
        ("nodes:\n  a: { id: 1, ip: 10.0.0.1, host: zk1 }\n", "2:29 duplicate-key host"),
    ] {
        assert_eq!(findings(text), [expected], "{text}");
        let marked = format!("\u{feff}{text}");
        assert_eq!(findings(&marked), [expected], "{text}");
        let found = parse("test.yml", &marked).expect_err("it is wrong");
        let place = &found[0].places[0];
        assert_eq!(&marked[place.start..place.end], place.text, "places count in what was given");
    }
}

#[test]
fn all_mistakes_are_shown_at_once_with_a_did_you_mean() {
    let text = "clustr: orders\nssh: { prot: 22 }\ndefaults: { data_dir: '/d/{nmae}' }\nnodes:\n  a: { id: 1, ip: 10.0.0.1 }\n  b: { id: 1, ip: 10.0.0.2, rol: observer }\n  c: { id: 3, ip: 10.0.0.3 }\n";
    let found = parse("orders.yml", text).expect_err("it is wrong");
    let shown: String = found.iter().map(|finding| format!("{}\n", finding.render(text, false))).collect();
    for part in [
        "an inventory has no key `clustr`",
        "did you mean `cluster`?",
        "orders.yml:1:1",
        "`ssh` has no key `prot`",
        "did you mean `port`?",
        "a member has no key `rol`",
        "did you mean `role`?",
        "there is no placeholder `{nmae}`",
        "did you mean `{name}`?",
        "`a` and `b` have the same id 1",
        "first here",
        "again here",
    ] {
        assert!(shown.contains(part), "{part:?} is not in:\n{shown}");
    }
    assert_eq!(found.iter().filter(|finding| finding.severity == Severity::Error).count(), 5);
}

#[test]
fn a_complaint_stands_at_the_value_that_caused_it() {
    let text = "zoo: { zookeeper.snapCount: 10k, syncLimit: 0 }\nnodes:\n  a: { id: 1, ip: 10.0.0.1, zoo: { syncLimit: x } }\n  b: { id: 2, ip: 10.0.0.2 }\n  c: { id: 3, ip: 10.0.0.3 }\n";
    let complain = |about: fn(&str) -> About, cluster: &Cluster, key: &str| -> Vec<Complaint> {
        let one = |member: &super::Member| Complaint {
            member: member.name.clone(),
            about: about(key),
            severity: Severity::Error,
            code: "zoo-value",
            message: String::new(),
            label: String::new(),
            help: None,
        };
        cluster.members.iter().map(one).collect()
    };
    let places = |text: &str, judge: &dyn Fn(&Cluster) -> Vec<Complaint>| -> Vec<String> {
        let found = super::parse("test.yml", text, judge).expect_err("it is wrong");
        let at = |finding: &Finding| {
            format!("{}:{} {}", finding.places[0].line, finding.places[0].column, finding.places[0].text)
        };
        found.iter().map(at).collect()
    };
    let value = |key: &str| About::Value(key.to_owned());
    let key = |key: &str| About::Key(key.to_owned());
    // What three members take from one place is one finding; what a member says itself is another.
    assert_eq!(places(text, &|cluster| complain(value, cluster, "snapCount")), ["1:29 10k"]);
    assert_eq!(places(text, &|cluster| complain(key, cluster, "snapCount")), ["1:8 zookeeper.snapCount"]);
    assert_eq!(places(text, &|cluster| complain(value, cluster, "syncLimit")), ["1:45 0", "3:47 x"]);
    assert_eq!(places(text, &|cluster| complain(value, cluster, "initLimit")), ["3:3 a", "4:3 b", "5:3 c"]);
    // Beside other mistakes, only what can be pointed at: the member list may be wrong.
    let broken = text.replace("id: 3", "id: 2");
    assert_eq!(places(&broken, &|cluster| complain(value, cluster, "initLimit")), ["5:12 2"]);
    assert_eq!(places(&broken, &|cluster| complain(value, cluster, "snapCount")), ["1:29 10k", "5:12 2"]);
}

#[test]
fn hostile_texts_end_in_findings() {
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
                d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n";
    for text in [
        bomb.to_owned(),
        "[".repeat(100_000),
        "{a: ".repeat(10_000),
        "x".repeat(2 << 20),
        "\u{feff}\u{0}".to_owned(),
        "nodes: !!binary x".to_owned(),
        "? [a]\n: b".to_owned(),
    ] {
        let found = parse("test.yml", &text).expect_err("it is no inventory");
        assert!(found.iter().any(|finding| finding.severity == Severity::Error));
        assert!(found.iter().all(|finding| finding.render(&text, false).len() < 4 << 20));
    }
}

proptest::proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "[a-z0-9:{}\\[\\], \n\t'\"&*!-]{0,200}") {
        if let Err(found) = parse("test.yml", &text) {
            for finding in found {
                finding.render(&text, false);
            }
        }
    }
}

const THREE: &str = "nodes: [10.0.0.1, 10.0.0.2, 10.0.0.3]\n";
