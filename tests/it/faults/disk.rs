//! Disks that are full or slow: a member's data is on a small ext4 of its own, an image that is mounted where only the
//! server sees it, and gone with it.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use zkops::client::{Client, Options};
use zkops::wire::proto::{Acl, CreateMode};

use super::trial::Trial;
use crate::ensemble::{Ensemble, SOON};
use crate::run::{block_on, eventually, run};

/// A file system for one server's data.
struct SmallDisk {
    image: PathBuf,
    data: PathBuf,
}

impl SmallDisk {
    fn new(ensemble: &Ensemble, n: usize, megabytes: u64) -> SmallDisk {
        let data = ensemble.data(n);
        let image = data.with_extension("img");
        let file = std::fs::File::create(&image).expect("the directory is ours");
        file.set_len(megabytes << 20).expect("a sparse file takes no space");
        run("mkfs.ext4", &["-q", "-m0", &image.display().to_string()], &[]).ok();
        SmallDisk { image, data }
    }

    /// What comes before the server's program: it mounts, and whoever starts a server has made room.
    fn launch(&self, n: usize) -> Vec<String> {
        let (image, data) = (self.image.display(), self.data.display());
        let script = format!(
            "mount -o loop {image} {data} && rm -f {data}/filler && \
             {{ [ -e {data}/myid ] || echo {n} >{data}/myid; }} && exec \"$@\""
        );
        ["sh", "-c", &script, "sh"].map(str::to_owned).to_vec()
    }

    /// The mounted directory, through the eyes of a running server.
    fn seen_by(&self, pid: u32) -> PathBuf {
        Path::new("/proc")
            .join(pid.to_string())
            .join("root")
            .join(self.data.strip_prefix("/").expect("absolute"))
    }

    /// Takes all space that is left.
    fn fill(&self, pid: u32) {
        let path = self.seen_by(pid).join("filler");
        let mut file =
            OpenOptions::new().create(true).append(true).open(&path).expect("there is an inode left");
        // Ever smaller pieces: to the last byte.
        for size in [1 << 20, 1 << 12, 1] {
            while file.write_all(&vec![0; size]).and_then(|()| file.sync_data()).is_ok() {}
        }
    }
}

/// No write to the file system ends until this is dropped.
struct Stalled(PathBuf);

impl Stalled {
    fn new(mounted: PathBuf) -> Stalled {
        run("fsfreeze", &["-f", &mounted.display().to_string()], &[]).ok();
        Stalled(mounted)
    }
}

impl Drop for Stalled {
    fn drop(&mut self) {
        // In a panic too: a frozen file system outlives its server.
        run("fsfreeze", &["-u", &self.0.display().to_string()], &[]).ok();
    }
}

/// Every member on a disk of its own.
fn trial_on_disks(seed: u64, megabytes: u64) -> (Trial, BTreeMap<usize, SmallDisk>) {
    let mut disks = BTreeMap::new();
    let trial = Trial::with(3, seed, |ensemble, _| {
        disks = (1..=3).map(|n| (n, SmallDisk::new(ensemble, n, megabytes))).collect();
        disks.iter().map(|(n, disk)| (*n, disk.launch(*n))).collect()
    });
    (trial, disks)
}

#[test]
fn disks_fill_up() {
    let (mut trial, disks) = trial_on_disks(41, 24);
    let leader = trial.leader();
    let follower = *trial.random.one_of(&trial.others(&[leader]));
    for n in [follower, leader] {
        let pid = trial.ensemble.pid(n).expect("it runs");
        trial.say(&format!("the disk of {n} is full"));
        disks[&n].fill(pid);
        // It cannot make a write durable, so it must not go on; the others do.
        let what = format!("server {n} gives up");
        let status = eventually(&what, SOON, || trial.ensemble.ended(n).ok_or("it still runs"));
        assert!(!status.success(), "server {n} ended as if all was well: {status}");
        trial.leader_among(&trial.others(&[n]));
        trial.await_answers(100);
        trial.heal();
    }
    trial.finish();
}

#[test]
fn fsync_stalls() {
    let (mut trial, disks) = trial_on_disks(42, 24);
    for _ in 0..6 {
        let n = *trial.random.one_of(&trial.members());
        let pid = trial.ensemble.pid(n).expect("it runs");
        let span = Duration::from_millis(100 + trial.random.below(2500));
        trial.say(&format!("the disk of {n} stands still for {span:?}"));
        {
            let _stalled = Stalled::new(disks[&n].seen_by(pid));
            trial.hold(span);
        }
        trial.await_answers(60);
    }
    trial.finish();
}

/// A quorum of followers commits what the leader's own disk does not hold yet: a sync on the leader must not be
/// answered from before that.
#[test]
fn a_sync_on_a_leader_with_a_slow_disk_shows_what_others_were_told() {
    let (trial, disks) = trial_on_disks(43, 24);
    let leader = trial.leader();
    let follower = trial.others(&[leader])[0];
    let servers = [follower, leader].map(|n| trial.ensemble.address(n));
    let mounted = disks[&leader].seen_by(trial.ensemble.pid(leader).expect("it runs"));
    block_on(stale_read(&servers, mounted));
    trial.finish();
}

async fn stale_read([follower, leader]: &[String; 2], mounted: PathBuf) {
    let connect = async |server: &str| {
        let client = Client::connect(server.parse().expect("an address"), Options::default());
        client.connected(SOON).await.expect("the server serves");
        client
    };
    let (writer, reader) = (connect(follower).await, connect(leader).await);
    writer
        .create("/told", Some("old".into()), Acl::open(), CreateMode::Persistent)
        .await
        .expect("the ensemble serves");
    let stalled = Stalled::new(mounted);
    writer.set("/told", Some("new".into()), None).await.expect("two of three disks are enough");
    let mut reading = tokio::spawn(async move {
        reader.sync("/told").await?;
        reader.get("/told", false).await
    });
    // It may wait for the disk, but not for ever.
    let early = tokio::time::timeout(Duration::from_millis(500), &mut reading).await;
    drop(stalled);
    let read = match early {
        Ok(read) => read,
        Err(_) => reading.await,
    };
    let node = read.expect("the reader does not panic").expect("the leader leads");
    assert_eq!(node.data.as_deref(), Some(&b"new"[..]));
}
