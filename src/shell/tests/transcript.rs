//! What the walkthrough shows, word for word, and watches between clients.

use std::io::{self, BufReader, Read};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::{LIMIT, Said, check, china, script, strings};
use crate::client::fake::Fake;
use crate::shell::Input;
use crate::shell::run::run_in;

#[tokio::test]
async fn the_walkthroughs_transcript_comes_out_word_for_word() {
    let fake = Fake::start().await;
    fake.set_last_zxid(0x42_0000_0002);
    fake.set_wall_ms(1_527_083_345_000);
    check(
        &fake,
        "create /hellozk 123\nls /\ncreate -e /zktemp 123456\nls /\ncreate -s /a 12abcd\nls\nls /\n \n\
         create -s /hellozk/a 56789\nls /hellozk/\nls /hellozk/a\nls /hellozk\n",
        "Created /hellozk\n\
         [hellozk, zookeeper]\n\
         Created /zktemp\n\
         [hellozk, zktemp, zookeeper]\n\
         Created /a0000000002\n\
         ls [-s] [-w] [-R] path\n\
         [a0000000002, hellozk, zktemp, zookeeper]\n\
         Created /hellozk/a0000000000\n\
         Command failed: java.lang.IllegalArgumentException: Path must not end with / character\n\
         Node does not exist: /hellozk/a\n\
         [a0000000000]\n",
        0,
    )
    .await;
    // The session's end took zxid 7 with its ephemeral.
    let stat = "cZxid = 0x4200000003
ctime = Wed May 23 21:49:05 CST 2018
mZxid = 0x4200000003
mtime = Wed May 23 21:49:05 CST 2018
pZxid = 0x4200000006
cversion = 1
dataVersion = 0
aclVersion = 0
ephemeralOwner = 0x0
dataLength = 3
numChildren = 1
";
    check(&fake, "get /hellozk\n", &format!("123\n{stat}"), 0).await;
    fake.set_wall_ms(1_527_084_853_000);
    fake.set_last_zxid(0x42_0000_0006);
    let changed = stat
        .replace("mZxid = 0x4200000003", "mZxid = 0x4200000007")
        .replace("mtime = Wed May 23 21:49:05", "mtime = Wed May 23 22:14:13")
        .replace("dataVersion = 0", "dataVersion = 1")
        .replace("dataLength = 3", "dataLength = 6");
    check(&fake, "set /hellozk 123456\n", &changed, 0).await;
    check(
        &fake,
        "delete /hellozk\nls /hellozk\nrmr /hellozk\nls /\n",
        "Node not empty: /hellozk\n[a0000000000]\n[a0000000002, zookeeper]\n",
        0,
    )
    .await;
}

#[tokio::test]
async fn the_root_of_a_new_ensemble_has_an_empty_line_of_data() {
    let fake = Fake::start().await;
    let root = "\
cZxid = 0x0
ctime = Thu Jan 01 08:00:00 CST 1970
mZxid = 0x0
mtime = Thu Jan 01 08:00:00 CST 1970
pZxid = 0x0
cversion = -1
dataVersion = 0
aclVersion = 0
ephemeralOwner = 0x0
dataLength = 0
numChildren = 1
";
    check(&fake, "get /\nls2 /\n", &format!("\n{root}[zookeeper]\n{root}"), 0).await;
}

/// Lines typed one by one, so that a test can look at what was said in between.
struct Typist(mpsc::Receiver<String>, Vec<u8>);

impl Read for Typist {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.1.is_empty() {
            self.1 = self.0.recv().unwrap_or_default().into_bytes();
        }
        let read = buffer.len().min(self.1.len());
        buffer[..read].copy_from_slice(&self.1.drain(..read).collect::<Vec<_>>());
        Ok(read)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_set_on_one_client_and_fired_by_another_prints_in_the_middle() {
    let fake = Fake::start().await;
    script(&fake, "create /w 123\n").await;
    let said = Said::default();
    let (typed, lines) = mpsc::channel();
    let input = Input::Lines(Box::new(BufReader::new(Typist(lines, Vec::new()))));
    let args = strings(&["-server", &fake.server()]);
    let shell = tokio::spawn({
        let io = said.io(input, false);
        async move { run_in(&args, io, china()).await }
    });
    let wait_for = async |text: &str| {
        let before = Instant::now();
        while !said.both().contains(text) {
            assert!(before.elapsed() < LIMIT, "no {text:?} in {:?}", said.both());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    typed.send("get /w watch\n".to_owned()).unwrap();
    wait_for("numChildren = 0\n").await;
    script(&fake, "set /w abcdefg123456\nset /w again\n").await;
    let event = "\nWATCHER::\n\nWatchedEvent state:SyncConnected type:NodeDataChanged path:/w\n";
    wait_for(event).await;
    typed.send("printwatches off\nget /w watch\nprintwatches\n".to_owned()).unwrap();
    wait_for("printwatches is off\n").await;
    script(&fake, "set /w unseen\n").await;
    typed.send("get -s /w\nquit\nls /\n".to_owned()).unwrap();
    assert_eq!(shell.await.unwrap(), 0);
    assert_eq!(said.out().matches(event).count(), 1, "one-shot, and then silenced: {}", said.out());
    assert!(said.out().ends_with("unseen\n") || said.out().contains("dataVersion = 3\n"));
    assert!(!said.out().contains('['), "nothing runs after quit");
}

#[tokio::test]
async fn a_write_prints_behind_the_event_it_fires() {
    let fake = Fake::start().await;
    check(
        &fake,
        "create /w 1\nls -w /\nstat -w /w\nset -s /w 2\ndelete /w\n",
        "Created /w\n[w, zookeeper]\n\
cZxid = 0x1\nctime = Thu Jan 01 08:00:00 CST 1970\nmZxid = 0x1\nmtime = Thu Jan 01 08:00:00 CST 1970\n\
pZxid = 0x1\ncversion = 0\ndataVersion = 0\naclVersion = 0\nephemeralOwner = 0x0\ndataLength = 1\nnumChildren = 0\n\
\nWATCHER::\n\nWatchedEvent state:SyncConnected type:NodeDataChanged path:/w\n\
cZxid = 0x1\nctime = Thu Jan 01 08:00:00 CST 1970\nmZxid = 0x2\nmtime = Thu Jan 01 08:00:00 CST 1970\n\
pZxid = 0x1\ncversion = 0\ndataVersion = 1\naclVersion = 0\nephemeralOwner = 0x0\ndataLength = 1\nnumChildren = 0\n\
\nWATCHER::\n\nWatchedEvent state:SyncConnected type:NodeChildrenChanged path:/\n",
        0,
    )
    .await;
}
