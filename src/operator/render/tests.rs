//! The files of a member, letter by letter.

use super::{Paths, unit, unit_name, zoo_cfg};
use crate::operator::inventory::{self, Cluster, Finding};

fn parse(file: &str, text: &str) -> Result<(Cluster, Vec<Finding>), Vec<Finding>> {
    inventory::parse(file, text, &|_| Vec::new())
}

fn paths(log: Option<&str>) -> Paths {
    Paths {
        binary: "/export/server/zkops/bin/zkops".into(),
        config: "/export/server/zkops/conf/zoo.cfg".into(),
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
         4lw.commands.whitelist=srvr,stat,mntr,ruok,conf,cons,envi,dump,isro,wchs\n\
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
        text.contains("ExecStart=/export/server/zkops/bin/zkops server /export/server/zkops/conf/zoo.cfg\n"),
        "{text}"
    );
    assert_eq!(unit_name(&cluster, &cluster.members[0]), "zkops-orders");
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
