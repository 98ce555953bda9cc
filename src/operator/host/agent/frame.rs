//! One frame: a big-endian u32 length, then that many bytes of JSON. It knows nothing of what the
//! JSON means. A frame over the limit is an error before a byte of it is allocated.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Encodes one frame.
///
/// # Errors
/// `InvalidData` when the JSON would be over [`BYTES_MAX`].
pub(crate) fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, message)?;
    let body = bytes.len() - 4;
    let length = u32::try_from(body).ok().filter(|_| body <= BYTES_MAX).ok_or_else(|| too_large(body))?;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    Ok(bytes)
}

/// Reads one frame; `None` at a clean end of the stream.
///
/// # Errors
/// `UnexpectedEof` inside a frame, `InvalidData` for a length over the limit or for JSON that is not a `T`.
pub(crate) async fn read<T: DeserializeOwned>(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<T>> {
    let mut head = [0; 4];
    let got = from.read(&mut head).await?;
    if got == 0 {
        return Ok(None);
    }
    from.read_exact(&mut head[got..]).await?;
    let length = u32::from_be_bytes(head) as usize;
    if length > BYTES_MAX {
        return Err(too_large(length));
    }
    // The peer may lie about the length: memory grows with what really arrives.
    let mut body = Vec::with_capacity(length.min(64 << 10));
    from.take(length as u64).read_to_end(&mut body).await?;
    if body.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(serde_json::from_slice(&body)?))
}

pub(crate) async fn write(to: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> io::Result<()> {
    to.write_all(frame).await?;
    to.flush().await
}

fn too_large(length: usize) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("a frame of {length} bytes is over the limit of {BYTES_MAX}"),
    )
}

/// No frame is larger: whoever needs more asks in pieces.
pub(crate) const BYTES_MAX: usize = 16 << 20;
