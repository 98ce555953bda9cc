//! The machine alone: however the bytes are cut, the frames are the same; every bound and every deadline.

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::client::{Opening, Openings, Requests};
use super::closed::Closed;
use super::election::{Hellos, Notifications};
use super::inbox::{Framing, Inbox};
use super::outbox::{Next, Outbox, WhenFull};
use super::quorum::{Frame, Packets};
use crate::server::tree::{Tree, snapshot};
use crate::server::zab::Hello;
use crate::server::zab::wire::{FrameError, Kind, Packet, SNAPSHOT_SIGNATURE};
use crate::wire::ids::{ServerId, Zxid};
use crate::wire::jute::{FIELD_LEN_MAX, Writer};

/// All frames of a stream that arrives in pieces of these lengths, in turn; and how it ended, if it did.
fn cut<F: Framing>(framing: F, stream: &[u8], lens: &[usize]) -> (Vec<F::Frame>, Option<Closed>) {
    let mut inbox = Inbox::new(framing, 0, 1000);
    let mut frames = Vec::new();
    let mut rest = stream;
    let mut lens = lens.iter().copied().cycle();
    loop {
        match inbox.next_frame() {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) if rest.is_empty() => return (frames, None),
            Ok(None) => {
                let (piece, behind) = rest.split_at(lens.next().expect("a cycle").clamp(1, rest.len()));
                inbox.room().extend_from_slice(piece);
                rest = behind;
            }
            Err(closed) => return (frames, Some(closed)),
        }
    }
}

/// Requests as a client sends them.
fn requests(bodies: &[Vec<u8>]) -> Vec<u8> {
    bodies.iter().flat_map(|body| [&(body.len() as i32).to_be_bytes(), &body[..]].concat()).collect()
}

/// A SNAP, its stream, and a packet behind it.
fn sync_by_snapshot() -> (Vec<u8>, Vec<Frame>) {
    let body = snapshot::encode_body(&Tree::new());
    let snap = Packet::new(Kind::SNAP, Zxid(7));
    let after = Packet::with_data(Kind::NEWLEADER, Zxid(8), Bytes::from_static(b"config"));
    let mut signature = Writer::new();
    signature.string(SNAPSHOT_SIGNATURE);
    let stream = [&snap.encode()[..], &body, &signature.finish(), &after.encode()].concat();
    (stream, vec![Frame::Packet(snap), Frame::Snapshot(body), Frame::Packet(after)])
}

fn without_moves(frames: Vec<Frame>) -> Vec<Frame> {
    frames.into_iter().filter(|frame| *frame != Frame::Moved).collect()
}

proptest! {
    #[test]
    fn requests_are_the_same_however_they_are_cut(
        bodies in vec(vec(any::<u8>(), 0..200), 0..20),
        lens in vec(1_usize..300, 1..10),
    ) {
        let stream = requests(&bodies);
        let (frames, closed) = cut(Requests { len_max: 200 }, &stream, &lens);
        prop_assert_eq!(closed, None);
        prop_assert_eq!(frames, bodies);
    }

    #[test]
    fn notifications_are_the_same_however_they_are_cut(
        bodies in vec(vec(any::<u8>(), 1..100), 0..20),
        lens in vec(1_usize..150, 1..10),
    ) {
        let (frames, closed) = cut(Notifications, &requests(&bodies), &lens);
        prop_assert_eq!(closed, None);
        prop_assert_eq!(frames, bodies);
    }

    #[test]
    fn packets_and_a_snapshot_are_the_same_however_they_are_cut(lens in vec(1_usize..400, 1..10)) {
        let (stream, expected) = sync_by_snapshot();
        let (frames, closed) = cut(Packets::new(FIELD_LEN_MAX), &stream, &lens);
        prop_assert_eq!(closed, None);
        prop_assert_eq!(without_moves(frames), expected);
    }

    #[test]
    fn any_bytes_end_in_frames_or_in_a_reason(
        stream in vec(any::<u8>(), 0..300),
        lens in vec(1_usize..50, 1..5),
    ) {
        let whole = [stream.len().max(1)];
        prop_assert_eq!(cut(Requests { len_max: 99 }, &stream, &lens), cut(Requests { len_max: 99 }, &stream, &whole));
        prop_assert_eq!(cut(Notifications, &stream, &lens), cut(Notifications, &stream, &whole));
        let (pieces, end) = cut(Packets::new(FIELD_LEN_MAX), &stream, &lens);
        let (once, end_of_whole) = cut(Packets::new(FIELD_LEN_MAX), &stream, &whole);
        prop_assert_eq!(without_moves(pieces), without_moves(once));
        prop_assert_eq!(end.is_some(), end_of_whole.is_some());
    }

    #[test]
    fn what_is_owed_leaves_in_order_and_whole(
        pieces in vec(vec(any::<u8>(), 0..50), 0..20),
        takes in vec(0_usize..60, 1..10),
    ) {
        let mut outbox = Outbox::new(WhenFull::Close { len_max: usize::MAX });
        let mut written = Vec::new();
        let mut takes = takes.into_iter().cycle();
        for piece in &pieces {
            outbox.push(Bytes::copy_from_slice(piece));
            take(&mut outbox, takes.next().expect("a cycle"), &mut written);
        }
        let all = pieces.concat();
        prop_assert_eq!(outbox.held(), all.len() - written.len());
        while take(&mut outbox, 7, &mut written) {}
        prop_assert_eq!(written, all);
        prop_assert_eq!((outbox.held(), outbox.next_step()), (0, Next::Wait));
    }

    #[test]
    fn an_outbox_holds_no_more_than_its_bound_or_one_piece(
        lens in vec(1_usize..80, 1..40),
        takes in vec(0_usize..60, 1..10),
    ) {
        let mut outbox = Outbox::new(WhenFull::Close { len_max: 100 });
        let mut takes = takes.into_iter().cycle();
        for len in lens {
            outbox.push(vec![0; len].into());
            prop_assert!(outbox.held() <= 100);
            take(&mut outbox, takes.next().expect("a cycle"), &mut Vec::new());
        }
    }
}

/// Lets the socket take up to `len` bytes of the front piece; whether there was one.
fn take(outbox: &mut Outbox, len: usize, written: &mut Vec<u8>) -> bool {
    let Next::Write(bytes) = outbox.next_step() else { return false };
    let len = len.min(bytes.len());
    written.extend_from_slice(&bytes[..len]);
    outbox.written(len);
    true
}

/// What is still to come out, one entry a piece.
fn drained(outbox: &mut Outbox) -> Vec<String> {
    let mut pieces = Vec::new();
    while let Next::Write(bytes) = outbox.next_step() {
        pieces.push(String::from_utf8(bytes.to_vec()).expect("the tests' pieces are text"));
        outbox.written(bytes.len());
    }
    pieces
}

fn is_ruok(bytes: &[u8]) -> bool {
    bytes == b"ruok"
}

fn opening(bytes: &[u8]) -> Inbox<Openings> {
    let mut inbox = Inbox::new(Openings { is_word: is_ruok, len_max: 10 }, 0, 1000);
    inbox.room().extend_from_slice(bytes);
    inbox
}

#[test]
fn an_opening_is_a_word_or_a_whole_frame_which_stays() {
    let first = |bytes: &[u8]| opening(bytes).next_frame().expect("no opening of these is wrong");
    assert_eq!(first(b"ruo"), None);
    assert_eq!(first(b"ruok\n"), Some(Opening::Word(*b"ruok")));
    assert_eq!(first(b"\0\0\0\x02x"), None, "half a request for a session is none");
    let mut whole = opening(b"\0\0\0\x02xy");
    assert_eq!(whole.next_frame(), Ok(Some(Opening::Session)));
    assert_eq!(whole.followed_by(Requests { len_max: 10 }).next_frame(), Ok(Some(Bytes::from_static(b"xy"))));
    let long = opening(b"\0\0\0\x0b").next_frame();
    assert_eq!(long, Err(Closed::Frame(FrameError::Length { what: "request", len: 11 })));
}

#[test]
fn a_length_alone_does_not_move_the_deadline_of_an_introduction() {
    let mut inbox = opening(b"\0\0\0\x02x");
    assert_eq!(inbox.next_frame(), Ok(None));
    assert_eq!((inbox.deadline_ms(), inbox.on_time(999)), (1000, Ok(())));
    assert_eq!(inbox.on_time(1000), Err(Closed::Silent { waited_ms: 1000 }));
}

#[test]
fn a_hello_is_taken_and_what_follows_it_stays() {
    let hello = Hello { sid: ServerId(3), addresses: vec![("zk3".to_owned(), 3888)] };
    let mut inbox = Inbox::new(Hellos, 0, 1000);
    inbox.room().extend_from_slice(&hello.encode());
    inbox.room().extend_from_slice(b"\0\0\0\x01n");
    assert_eq!(inbox.next_frame(), Ok(Some(hello)));
    assert_eq!(inbox.followed_by(Notifications).next_frame(), Ok(Some(Bytes::from_static(b"n"))));
}

#[test]
fn a_length_outside_its_limits_ends_the_connection_before_memory_is_spent() {
    for (len, what) in [(-1, "request"), (11, "request"), (i32::MAX, "request")] {
        let mut inbox = Inbox::new(Requests { len_max: 10 }, 0, 1000);
        inbox.room().extend_from_slice(&len.to_be_bytes());
        assert_eq!(inbox.next_frame(), Err(Closed::Frame(FrameError::Length { what, len: len.into() })));
    }
    let (good, closed) = cut(Requests { len_max: 10 }, b"\0\0\0\x01x\xff\xff\xff\xff", &[100]);
    assert_eq!(good, [Bytes::from_static(b"x")], "what came before it is whole");
    assert!(matches!(closed, Some(Closed::Frame(_))));
    assert!(matches!(cut(Notifications, &(1_i32 << 20).to_be_bytes(), &[4]).1, Some(Closed::Frame(_))));
    assert!(matches!(
        cut(Hellos, &(-7_i64).to_be_bytes(), &[8]).1,
        Some(Closed::Frame(FrameError::Version(-7)))
    ));
}

#[test]
fn a_snapshot_stream_moves_piece_by_piece_and_ends_with_its_closing_words() {
    let (mut stream, expected) = sync_by_snapshot();
    let (frames, _) = cut(Packets::new(FIELD_LEN_MAX), &stream, &[10]);
    assert!(frames.contains(&Frame::Moved));
    let words = stream.windows(10).position(|at| at == SNAPSHOT_SIGNATURE.as_bytes()).expect("it is signed");
    stream[words] = b'b';
    let (frames, closed) = cut(Packets::new(FIELD_LEN_MAX), &stream, &[1 << 20]);
    assert_eq!((frames, closed), (vec![expected[0].clone()], Some(Closed::Signature)));
}

#[test]
fn an_introduction_has_a_deadline_and_a_conversation_has_none() {
    let inbox = Inbox::new(Hellos, 500, 1000);
    assert_eq!(inbox.deadline_ms(), 1500);
    assert_eq!(inbox.on_time(1499), Ok(()));
    assert_eq!(inbox.on_time(1500), Err(Closed::Silent { waited_ms: 1000 }));
    let inbox = inbox.followed_by(Notifications);
    assert_eq!((inbox.deadline_ms(), inbox.on_time(u64::MAX - 1)), (u64::MAX, Ok(())));
}

#[test]
fn frames_are_slices_of_what_was_read() {
    let mut inbox = Inbox::new(Requests { len_max: 10 }, 0, 1000);
    let room: &mut BytesMut = inbox.room();
    room.extend_from_slice(b"\0\0\0\x05hello");
    let read_to = room.as_ptr();
    let frame = inbox.next_frame().expect("a frame").expect("a whole one");
    assert_eq!(frame.as_ptr(), read_to.wrapping_add(4));
}

#[test]
fn who_does_not_read_is_closed_when_the_outbox_is_full() {
    let mut outbox = Outbox::new(WhenFull::Close { len_max: 10 });
    outbox.push("a piece longer than all".into());
    assert_eq!(outbox.held(), 23, "alone it is taken");
    outbox.written(16);
    outbox.push("abc".into());
    assert_eq!(outbox.held(), 10);
    outbox.push("d".into());
    assert_eq!(outbox.next_step(), Next::Close(Closed::Full { held: 10, len: 1 }));
    assert_eq!(outbox.held(), 0, "what was owed is dropped");
    outbox.push("e".into());
    assert_eq!(outbox.held(), 0);
}

#[test]
fn of_what_is_owed_at_a_close_all_is_written_and_nothing_more_taken() {
    let mut outbox = Outbox::new(WhenFull::Close { len_max: 10 });
    outbox.push("one".into());
    outbox.finish(0, 1000);
    outbox.push("two".into());
    assert_eq!(drained(&mut outbox), ["one"]);
    assert_eq!(outbox.next_step(), Next::Close(Closed::Here));
}

#[test]
fn what_is_owed_at_a_close_has_so_long_to_be_read_and_no_longer() {
    let mut outbox = Outbox::new(WhenFull::Close { len_max: 10 });
    outbox.push("abcdef".into());
    assert_eq!(outbox.deadline_ms(), u64::MAX);
    outbox.finish(500, 1000);
    outbox.finish(900, 1000);
    assert_eq!(outbox.deadline_ms(), 1500, "asked again, it ends no later");
    outbox.written(2);
    outbox.on_time(1499);
    assert_eq!(outbox.next_step(), Next::Write("cdef".into()));
    outbox.on_time(1500);
    assert_eq!(outbox.next_step(), Next::Close(Closed::Unread { held: 4, waited_ms: 1000 }));
    assert_eq!(outbox.held(), 0);
}

#[test]
fn of_states_that_wait_the_newest_alone_is_kept_behind_the_first() {
    let mut outbox = Outbox::new(WhenFull::KeepNewest);
    ["hello", "1", "2", "3"].into_iter().for_each(|piece| outbox.push(piece.into()));
    assert_eq!(outbox.held(), 6);
    assert_eq!(drained(&mut outbox), ["hello", "3"]);

    // What the socket has begun, or may begin at any moment, stays.
    outbox.push_rest("rest of 4".into());
    ["5", "6"].into_iter().for_each(|piece| outbox.push(piece.into()));
    assert_eq!(outbox.next_step(), Next::Write("rest of 4".into()));
    assert_eq!(drained(&mut outbox), ["rest of 4", "6"]);
    outbox.push("7".into());
    assert_eq!(outbox.next_step(), Next::Write("7".into()));
    ["8", "9"].into_iter().for_each(|piece| outbox.push(piece.into()));
    assert_eq!(drained(&mut outbox), ["7", "9"]);
}

#[test]
fn a_snapshot_does_not_fill_an_outbox() {
    let mut outbox = Outbox::new(WhenFull::Close { len_max: 10 });
    outbox.push("12345".into());
    outbox.push_snapshot("a whole tree".into());
    outbox.push("67890".into());
    assert_eq!(outbox.held(), 22);
    assert_eq!(drained(&mut outbox), ["12345", "a whole tree", "67890"]);
    outbox.push_snapshot("a whole tree".into());
    outbox.push("a packet".into());
    outbox.push("abc".into());
    assert_eq!(outbox.next_step(), Next::Close(Closed::Full { held: 20, len: 3 }));
}
