//! The election port's framings: HELLO from who has dialled, then notifications (quorum-protocol §1.1).

use bytes::{Bytes, BytesMut};

use super::closed::Closed;
use super::inbox::Framing;
use crate::server::zab::{Hello, Notification};

/// Takes the HELLO.
#[derive(Debug)]
pub struct Hellos;

/// Takes notifications' payloads, their lengths taken off.
#[derive(Debug)]
pub struct Notifications;

impl Framing for Hellos {
    type Frame = Hello;

    const READ_LEN: usize = READ_LEN;

    fn take(&mut self, buffer: &mut BytesMut) -> Result<Option<Hello>, Closed> {
        Ok(Hello::take(buffer)?)
    }
}

impl Framing for Notifications {
    type Frame = Bytes;

    const READ_LEN: usize = READ_LEN;

    fn take(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, Closed> {
        Ok(Notification::take_payload(buffer)?)
    }
}

/// A notification has some fifty bytes and a short config; longer ones make the buffer grow.
const READ_LEN: usize = 16 * 1024;
