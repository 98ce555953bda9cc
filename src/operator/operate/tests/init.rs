//! Words of a person → an inventory that can be deployed as it stands.

use crate::operator::inventory;
use crate::operator::inventory::{Connection, Member};
use crate::operator::operate::init::{HostWord, Ports, Wanted, check_cluster, draft, write};
use crate::operator::operate::settings;

fn wanted(hosts: &[&str]) -> Wanted {
    Wanted {
        cluster: "orders".into(),
        hosts: hosts.iter().map(|host| HostWord::parse(host).unwrap()).collect(),
        file: "orders.yml".into(),
        ..Wanted::default()
    }
}

/// What the inventory made of them says.
fn members(wanted: &Wanted) -> Vec<Member> {
    let text = draft(wanted).unwrap().text;
    inventory::parse("orders.yml", &text, &settings::judge)
        .unwrap_or_else(|why| panic!("{why:?}\n{text}"))
        .0
        .members
}

fn ssh(member: &Member) -> (Option<&str>, Option<u16>, Option<&str>) {
    match &member.connection {
        Connection::Ssh(ssh) => (ssh.user.as_deref(), ssh.port, ssh.sudo.as_deref()),
        Connection::Local => panic!("{} is local", member.name),
    }
}

#[test]
fn hosts_become_members_with_their_users_and_ports() {
    let drafted = draft(&wanted(&["root@10.0.0.1", "root@10.0.0.2", "root@[fd00::3]:2222"])).unwrap();
    assert_eq!((&*drafted.cluster, drafted.members.len(), drafted.local), ("orders", 3, false));
    for line in ["zkops ssh-setup orders.yml", "zkops deploy orders.yml", "ssh: { user: root }"] {
        assert!(drafted.text.contains(line), "{line}:\n{}", drafted.text);
    }
    let members = members(&wanted(&["root@10.0.0.1", "ops@10.0.0.2:2222", "[fd00::3]", "fd00::4"]));
    assert_eq!(members.iter().map(|member| member.id.0).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(
        members.iter().map(|member| &*member.host).collect::<Vec<_>>(),
        ["10.0.0.1", "10.0.0.2", "fd00::3", "fd00::4"]
    );
    assert_eq!(ssh(&members[0]), (Some("root"), None, None));
    assert_eq!(ssh(&members[1]), (Some("ops"), Some(2222), Some("/usr/bin/sudo")));
    assert_eq!(ssh(&members[2]), (Some("root"), None, None), "the first one's user is everybody's");
    // A mixed lot the other way round: root needs no sudo.
    let members = self::members(&wanted(&["ops@zk1.lan", "root@zk2.lan"]));
    assert_eq!(ssh(&members[0]), (Some("ops"), None, Some("/usr/bin/sudo")));
    assert_eq!(ssh(&members[1]), (Some("root"), None, None));
    assert_eq!(ssh(&self::members(&wanted(&["10.0.0.1"]))[0]), (None, None, None), "as ssh says");
}

#[test]
fn servers_on_this_machine_get_ports_of_their_own() {
    let members = members(&wanted(&["localhost", "127.0.0.1", "localhost"]));
    let clients: Vec<u16> = members.iter().map(|member| member.ports.client).collect();
    assert_eq!(clients, [2181, 2182, 2183]);
    assert!(
        members.iter().all(|member| member.connection == Connection::Local && member.host == "127.0.0.1")
    );
}

#[test]
fn ports_and_directories_hold_for_all() {
    let ports = Ports { client: 12181, quorum: 12888, election: 13888 };
    let wanted =
        Wanted { ports, data_dir: Some("/data/it's zk".into()), ..wanted(&["10.0.0.1", "10.0.0.2"]) };
    for member in members(&wanted) {
        assert_eq!((member.ports.client, member.ports.election), (12181, 13888));
        assert_eq!(member.data_dir, "/data/it's zk");
    }
}

/// Whoever takes a mark away has a line that means what it says.
#[test]
fn what_is_offered_in_comments_is_valid() {
    for hosts in [["10.0.0.1", "10.0.0.2", "10.0.0.3"], ["localhost"; 3]] {
        let text = draft(&wanted(&hosts)).unwrap().text;
        let (said, offered) = text.split_once("with the same keys.\n").unwrap();
        let offered: Vec<&str> =
            offered.lines().map(|line| line.strip_prefix("# ").unwrap_or(line)).collect();
        let all = format!("{said}\n{}\n", offered.join("\n"));
        let read = inventory::parse("orders.yml", &all, &settings::judge);
        let (cluster, warnings) = read.unwrap_or_else(|why| panic!("{why:?}\n{all}"));
        assert_eq!(warnings, [], "{all}");
        let member = &cluster.members[0];
        assert_eq!(member.zoo["maxClientCnxns"], "60");
        if member.connection != Connection::Local {
            assert_eq!(
                (member.user.as_deref(), cluster.clients.map(|all| all.len())),
                (Some("zkops"), Some(1))
            );
        }
    }
}

#[test]
fn words_that_make_no_inventory_are_refused_with_their_reason() {
    for (word, why) in [
        ("root@", "no address"),
        ("@10.0.0.1", "no user"),
        ("10.0.0.1:ssh", "1 to 65535"),
        ("10.0.0.1:0", "1 to 65535"),
        ("[fd00::1]2222", "1 to 65535"),
        ("a b", "no address"),
        ("-oX@10.0.0.1", "no user"),
        ("root@-oX", "no address"),
        ("{y", "no address"),
    ] {
        let failure = HostWord::parse(word).unwrap_err();
        assert!(failure.what.contains(why), "{word}: {failure}");
    }
    for (hosts, why) in [
        (&[][..], "at least one"),
        (&["10.0.0.1", "10.0.0.1"], "named twice"),
        (&["localhost", "10.0.0.1"], "this machine and others"),
    ] {
        assert!(draft(&wanted(hosts)).unwrap_err().what.contains(why), "{hosts:?}");
    }
    for (name, good) in
        [("a: b", false), ("", false), ("-x", false), ("123", true), ("true", true), ("null", true)]
    {
        assert_eq!(check_cluster(name).is_ok(), good, "{name}");
        let named = Wanted { cluster: name.into(), ..wanted(&["10.0.0.1"]) };
        // Either refused, or what it says is what was meant.
        match draft(&named) {
            Ok(drafted) => assert_eq!((drafted.cluster.as_str(), good), (name, true)),
            Err(failure) => assert!(good || failure.what.contains("letters, digits"), "{failure}"),
        }
    }
    assert!(draft(&Wanted { data_dir: Some("relative".into()), ..wanted(&["10.0.0.1"]) }).is_err());
}

#[test]
fn a_file_that_is_there_stays_unless_it_is_to_be_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("orders.yml");
    write(&path, "one", false).unwrap();
    let failure = write(&path, "two", false).unwrap_err();
    assert!(failure.what.ends_with("is there already"), "{failure}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "one");
    write(&path, "two", true).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "two");
}
