//! One four-letter word, sent from this host. It knows no word by name.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::records::{FourLetter, FourLetterReply};
use crate::operator::host::failure::{Failure, Kind};
use crate::operator::host::machine::clock::micros_since;

/// Sends a word and reads until the server hangs up (operations §8.1).
///
/// # Errors
/// Why there was no connection, or none that lasted.
pub(crate) async fn four_letter(request: &FourLetter) -> Result<FourLetterReply, Failure> {
    let to = format!("{}:{}", request.host, request.port);
    if request.word.len() != 4 || !request.word.is_ascii() {
        return Err(Failure::invalid("send", &request.word, "a four-letter word has four ASCII letters"));
    }
    let begun = Instant::now();
    let deadline = begun + Duration::from_millis(request.timeout_ms);
    let mut reply = Vec::new();
    let talk = async {
        let mut stream = TcpStream::connect((request.host.as_str(), request.port)).await?;
        stream.write_all(request.word.as_bytes()).await?;
        stream.take(REPLY_BYTES_MAX).read_to_end(&mut reply).await
    };
    let what = format!("ask {} of", request.word);
    let outcome = timeout_at(deadline, talk).await;
    // A server that answers and resets (unread input, a restart) has answered all the same.
    let answered = !reply.is_empty();
    match outcome {
        Ok(Err(error)) if !answered => return Err(Failure::io(what, to, &error)),
        Err(_) if !answered => {
            let why = format!("no answer within {} ms", request.timeout_ms);
            return Err(Failure::new(what, to, Kind::Timeout, why));
        }
        _ => {}
    }
    Ok(FourLetterReply {
        truncated: reply.len() as u64 == REPLY_BYTES_MAX,
        reply: String::from_utf8_lossy(&reply).into_owned(),
        latency_us: micros_since(begun),
    })
}

/// `mntr`, `cons` and `wchc` of a big ensemble; the rest is cut off.
const REPLY_BYTES_MAX: u64 = 1 << 20;
