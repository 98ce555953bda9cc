//! What is written reads back the same, and no bytes at all bring the reader down.

use bytes::Bytes;
use proptest::prelude::*;

use super::{Error, Reader, Writer};

#[test]
fn null_and_empty_buffers_stay_apart() {
    let mut w = Writer::new();
    w.buffer(None);
    w.buffer(Some(b""));
    w.buffer(Some(b"x"));
    let mut r = Reader::new(w.finish());
    assert_eq!(r.buffer(), Ok(None));
    assert_eq!(r.buffer(), Ok(Some(Bytes::new())));
    assert_eq!(r.buffer(), Ok(Some(Bytes::from_static(b"x"))));
    assert_eq!(r.remaining(), 0);
}

#[test]
fn a_count_larger_than_the_bytes_is_refused_before_anything_is_allocated() {
    let mut r = Reader::new(Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff, 0, 0]));
    assert_eq!(r.vector(4, |r| r.int()), Err(Error::Length { at: 0, len: i32::MAX.into() }));
}

#[test]
fn a_frame_carries_the_length_of_its_body() {
    let mut w = Writer::new();
    let mark = w.open_frame();
    w.int(7);
    w.string("ab");
    w.close_frame(mark);
    assert_eq!(&w.finish()[..], b"\0\0\0\x0a\0\0\0\x07\0\0\0\x02ab");
}

proptest! {
    #[test]
    fn reading_arbitrary_bytes_never_panics(bytes: Vec<u8>) {
        let mut r = Reader::new(Bytes::from(bytes));
        let _ = r.clone().string_or_null();
        let _ = r.clone().vector(1, |r| r.string());
        let _ = r.clone().long();
        let _ = r.buffer();
        let _ = r.rest();
    }

    #[test]
    fn what_is_written_is_read_back(i: i32, l: i64, b: Option<Vec<u8>>, s: String, v: Vec<i64>) {
        let mut w = Writer::new();
        w.int(i);
        w.long(l);
        w.buffer(b.as_deref());
        w.string(&s);
        w.count(v.len());
        v.iter().for_each(|x| w.long(*x));
        let mut r = Reader::new(w.finish());
        prop_assert_eq!(r.int(), Ok(i));
        prop_assert_eq!(r.long(), Ok(l));
        prop_assert_eq!(r.buffer(), Ok(b.map(Bytes::from)));
        prop_assert_eq!(r.string(), Ok(s));
        prop_assert_eq!(r.vector(8, |r| r.long()), Ok(Some(v)));
    }
}
