//! ~/.ssh/config against targets: what is taken over, what wins, what is expanded.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::operator::transport::error::Error;
use crate::operator::transport::ssh_config::{Config, KeysFrom, Resolved};
use crate::operator::transport::target::SshTarget;

struct Home {
    dir: TempDir,
}

impl Home {
    fn with(config: &str) -> Home {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("config"), config).unwrap();
        Home { dir }
    }

    fn config(&self) -> Result<Config, Error> {
        Config::load(&self.dir.path().join("config"), Path::new("/h"), "me", Path::new("/etc/global"))
    }

    fn resolve(&self, target: &SshTarget) -> Resolved {
        self.config().unwrap().resolve(target).unwrap()
    }
}

/// What matters of a resolved target, as text.
fn show(to: &Resolved) -> String {
    let list = |paths: &[std::path::PathBuf]| {
        paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ")
    };
    let mut via = String::new();
    let mut jump = to.jump.as_ref();
    while let Some(hop) = jump {
        let user = hop.user.as_deref().unwrap_or("-");
        via.push_str(&format!(" < {user}@{}:{}", hop.host, hop.port.unwrap_or(0)));
        jump = hop.jump.as_deref();
    }
    format!(
        "{}@{}:{} keys {} known {}{via}",
        to.user,
        to.address,
        to.port,
        list(&to.keys),
        list(&to.host_keys.files)
    )
}

fn check(config: &str, target: &SshTarget, expected: &str) {
    assert_eq!(show(&Home::with(config).resolve(target)), expected);
}

#[test]
fn without_a_file_ssh_defaults_hold() {
    let config =
        Config::load(Path::new("/nowhere/config"), Path::new("/h"), "me", Path::new("/etc/global")).unwrap();
    let to = config.resolve(&SshTarget::new("node-1", "10.0.0.1")).unwrap();
    assert_eq!(show(&to), format!("me@10.0.0.1:22 {KEYS} {KNOWN}"));
    assert_eq!(to.label, "node-1 (me@10.0.0.1:22)");
    assert_eq!(to.keys_from, KeysFrom::Default);
}

#[test]
fn the_file_fills_what_the_target_leaves_open() {
    let config = "Host node-*\n HostName %h.example.com\n User ops\n Port 2222\n IdentityFile ~/.ssh/%r_%h\n\
                  \n UserKnownHostsFile ~/.ssh/kh_%p /other\n IdentitiesOnly yes\n";
    let to = Home::with(config).resolve(&SshTarget::new("n", "node-1"));
    assert_eq!(
        show(&to),
        "ops@node-1.example.com:2222 keys /h/.ssh/ops_node-1.example.com known /h/.ssh/kh_2222 /other /etc/global"
    );
    assert!(to.identities_only);
    assert_eq!(to.host_keys.learn, Path::new("/h/.ssh/kh_2222"));
    assert_eq!(to.host_keys.address, "node-1.example.com");
    check(config, &SshTarget::new("n", "other"), &format!("me@other:22 {KEYS} {KNOWN}"));
}

#[test]
fn the_target_wins_over_the_file() {
    let target = SshTarget {
        user: Some("root".into()),
        port: Some(22),
        keys: vec!["~/keys/%h-%r".into()],
        known_hosts: Some("~/inventory/known_hosts".into()),
        jump: Some(Box::new(SshTarget { port: Some(9), ..SshTarget::new("j", "gate") })),
        ..SshTarget::new("n", "node-1")
    };
    let config = "Host *\n User ops\n Port 2222\n IdentityFile ~/.ssh/x\n ProxyJump elsewhere\n";
    let to = Home::with(config).resolve(&target);
    assert_eq!(
        show(&to),
        format!("root@node-1:22 keys /h/keys/node-1-root {KNOWN} /h/inventory/known_hosts < -@gate:9")
    );
    assert_eq!(to.keys_from, KeysFrom::Inventory);
    assert_eq!(to.host_keys.learn, Path::new("/h/inventory/known_hosts"));
}

#[test]
fn the_first_value_counts_as_in_ssh() {
    let config = "Host node-1\n User first\nHost *\n User second\n Port 7\n";
    check(config, &SshTarget::new("n", "node-1"), &format!("first@node-1:7 {KEYS} {KNOWN}"));
}

#[test]
fn proxy_jump_nests_in_order() {
    let jump = |value: &str, expected: &str| {
        let config = format!("Host node-1\n ProxyJump {value}\n");
        check(&config, &SshTarget::new("n", "node-1"), &format!("me@node-1:22 {KEYS} {KNOWN}{expected}"));
    };
    jump("gate", " < -@gate:0");
    jump("ops@gate:2222", " < ops@gate:2222");
    jump("ssh://ops@gate:2222", " < ops@gate:2222");
    jump("a@[::1]:7,b", " < -@b:0 < a@::1:7");
    jump("none", "");
    let bad = Home::with("ProxyJump gate:notaport\n");
    let error = bad.config().unwrap().resolve(&SshTarget::new("n", "x")).unwrap_err().to_string();
    assert!(error.contains("ProxyJump gate:notaport"), "{error}");
}

#[test]
fn match_blocks_do_not_leak_into_the_host_above_them() {
    let config = "Host node-1\n User ops\nMatch host gate exec \"true\"\n Port 99\n HostName evil\n\
                  Match all\n IdentityFile /k\nHost other\n Port 1\n";
    check(config, &SshTarget::new("n", "node-1"), &format!("ops@node-1:22 keys /k {KNOWN}"));
}

#[test]
fn what_would_lead_another_way_and_is_not_judged_is_refused_by_name() {
    let refused = |config: &str, target: &SshTarget| {
        Home::with(config).config().unwrap().resolve(target).map(|to| to.label).map_err(|why| why.to_string())
    };
    let plain = SshTarget::new("n", "node-1");
    let proxy = "Host node-*\n ProxyCommand nc -X connect %h %p\n ProxyUseFdpass yes\n";
    let error = refused(proxy, &plain).unwrap_err();
    for said in ["`ProxyCommand nc -X connect %h %p`", "config", "ProxyJump", "jump:"] {
        assert!(error.contains(said), "{said}: {error}");
    }
    // Another way is named: then this one is not taken.
    let jump = SshTarget { jump: Some(Box::new(SshTarget::new("gate", "gate"))), ..plain.clone() };
    assert!(refused(proxy, &jump).is_ok());
    assert!(refused("Host node-1\n ProxyCommand none\n", &plain).is_ok());
    let exec = "Match exec \"test -f /tmp/x\"\n User other\n";
    let error = refused(exec, &plain).unwrap_err();
    assert!(error.contains("`Match exec \"test -f /tmp/x\"`") && error.contains("config:1"), "{error}");
    let user = SshTarget { user: Some("root".into()), ..plain.clone() };
    assert!(refused(exec, &user).is_ok(), "the inventory says it");
    assert!(refused("Match host gate exec x\n Port 99\n", &plain).is_ok(), "about somebody else");
    assert!(refused("Match user me\n ForwardAgent yes\n", &plain).is_ok(), "no other way");
}

#[test]
fn a_match_on_the_name_alone_is_a_host_block_and_an_alias_names_the_key() {
    let config = "Match originalhost node-1,node-2\n User ops\n HostKeyAlias fleet\n HashKnownHosts yes\n";
    let to = Home::with(config).resolve(&SshTarget { port: Some(99), ..SshTarget::new("n", "node-2") });
    assert_eq!(to.user, "ops");
    assert_eq!((to.host_keys.address.as_str(), to.host_keys.port), ("fleet", 22));
    assert_eq!((to.host_keys.hashed, to.host_keys.ssh.as_str()), (Some(true), "ssh -p 99 ops@node-2"));
}

#[test]
fn the_inventorys_key_is_for_all_of_the_way() {
    let config = "Host gate\n IdentityFile /gates\nHost node-1\n ProxyJump gate\n";
    let target = SshTarget { keys: vec!["/k".into()], ..SshTarget::new("n", "node-1") };
    let home = Home::with(config);
    let jump = home.resolve(&target).jump.unwrap();
    let to = home.resolve(&jump);
    // One of its own is not there, and so not worth a word.
    assert_eq!((to.keys, to.keys_from), (vec!["/k".into()], KeysFrom::Inventory));
}

#[test]
fn unknown_and_unsupported_directives_do_no_harm() {
    let config = "Host *\n NoSuchThing yes\n ControlMaster auto\n GSSAPIAuthentication no\n User ops\n";
    check(config, &SshTarget::new("n", "a"), &format!("ops@a:22 {KEYS} {KNOWN}"));
}

#[test]
fn a_broken_file_is_named() {
    let home = Home::with("Host *\n Port many\n");
    let error = home.config().unwrap_err().to_string();
    assert!(error.contains("config") && error.contains("port"), "{error}");
}

#[test]
fn known_hosts_none_leaves_the_global_file() {
    check(
        "UserKnownHostsFile none\n",
        &SshTarget::new("n", "a"),
        &format!("me@a:22 {KEYS} known /etc/global"),
    );
}

const KNOWN: &str = "known /h/.ssh/known_hosts /h/.ssh/known_hosts2 /etc/global";
const KEYS: &str = "keys /h/.ssh/id_ed25519 /h/.ssh/id_ecdsa /h/.ssh/id_rsa";
