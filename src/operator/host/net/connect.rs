//! Can this host reach those ports, and who answers there: connects to all targets at once and
//! tells a refusal from a drop from a reject. It keeps no connection.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::records::{Connect, Outcome, Reach, Target};
use crate::operator::host::failure::{Failure, Kind};
use crate::operator::host::machine::clock::micros_since;

pub(crate) async fn connect(request: &Connect) -> Vec<Reach> {
    let room = Semaphore::new(AT_ONCE);
    let each = request.targets.iter().map(|target| async {
        // Never closed: cannot fail, and if it could, going on unlimited would be right.
        let _permit = room.acquire().await;
        reach(target, request, Duration::from_millis(request.timeout_ms)).await
    });
    futures_util::future::join_all(each).await
}

async fn reach(target: &Target, request: &Connect, patience: Duration) -> Reach {
    let deadline = Instant::now() + patience;
    let answer =
        |address, outcome, latency_us| Reach { target: target.clone(), address, outcome, latency_us };
    let addresses = match resolve(target, deadline).await {
        Ok(addresses) => addresses,
        Err(why) => return answer(None, Outcome::NameError { why }, 0),
    };
    let mut last = answer(None, Outcome::NameError { why: "it has no address".into() }, 0);
    for address in addresses {
        let begun = Instant::now();
        let connected = timeout_at(deadline, TcpStream::connect(address)).await;
        let latency_us = micros_since(begun);
        let outcome = match connected {
            Ok(Ok(stream)) => identify(stream, request, deadline).await,
            Ok(Err(error)) => outcome(address, &error),
            Err(_) => Outcome::Timeout,
        };
        last = answer(Some(address), outcome, latency_us);
        if last.outcome.reachable() {
            break;
        }
    }
    last
}

async fn resolve(target: &Target, deadline: Instant) -> Result<Vec<SocketAddr>, String> {
    if let Ok(ip) = target.host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, target.port)]);
    }
    match timeout_at(deadline, tokio::net::lookup_host((target.host.as_str(), target.port))).await {
        Ok(Ok(all)) => Ok(all.collect()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the resolver did not answer in time".into()),
    }
}

async fn identify(mut stream: TcpStream, request: &Connect, deadline: Instant) -> Outcome {
    let token = &request.token;
    if token.is_empty() {
        return Outcome::Open;
    }
    let mut heard = vec![0; token.len()];
    let patience = deadline.min(Instant::now() + TOKEN_PATIENCE);
    match timeout_at(patience, stream.read_exact(&mut heard)).await {
        Ok(Ok(_)) if heard == token.as_bytes() => {
            // Only now: a server must not be told things. That it is not heard is the listener's loss.
            let _ = timeout_at(deadline, stream.write_all(format!("{}\n", request.name).as_bytes())).await;
            Outcome::Token
        }
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset => Outcome::Reset,
        _ => Outcome::Open,
    }
}

fn outcome(address: SocketAddr, error: &io::Error) -> Outcome {
    match Kind::of(error) {
        Kind::ConnectionRefused => Outcome::Refused,
        Kind::ConnectionReset => Outcome::Reset,
        Kind::Timeout => Outcome::Timeout,
        // An IPv6 firewall that rejects, ours or one on the way, says "administratively prohibited".
        Kind::Unreachable | Kind::PermissionDenied => Outcome::NoRoute { why: error.to_string() },
        _ => Outcome::Failed { why: Failure::io("connect to", address, error) },
    }
}

/// Our listener answers at once; a server waits for us to speak. So long we wait to tell which.
const TOKEN_PATIENCE: Duration = Duration::from_millis(1000);
/// Descriptors are limited (1024 by default).
const AT_ONCE: usize = 256;
