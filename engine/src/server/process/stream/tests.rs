//! The driver over a byte stream that is no socket, as TLS will be one, and over TCP.

use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::driver::{self, Port};
use super::machine::client::Requests;
use super::machine::closed::Closed;
use super::machine::inbox::Inbox;
use super::machine::outbox::{Next, WhenFull};
use super::outlet::{Held, Outlet};
use super::plain;

/// Frames go where the test sees them.
struct Seen {
    frames: mpsc::Sender<Vec<Bytes>>,
    progress: mpsc::UnboundedSender<()>,
}

impl Port for Seen {
    type Framing = Requests;

    const PAUSE_LEN: usize = 100;

    async fn deliver(&self, frames: Vec<Bytes>) -> Result<(), Closed> {
        self.frames.send(frames).await.map_err(|_| Closed::Stopping)
    }

    async fn progress(&self) {
        let _ = self.progress.send(());
    }
}

/// One connection with the test at the other end of its stream.
struct World {
    read: ReadHalf<DuplexStream>,
    write: WriteHalf<DuplexStream>,
    outlet: Outlet,
    frames: mpsc::Receiver<Vec<Bytes>>,
    progress: mpsc::UnboundedReceiver<()>,
    stop: watch::Sender<bool>,
    end: JoinHandle<Closed>,
}

/// The stream holds `stream_len` bytes on their way, the outbox `owed_len_max`.
fn world(stream_len: usize, owed_len_max: usize) -> World {
    let (here, there) = duplex(stream_len);
    let (read, write) = split(here);
    let outlet = Outlet::new(WhenFull::Close { len_max: owed_len_max });
    let (frames_sender, frames) = mpsc::channel(8);
    let (progress_sender, progress) = mpsc::unbounded_channel();
    let (stop, stopped) = watch::channel(false);
    let task = outlet.clone();
    let end = tokio::spawn(async move {
        let port = Seen { frames: frames_sender, progress: progress_sender };
        let inbox = Inbox::new(Requests { len_max: 1000 }, 0, u64::MAX);
        driver::converse(read, write, inbox, &task, &port, stopped).await
    });
    let (read, write) = split(there);
    World { read, write, outlet, frames, progress, stop, end }
}

impl World {
    async fn receive(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        timeout(LONG, self.read.read_exact(&mut bytes)).await.expect("in time").expect("the bytes come");
        bytes
    }

    async fn end(self) -> Closed {
        timeout(LONG, self.end).await.expect("in time").expect("the task does not panic")
    }
}

#[tokio::test]
async fn frames_come_up_and_bytes_go_down_in_order() {
    let mut world = world(64, 10_000);
    world.write.write_all(b"\0\0\0\x03one\0\0").await.expect("it is read");
    assert_eq!(world.frames.recv().await.expect("a frame"), ["one"]);
    world.write.write_all(b"\0\x03two").await.expect("it is read");
    assert_eq!(world.frames.recv().await.expect("a frame"), ["two"]);
    world.outlet.send("three".into());
    world.outlet.send("four".into());
    assert_eq!(world.receive(9).await, b"threefour");
    world.outlet.finish();
    assert_eq!(world.end().await, Closed::Here);
}

#[tokio::test]
async fn the_end_comes_from_there_from_here_or_with_the_server() {
    let World { read, write, end, stop: _stop, .. } = world(64, 100);
    drop((read, write));
    assert_eq!(timeout(LONG, end).await.expect("in time").expect("no panic"), Closed::There);

    let world_that_stops = world(64, 100);
    world_that_stops.stop.send_replace(true);
    assert_eq!(world_that_stops.end().await, Closed::Stopping);

    let mut world_without_reader = world(64, 100);
    world_without_reader.frames.close();
    world_without_reader.write.write_all(b"\0\0\0\x01x").await.expect("it is read");
    assert_eq!(world_without_reader.end().await, Closed::Stopping);

    let mut world_of_nonsense = world(64, 100);
    world_of_nonsense.write.write_all(b"\xff\xff\xff\xff").await.expect("it is read");
    assert!(matches!(world_of_nonsense.end().await, Closed::Frame(_)));
}

#[tokio::test]
async fn what_is_owed_at_the_end_is_written_first() {
    let mut world = world(4, 10_000);
    world.outlet.send(Bytes::from(vec![7; 1000]));
    world.outlet.finish();
    assert_eq!(world.receive(1000).await, [7; 1000]);
    let mut rest = Vec::new();
    world.read.read_to_end(&mut rest).await.expect("an end in order");
    assert_eq!((rest, world.end().await), (Vec::new(), Closed::Here));
}

#[tokio::test]
async fn who_does_not_read_is_closed_and_what_it_was_owed_is_dropped() {
    let world = world(4, 1000);
    world.outlet.send(Bytes::from(vec![1; 900]));
    world.outlet.send(Bytes::from(vec![2; 200]));
    let outlet = world.outlet.clone();
    assert!(matches!(world.end().await, Closed::Full { len: 200, .. }));
    assert_eq!(outlet.held(), 0);
}

#[tokio::test]
async fn a_connection_that_is_closed_here_and_not_read_there_is_gone_in_seconds() {
    let world = world(4, 10_000);
    world.outlet.send(Bytes::from(vec![7; 1000]));
    world.outlet.finish();
    let outlet = world.outlet.clone();
    let closed = timeout(Duration::from_secs(8), world.end).await.expect("in seconds").expect("no panic");
    assert!(matches!(closed, Closed::Unread { waited_ms: 3000, .. }), "{closed}");
    assert_eq!(outlet.held(), 0);
}

#[tokio::test]
async fn nothing_more_is_taken_from_who_does_not_read_until_it_does() {
    let mut world = world(64, 10_000);
    world.write.write_all(b"\0\0\0\x01a").await.expect("the stream has room");
    assert_eq!(world.frames.recv().await.expect("a frame"), ["a"]);
    // One byte more than the pause allows, with the stream's own 64 full.
    world.outlet.send(Bytes::from(vec![7; 165]));
    while world.outlet.held() > 101 {
        tokio::task::yield_now().await;
    }
    world.write.write_all(b"\0\0\0\x01b").await.expect("the stream has room");
    assert_eq!(world.frames.recv().await.expect("this read was on its way"), ["b"]);
    world.write.write_all(b"\0\0\0\x01c").await.expect("the stream has room");
    let taken = timeout(Duration::from_millis(50), world.frames.recv()).await;
    assert!(taken.is_err(), "{taken:?} although {} bytes wait", world.outlet.held());
    world.receive(165).await;
    assert_eq!(timeout(LONG, world.frames.recv()).await.expect("in time").expect("a frame"), ["c"]);
}

#[tokio::test]
async fn progress_is_told_while_much_is_written() {
    let mut world = world(64 * 1024, usize::MAX);
    world.outlet.send(Bytes::from(vec![0; 5 << 19]));
    world.receive(5 << 19).await;
    world.outlet.finish();
    assert!(world.progress.try_recv().is_ok());
    assert!(world.progress.try_recv().is_ok());
    assert!(world.progress.try_recv().is_err(), "once every MiB");
    assert_eq!(world.end().await, Closed::Here);
}

/// Two ends of a TCP connection: ours as the driver has it, and theirs.
async fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has ports");
    let addr = listener.local_addr().expect("it is bound");
    let (there, here) = tokio::join!(TcpStream::connect(addr), listener.accept());
    (here.expect("it comes").0, there.expect("somebody listens"))
}

#[tokio::test]
async fn a_plain_socket_takes_bytes_past_its_task_and_in_order() {
    let (here, mut there) = tcp().await;
    let (_read, write) = plain::halves(here);
    let outlet = Outlet::new(WhenFull::Close { len_max: usize::MAX });
    outlet.send("before it is up, ".into());
    outlet.connect(&write);
    outlet.send("behind what waits".into());
    assert_eq!(outlet.held(), 34, "no task has run yet");
    let task = outlet.clone();
    let end = tokio::spawn(async move { driver::part(write, &task).await });
    let mut all = String::new();
    timeout(LONG, there.read_to_string(&mut all)).await.expect("in time").expect("an end in order");
    assert_eq!(all, "before it is up, behind what waits");
    assert_eq!(end.await.expect("no panic"), Closed::Here);

    let (here, mut there) = tcp().await;
    let (_read, write) = plain::halves(here);
    let outlet = Outlet::new(WhenFull::Close { len_max: usize::MAX });
    outlet.connect(&write);
    outlet.send("at once".into());
    assert_eq!(outlet.held(), 0, "there is no task");
    let mut bytes = [0; 7];
    timeout(LONG, there.read_exact(&mut bytes)).await.expect("in time").expect("the bytes come");
    assert_eq!(&bytes, b"at once");
}

#[tokio::test]
async fn more_than_a_socket_holds_arrives_whole() {
    let (here, mut there) = tcp().await;
    let (_read, write) = plain::halves(here);
    let outlet = Outlet::new(WhenFull::Close { len_max: usize::MAX });
    outlet.connect(&write);
    let all: Vec<u8> = (0..20_000_000_u32).map(|n| (n >> 7) as u8).collect();
    for piece in all.chunks(300_000) {
        outlet.send(Bytes::copy_from_slice(piece));
    }
    assert!(outlet.held() > 0, "no socket holds so much");
    let end = tokio::spawn(async move { driver::part(write, &outlet).await });
    let mut read = Vec::new();
    timeout(LONG, there.read_to_end(&mut read)).await.expect("in time").expect("an end in order");
    assert!(read == all);
    assert_eq!(end.await.expect("no panic"), Closed::Here);
}

/// A wait that does not end means that the test fails.
#[test]
fn what_waits_in_all_outlets_is_counted_together() {
    let held = Held::new(100);
    let [one, two] = [(); 2].map(|()| Outlet::among(WhenFull::Close { len_max: usize::MAX }, held.clone()));
    one.send(vec![0; 60].into());
    assert!(!held.is_too_much());
    two.send(vec![0; 50].into());
    assert!(held.is_too_much());
    assert!(matches!(one.next_step().0, Next::Write(_)));
    one.written(20);
    assert!(!held.is_too_much(), "90 bytes");
    two.send(vec![0; 50].into());
    two.close(Closed::Deaf { held: two.held() });
    assert!(!held.is_too_much(), "what was dropped waits no more");
    one.send(vec![0; 70].into());
    assert!(held.is_too_much());
    drop(one);
    assert!(!held.is_too_much());
}

const LONG: Duration = Duration::from_secs(20);
