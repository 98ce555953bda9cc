//! The files of a member, letter by letter.

use super::{Paths, unit, unit_name, zoo_cfg};
use crate::operator::inventory::{self, Cluster, Finding};

fn parse(file: &str, text: &str) -> Result<(Cluster, Vec<Finding>), Vec<Finding>> {
    inventory::parse(file, text, &|_| Vec::new())
}

fn paths(log: Option<&str>) -> Paths {
    Paths {
        install_dir: "/export/server/zkops".into(),
        binary: "/export/server/zkops/current/zkops".into(),
        config: "/export/server/zkops/current/zoo.cfg".into(),
        dynamic_dir: "/export/server/zkops/dynamic".into(),
        data_dir: "/export/data/zkdata".into(),
        data_log_dir: log.map(str::to_owned),
    }
}

#[test]
fn zoo_cfg_is_complete_sorted_and_the_same_every_time() {
    let (cluster, _) = parse("orders.yml", INVENTORY).expect("it is valid");
    let text = zoo_cfg(&cluster, &cluster.members[0], &paths(None)).expect("the template is right");
    assert_eq!(
        text,
        "# zoo.cfg of node-1, cluster orders: managed by zkops. Change the inventory and deploy again;\n\
         # what is written here by hand is lost then.\n\
         4lw.commands.whitelist=srvr,stat,mntr,ruok,conf,envi,isro,wchs\n\
         autopurge.purgeInterval=24\n\
         autopurge.snapRetainCount=3\n\
         clientPort=2181\n\
         dataDir=/export/data/zkdata\n\
         db.autocreate=false\n\
         initLimit=10\n\
         maxClientCnxns=200\n\
         syncLimit=5\n\
         tickTime=1000\n\
         zkops.cluster=orders\n\
         zkops.member=1\n\
         server.1=192.168.17.130:2888:3888:participant\n\
         server.2=192.168.17.131:2888:3888:participant\n\
         server.3=192.168.17.132:2888:3888:participant\n\
         server.9=[fd00::9]:2888:3888:observer\n"
    );
}

#[test]
fn no_word_that_deploy_lets_through_tells_a_sessions_id() {
    let (cluster, _) = parse("one.yml", "nodes: [10.0.0.1]").expect("it is valid");
    let text = zoo_cfg(&cluster, &cluster.members[0], &paths(None)).expect("right");
    let words =
        text.lines().find_map(|line| line.strip_prefix("4lw.commands.whitelist=")).expect("it is set");
    let told = ["cons", "dump", "wchp", "wchc", "*"];
    assert!(words.split(',').all(|word| !told.contains(&word)), "{words}");
}

#[test]
fn a_key_with_its_long_name_takes_the_place_of_the_default() {
    let text = "zoo: { zookeeper.tickTime: 1000 }\nnodes: [10.0.0.1]";
    let (cluster, _) = parse("one.yml", text).expect("it is valid");
    let text = zoo_cfg(&cluster, &cluster.members[0], &paths(None)).expect("right");
    assert!(text.contains("\nzookeeper.tickTime=1000\n") && !text.contains("\ntickTime="), "{text}");
}

#[test]
fn an_observer_and_a_log_directory_stand_in_its_zoo_cfg() {
    let (cluster, _) = parse("orders.yml", INVENTORY).expect("it is valid");
    let text = zoo_cfg(&cluster, &cluster.members[3], &paths(Some("/export/log/zk\\log"))).expect("right");
    assert!(text.contains("peerType=observer\n"), "{text}");
    assert!(text.contains("dataLogDir=/export/log/zk\\\\log\n"), "backslashes are escaped: {text}");
}

#[test]
fn a_lone_server_gets_no_server_line() {
    let (cluster, _) = parse("one.yml", "nodes: [10.0.0.1]").expect("it is valid");
    let text = zoo_cfg(&cluster, &cluster.members[0], &paths(None)).expect("right");
    assert!(!text.contains("server."), "{text}");
}

#[test]
fn the_unit_starts_the_pushed_binary_with_the_rendered_file() {
    let (cluster, _) = parse("orders.yml", INVENTORY).expect("it is valid");
    let text = unit(&cluster, &cluster.members[0], &paths(None)).expect("right");
    assert!(text.starts_with("# managed by zkops: node-1 of cluster orders\n"), "{text}");
    assert!(
        text.contains(
            "ExecStart=/export/server/zkops/current/zkops server /export/server/zkops/current/zoo.cfg\n"
        ),
        "{text}"
    );
    assert_eq!(unit_name(&cluster, &cluster.members[0]), "zkops-orders");
}

/// Words of a line as systemd reads them (extract_first_word, then specifiers; `dollars`: as ExecStart's arguments).
fn systemd_words(line: &str, dollars: bool) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', _) => {
                let next = chars.next().expect("a backslash stands before something");
                assert!("\\\"'".contains(next), "\\{next} may mean something else");
                word.get_or_insert_default().push(next);
            }
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (_, Some(open)) if c == open => quote = None,
            (' ', None) => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    assert_eq!(quote, None, "a quote is left open: {line}");
    words.extend(word);
    let plain = |word: String| {
        let specifier = word.replace("%%", "");
        assert!(!specifier.contains('%'), "a specifier: {word}");
        word.replace("%%", "%")
    };
    let words = words.into_iter().map(plain);
    let variable = |(at, word): (usize, String)| {
        if !dollars || at == 0 {
            return word;
        }
        assert!(!word.replace("$$", "").contains('$'), "a variable: {word}");
        word.replace("$$", "$")
    };
    words.enumerate().map(variable).collect()
}

#[test]
fn every_path_means_itself_in_a_unit() {
    let (cluster, _) = parse("orders.yml", INVENTORY).expect("it is valid");
    for dir in [
        "/opt/zoo keeper/x",
        "/opt/x%h",
        "/opt/100%%",
        "/opt/$HOME/${x}",
        "/opt/it's",
        "/opt/say \"x\"",
        "/opt/back\\slash\\",
        "/opt/'%$ \"\\;#",
        "/opt/a;b",
        "/opt/ -x",
        "/opt/größe",
    ] {
        let paths = Paths {
            install_dir: dir.to_owned(),
            binary: format!("{dir}/current/zkops"),
            config: format!("{dir}/current/zoo.cfg"),
            dynamic_dir: format!("{dir}/dynamic"),
            data_dir: format!("{dir}/data"),
            data_log_dir: Some(format!("{dir}/log")),
        };
        let text = unit(&cluster, &cluster.members[0], &paths).expect("right");
        let value = |key: &str| {
            let found = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            found.unwrap_or_else(|| panic!("no {key} in {text}")).to_owned()
        };
        let command = systemd_words(&value("ExecStart"), true);
        let own = [paths.binary.as_str(), "server", &paths.config];
        if dir.contains(['"', '\'', '\\', '$']) {
            assert_eq!(command[..3], ["/bin/sh", "-c", r#"exec "$0" "$@""#], "{text}");
            assert_eq!(command[3..], own, "{text}");
        } else {
            assert_eq!(command, own, "{text}");
        }
        let [data, log] = ["data", "log"].map(|name| format!("{dir}/{name}"));
        let mounts = systemd_words(&value("RequiresMountsFor"), false);
        assert_eq!(mounts, [dir, &*data, &*log], "{text}");
        let writable = systemd_words(&value("ReadWritePaths"), false);
        assert_eq!(writable, [data, log, paths.dynamic_dir.clone()], "{text}");
    }
}

#[test]
fn what_a_server_keeps_at_home_or_in_tmp_is_not_hidden_from_it() {
    let (cluster, _) = parse("orders.yml", INVENTORY).expect("it is valid");
    let of = |data: &str| {
        let paths = Paths { data_dir: data.into(), ..paths(None) };
        let text = unit(&cluster, &cluster.members[0], &paths).expect("right");
        (text.contains("\nProtectHome=yes\n"), text.contains("\nPrivateTmp=yes\n"))
    };
    assert_eq!(of("/export/data"), (true, true));
    assert_eq!(of("/home/zk/data"), (false, true));
    assert_eq!(of("/homes/zk"), (true, true));
    assert_eq!(of("/var/tmp/zk"), (true, false));
}

#[test]
fn members_that_share_a_host_have_units_of_their_own() {
    let (cluster, _) =
        parse("local.yml", include_str!("../../../inventories/local.yml")).expect("it is valid");
    assert_eq!(unit_name(&cluster, &cluster.members[1]), "zkops-local-node-2");
}

const INVENTORY: &str = "cluster: orders\nzoo: { tickTime: 1000, maxClientCnxns: 200 }\nnodes:\n  \
    node-1: { id: 1, ip: 192.168.17.130 }\n  node-2: { id: 2, ip: 192.168.17.131 }\n  \
    node-3: { id: 3, ip: 192.168.17.132 }\n  branch: { id: 9, ip: 'fd00::9', role: observer, data_log_dir: '/export/log/zk\\log' }\n";
