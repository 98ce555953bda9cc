//! A server starts on its own data only (law 8): over an ensemble that `zkops deploy` put on this machine.

use std::fs;
use std::path::{Path, PathBuf};

use crate::local::Local;
use crate::run::{Ended, ZKOPS, run};

#[test]
fn a_server_starts_on_its_own_data_only() {
    let local = Local::deployed();
    let inventory = local.inventory();
    local.zkops(&["deploy", &inventory]).ok().says("nothing to do");
    local.zkops(&["stop", "--all"]).ok();
    let data = [1, 2].map(|node| PathBuf::from(local.data(node)));
    let marker = data[0].join("zkops.json");
    let written = fs::read_to_string(&marker).expect("deploy marks the data");

    swap(&data[0], &data[1]);
    for (node, found) in [(1, "member 2 of cluster trial"), (2, "member 1 of cluster trial")] {
        let said = server(&local, &data[node - 1]).expect(3);
        said.says(&format!("holds the data of {found}"));
        said.says(&format!("this server was started for member {node} of cluster trial"));
    }
    swap(&data[0], &data[1]);

    fs::write(&marker, written.replace("\"trial\"", "\"billing\"")).expect("it is ours");
    server(&local, &data[0]).expect(3).says("member 1 of cluster billing").says("Nothing was touched");
    let uuid = uuid(&local, &data[0]);
    assert!(written.contains(&uuid), "{written}: the marker and zoo.cfg say the same");
    fs::write(&marker, written.replace(&uuid, "00ff")).expect("it is ours");
    server(&local, &data[0]).expect(3).says("(00ff)").says(&uuid);
    fs::write(&marker, "{").expect("it is ours");
    server(&local, &data[0]).expect(3).says("does not say whose data this is");
    // The operator sees it as the server does.
    local.zkops(&["start"]).expect(4).says("does not say whose data this is").says("zkops repair");
    local.zkops(&["deploy", &inventory]).expect(3).says("does not say whose data this is");

    // Apache's data has none, and repair moves it away.
    fs::remove_file(&marker).expect("it is there");
    local.zkops(&["start"]).ok();
    local.zkops(&["deploy", &inventory]).ok();
    assert_eq!(fs::read_to_string(&marker).expect("deploy wrote it anew"), written);
    local.zkops(&["deploy", &inventory]).ok().says("nothing to do");
}

fn swap(one: &Path, other: &Path) {
    let between = one.with_extension("between");
    fs::rename(one, &between).expect("one file system");
    fs::rename(other, one).expect("one file system");
    fs::rename(&between, other).expect("one file system");
}

/// The server whose zoo.cfg names `data`, run by hand.
#[track_caller]
fn server(local: &Local, data: &Path) -> Ended {
    run(ZKOPS, &["server", &zoo_cfg(local, data).display().to_string()], &[])
}

fn uuid(local: &Local, data: &Path) -> String {
    let text = fs::read_to_string(zoo_cfg(local, data)).expect("it is rendered");
    text.lines().find_map(|line| line.strip_prefix("zkops.uuid=")).expect("deploy names it").to_owned()
}

fn zoo_cfg(local: &Local, data: &Path) -> PathBuf {
    let home = local.home().display().to_string();
    let found = run("find", &[&home, "-name", "zoo.cfg"], &[]).ok().stdout;
    let names = |path: &&str| {
        let line = format!("dataDir={}", data.display());
        fs::read_to_string(path).is_ok_and(|text| text.lines().any(|found| found == line))
    };
    found.lines().find(names).expect("every member has one").into()
}
