//! Every command in its forms: what it prints, on which stream, and how it exits.

use super::{check, script};
use crate::client::fake::Fake;

#[tokio::test]
async fn old_and_new_forms_differ_in_stat_blocks_channels_and_error_texts() {
    let fake = Fake::start().await;
    script(&fake, "create /a one\n").await;
    for (command, out_has_stat, err_has_stat) in [
        ("get /a", false, true),
        ("get -s /a", true, false),
        ("get -w /a", false, false),
        ("set /a x", false, true),
        ("set /a x -s", true, false),
        ("set -v -1 /a x", false, false),
        ("ls /a", false, false),
        ("ls -s /a", true, false),
        ("ls2 /a", false, true),
        ("stat /a", true, false),
        ("stat /a watch", true, false),
        ("getAcl /a", false, false),
        ("getAcl -s /a", true, false),
        ("setAcl /a world:anyone:cdrwa", false, true),
        ("setAcl -s /a world:anyone:cdrwa", true, false),
        ("setAcl -v -1 /a world:anyone:cdrwa", false, false),
    ] {
        let (code, said) = script(&fake, &format!("{command}\n")).await;
        assert_eq!(code, 0, "{command}");
        assert_eq!(said.out().contains("cZxid"), out_has_stat, "{command}: {}", said.out());
        assert_eq!(said.err().contains("cZxid"), err_has_stat, "{command}: {}", said.err());
    }
    let bad = "Path must not end with / character\n";
    let old = format!("Command failed: java.lang.IllegalArgumentException: {bad}");
    check(&fake, "get /a/\n", &old, 1).await;
    check(&fake, "get -s /a/\n", bad, 1).await;
    check(&fake, "create -e /a/ x\n", &old, 1).await;
    check(&fake, "create -c /a/ x\n", bad, 1).await;
    check(&fake, "deleteall /a/\n", bad, 1).await;
    check(&fake, "rmr /a/\n", &old, 1).await;
}

#[tokio::test]
async fn versions_are_honoured_in_both_forms() {
    let fake = Fake::start().await;
    script(&fake, "create /v 0\n").await;
    let bad = "version No is not valid : /v\n";
    check(&fake, "set /v x 7\n", bad, 1).await;
    check(&fake, "set -v 7 /v x\n", bad, 1).await;
    check(&fake, "delete /v 7\n", bad, 1).await;
    check(&fake, "delete -v7 /v\n", bad, 1).await;
    check(&fake, "delete /v seven\n", "version seven is not a number\n", 1).await;
    check(&fake, "set -v 0 /v x\nget -b /v\ndelete /v 1\nls /\n", "eA==\n[zookeeper]\n", 0).await;
}

#[tokio::test]
async fn data_is_printed_as_text_base64_or_hex() {
    let fake = Fake::start().await;
    check(&fake, "create /n\nget -w /n\n", "Created /n\nnull\n", 0).await;
    check(&fake, "create /d 'two words'\nget -w /d\n", "Created /d\ntwo words\n", 0).await;
    check(&fake, "set -b /d ZGF0YQ==\nget -b /d\n", "ZGF0YQ==\n", 0).await;
    check(
        &fake,
        "get -x /d\n",
        "         +-------------------------------------------------+
         |  0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f |
+--------+-------------------------------------------------+----------------+
|00000000| 64 61 74 61                                     |data            |
+--------+-------------------------------------------------+----------------+
",
        0,
    )
    .await;
    check(&fake, "set -b /d ?\n", "? is not base64: Invalid symbol 63, offset 0.\n", 1).await;
    check(&fake, "set -v -1 /d -1\nget -b /d\nset -v -1 -- /d -x\nget -b /d\n", "LTE=\nLXg=\n", 0).await;
}

#[tokio::test]
async fn create_makes_every_kind_of_node_and_refuses_what_makes_no_sense() {
    let fake = Fake::start().await;
    for (command, says) in [
        ("create /p", "Created /p"),
        ("create -s /p/s x", "Created /p/s0000000000"),
        ("create -s -e /p/e x", "Created /p/e0000000001"),
        ("create -se /p/ x", "Created /p/0000000002"),
        ("create -c /c", "Created /c"),
        ("create -t 1000 /t x", "Created /t"),
        ("create -s -t 1000 /t/s x", "Created /t/s0000000000"),
        ("create /acl x world:anyone:r,ip:127.0.0.1:cdrwa", "Created /acl"),
    ] {
        check(&fake, &format!("{command}\n"), &format!("{says}\n"), 0).await;
    }
    for (command, says) in [
        ("create /p", "Node already exists: /p"),
        ("create /no/p", "Node does not exist: /no/p"),
        (
            "create -c -e /x",
            "-c cannot be combined with -s or -e. Containers cannot be ephemeral or sequential.",
        ),
        ("create -t 5 -e /x", "TTLs cannot be used with Ephemeral znodes"),
        ("create -t 5 -c /x", "TTLs cannot be used with Container znodes"),
        ("create -t x /x", "-t argument must be a long value"),
        ("create -t 0 /x", "ttl must be positive and cannot be larger than: 1099511627775"),
        ("create -t 1099511627776 /x", "ttl must be positive and cannot be larger than: 1099511627775"),
        ("create /x y nonsense", "nonsense does not have the form scheme:id:perm\nAcl is not valid : null"),
        ("create /x y no:such:r", "KeeperErrorCode = InvalidACL for /x\nAcl is not valid : /x"),
        ("create x", "Command failed: java.lang.IllegalArgumentException: Path must start with / character"),
    ] {
        check(&fake, &format!("{command}\n"), &format!("{says}\n"), 1).await;
    }
    check(
        &fake,
        "create -e /eph\ncreate /eph/x\n",
        "Created /eph\nEphemerals cannot have children: /eph/x\n",
        1,
    )
    .await;
}

#[tokio::test]
async fn subtrees_are_listed_level_by_level_and_deleted_leaves_first() {
    let fake = Fake::start().await;
    let create = "create /r\ncreate /r/b\ncreate /r/a\ncreate /r/a/x\ncreate /r/a/x/y\n";
    script(&fake, create).await;
    check(&fake, "ls -R /r\n", "/r\n/r/a\n/r/b\n/r/a/x\n/r/a/x/y\n", 0).await;
    check(&fake, "ls -R /no\n", "Node does not exist: /no\n", 1).await;
    check(&fake, "getAllChildrenNumber /r\ndeleteall /r\nls /\n", "4\n[zookeeper]\n", 0).await;
    for by in ["deleteall -b 2 /r", "deleteall /r -b 0", "deleteall -b1 /r", "rmr /r"] {
        script(&fake, create).await;
        check(&fake, &format!("{by}\nls /\n"), "[zookeeper]\n", 0).await;
    }
    check(&fake, "deleteall /r\n", "Node does not exist: /r\n", 1).await;
    check(&fake, "deleteall /r -b x\n", "-b argument must be an int value\n", 1).await;
    check(&fake, "deleteall /r -b -2\n", "-b argument must be an int value\n", 1).await;
    check(&fake, "rmr /\n", "/ cannot be deleted: name the subtrees that shall go, one by one\n", 1).await;
    script(&fake, "create /k\ncreate /k/keep x world:anyone:r\nsetAcl /k world:anyone:r\ncreate /k/x\n")
        .await;
    check(
        &fake,
        "deleteall /k\n",
        "Insufficient permission : /k/keep\nFailed to delete some node(s) in the subtree!\n",
        1,
    )
    .await;
}

#[tokio::test]
async fn acls_are_set_shown_and_enforced() {
    let fake = Fake::start().await;
    check(
        &fake,
        "addauth digest x:y\ncreate /p secret auth::cdrwa\ngetAcl /p\nwhoami\n",
        "Created /p\n'digest,'x:MEJqKszm5QjsB/DDYgSVr5oDjb4=\n: cdrwa\nAuth scheme: User\nip: 127.0.0.1\ndigest: x\n",
        0,
    )
    .await;
    check(&fake, "get /p\n", "Authentication is not valid : /p\n", 1).await;
    check(&fake, "get -s /p\n", "Insufficient permission : /p\n", 1).await;
    check(
        &fake,
        "create /q\nsetAcl -v 0 /q world:anyone:ra,bad\ngetAcl -w /q\ngetAcl /q\n",
        "Created /q\nbad does not have the form scheme:id:perm\n\
         org.apache.commons.cli.UnrecognizedOptionException: Unrecognized option: -w\ngetAcl [-s] path\n\
         'world,'anyone\n: ra\n",
        0,
    )
    .await;
    check(&fake, "setAcl -v 0 /q world:anyone:r\n", "version No is not valid : /q\n", 1).await;
    check(
        &fake,
        "setAcl -v 1 /q world:anyone:xa\ngetAcl /q\n",
        "Unknown perm type: x\n'world,'anyone\n: a\n",
        0,
    )
    .await;
    check(&fake, "setAcl -v 2 /q no:such:r\n", "Acl is not valid : /q\n", 1).await;
    script(&fake, "create /t\ncreate /t/a\ncreate /t/a/b\n").await;
    check(
        &fake,
        "setAcl -R /t world:anyone:ra\ngetAcl /t/a/b\nsetAcl -R /no world:anyone:r\n",
        "'world,'anyone\n: ra\nNode does not exist: /no\n",
        1,
    )
    .await;
    check(
        &fake,
        "addauth nosuch x\nls /\n",
        "\nWATCHER::\n\nWatchedEvent state:AuthFailed type:None path:null\nKeeperErrorCode = AuthFailed\nNot connected\n",
        1,
    )
    .await;
}

#[tokio::test]
async fn watches_of_their_own_are_added_and_removed() {
    let fake = Fake::start().await;
    let event = |kind: &str, path: &str| {
        format!("\nWATCHER::\n\nWatchedEvent state:SyncConnected type:{kind} path:{path}\n")
    };
    let expected = [
        "Created /w\n".to_owned(),
        event("NodeCreated", "/w/a"),
        "Created /w/a\n".to_owned(),
        event("PersistentWatchRemoved", "/w"),
        event("NodeDataChanged", "/w"),
        event("PersistentWatchRemoved", "/w"),
        "KeeperErrorCode = No such watcher for /w\n".to_owned(),
    ];
    check(
        &fake,
        "create /w\naddWatch /w\ncreate /w/a\nremovewatches /w -r\naddWatch -m persistent /w\nset -v -1 /w x\n\
         removewatches -p /w\nremovewatches /w\n",
        &expected.concat(),
        1,
    )
    .await;
    let expected = [event("ChildWatchRemoved", "/w"), event("DataWatchRemoved", "/w")].concat();
    check(
        &fake,
        "ls -w /w\nstat -w /no\nget -w /w\nremovewatches -c /w\nremovewatches -d -l /w\n",
        &format!("[a]\nNode does not exist: /no\nx\n{expected}"),
        0,
    )
    .await;
    check(
        &fake,
        "addWatch -m sometimes /w\n",
        "addWatch [-m mode] path # optional mode is one of [PERSISTENT, PERSISTENT_RECURSIVE] - default is PERSISTENT_RECURSIVE\n",
        1,
    )
    .await;
}

#[tokio::test]
async fn quotas_are_kept_as_the_servers_read_them() {
    let fake = Fake::start().await;
    script(&fake, "create /a\ncreate /a/b\ncreate /a/b/c\n").await;
    check(
        &fake,
        "setquota -n 5 /a/b\nsetquota -B 100 /a/b\nlistquota /a/b\nget -w /zookeeper/quota/a/b/zookeeper_limits\n",
        "absolute path is /zookeeper/quota/a/b/zookeeper_limits\n\
         Output quota for /a/b count=5,bytes=-1=;byteHardLimit=100\n\
         Output stat for /a/b count=0,bytes=0\n\
         count=5,bytes=-1=;byteHardLimit=100\n",
        0,
    )
    .await;
    script(&fake, "set /zookeeper/quota/a/b/zookeeper_stats count=3,bytes=7\n").await;
    for (command, says, code) in [
        ("setquota -n 2 /a/b", "[Warning]: the count quota you create is less than the existing count:3", 0),
        ("setquota -b 6 /a/b", "[Warning]: the bytes quota you create is less than the existing bytes:7", 0),
        ("setquota -n 0 /a/b", "the num quota must be greater than zero", 1),
        ("setquota -B -1 /a/b", "the bytes quota must be greater than or equal to zero", 1),
        ("setquota -n x /a/b", "NumberFormatException happens when parsing the option value", 1),
        ("setquota -n 5 /no", "/no does not exist.", 1),
        ("setquota -n 5 /zookeeper/quota", "cannot set a quota under the path: /zookeeper/quota", 1),
        ("setquota -n 5 /", "/ cannot have a quota: set one on a node below it", 1),
        ("setquota -n 5 /a", "/a has a child /a/b which has a quota", 1),
        ("setquota -n 5 /a/b/c", "/a/b/c has a parent /a/b which has a quota", 1),
        ("setquota /a/b", "setquota -n|-b|-N|-B val path", 1),
        ("setquota -n 5 -b 5 /a/b", "setquota -n|-b|-N|-B val path", 1),
        ("delquota /a", "Quota does not exist for /a", 1),
    ] {
        check(&fake, &format!("{command}\n"), &format!("{says}\n"), code).await;
    }
    check(
        &fake,
        "delquota -B /a/b\nlistquota /a/b\ndelquota /a/b\nls -R /zookeeper/quota\nlistquota /a/b\n",
        "absolute path is /zookeeper/quota/a/b/zookeeper_limits\n\
         Output quota for /a/b count=2,bytes=6=;byteHardLimit=-1\n\
         Output stat for /a/b count=3,bytes=7\n\
         /zookeeper/quota\n\
         absolute path is /zookeeper/quota/a/b/zookeeper_limits\nquota for /a/b does not exist.\n",
        1,
    )
    .await;
}

#[tokio::test]
async fn the_session_can_be_synced_closed_and_opened_again() {
    let fake = Fake::start().await;
    let other = Fake::start().await;
    script(&other, "create /other\n").await;
    let closed = "\nWATCHER::\n\nWatchedEvent state:Closed type:None path:null\n";
    let connected = super::CONNECTED;
    check(
        &fake,
        &format!("sync /\nclose\nls /\nwhoami\nversion\nconnect {}\nls /\nconnect\nls /\n", other.server()),
        &format!(
            "Sync is OK\n{closed}Not connected\nNot connected\nZooKeeper CLI version: zkops {}\n{connected}\
             [other, zookeeper]\n{closed}{connected}[other, zookeeper]\n",
            env!("CARGO_PKG_VERSION")
        ),
        0,
    )
    .await;
    check(
        &fake,
        "connect a:b\nls /\n",
        "server \"a:b\": the port must be a number from 1 to 65535\n[zookeeper]\n",
        0,
    )
    .await;
}

#[tokio::test]
async fn ephemerals_of_the_session_are_listed() {
    let fake = Fake::start().await;
    check(
        &fake,
        "create -e /b\ncreate -e /a\ncreate /c\ngetEphemerals\ngetEphemerals /b\n",
        "Created /b\nCreated /a\nCreated /c\n[/a, /b]\n[/b]\n",
        0,
    )
    .await;
}

#[tokio::test]
async fn the_dynamic_configuration_is_shown_whole_or_for_clients() {
    let fake = Fake::start().await;
    let config = "server.1=a:2888:3888:participant;0.0.0.0:2181\nserver.2=[::1]:2888:3888:observer;2182\n\
                  server.3=c:2888:3888\nversion=100000003";
    fake.set_config(config);
    check(&fake, "config\nconfig -c\n", &format!("{config}\n100000003 0.0.0.0:2181,[::1]:2182,\n"), 0).await;
    let (_, said) = script(&fake, "config -s -w\n").await;
    assert!(said.out().starts_with(&format!("{config}\ncZxid = 0x0\n")), "{}", said.out());
}

#[tokio::test]
async fn lines_are_numbered_remembered_and_repeated() {
    let fake = Fake::start().await;
    check(
        &fake,
        "ls /\n\n \nredo 0\nhistory\nredo 9\nredo x\nredo 4\nredo 1\nredo\nhistory\n",
        "[zookeeper]\n[zookeeper]\n0 - ls /\n1 -  \n2 - ls /\n3 - history\n\
         Command index out of range\nCommand index out of range\nNo redoing redos\nredo cmdno\n\
         0 - ls /\n1 -  \n2 - ls /\n3 - history\n4 - redo 9\n5 - redo x\n6 - redo 4\n7 -  \n8 - redo\n9 - history\n",
        0,
    )
    .await;
    let (_, said) = script(&fake, &("version\n".repeat(1200) + "history\nredo 5\n")).await;
    assert!(said.out().ends_with("1199 - version\n1200 - history\n"), "{}", said.out());
    assert_eq!(said.err(), "Command index out of range\n", "forgotten by now");
}
