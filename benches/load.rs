//! A bounded load: `cargo bench --bench load -- HOSTS set|get [connections=8] [window=32] [seconds=5] [size=100]`.
//!
//! Raw pipelined protocol, one thread and one znode per connection, connections dealt over the hosts in turn;
//! prints one line with operations per second and latencies. It measures the servers' side of the wire:
//! `client/`, with its sessions that survive and its typed answers, is deliberately not in the way.
#![allow(clippy::print_stdout, reason = "the line it prints is its result")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Barrier};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::{Buf, Bytes, BytesMut};
use zkops::wire::ids::{SessionId, Zxid};
use zkops::wire::jute::{Reader, Writer};
use zkops::wire::proto::{
    Acl, ConnectRequest, ConnectResponse, CreateRequest, ErrorCode, OpCode, ReplyHeader, Request,
    RequestHeader,
};

/// A server that says nothing for so long ends the run.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// Connections, and seconds of load, beyond which this is no longer a measurement on one machine.
const CONNECTIONS_MAX: usize = 512;
const SECONDS_MAX: u64 = 60;

#[derive(Debug, Clone)]
struct Load {
    hosts: Vec<String>,
    set: bool,
    connections: usize,
    /// Requests in flight per connection.
    window: usize,
    seconds: u64,
    size: usize,
}

/// What one connection saw.
struct Seen {
    latencies_us: Vec<u32>,
    took: Duration,
}

fn main() -> Result<()> {
    // `cargo bench` adds a word of its own.
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let load = parse(&args)?;
    // Nobody starts before everyone is connected.
    let together = Arc::new(Barrier::new(load.connections));
    let running: Vec<JoinHandle<Result<Seen>>> = (0..load.connections)
        .map(|n| {
            let (load, together) = (load.clone(), Arc::clone(&together));
            std::thread::spawn(move || {
                let connection = Connection::open(&load, n);
                together.wait();
                connection?.run(&load)
            })
        })
        .collect();
    let mut seen = Vec::new();
    for thread in running {
        match thread.join() {
            Ok(result) => seen.push(result?),
            Err(_) => bail!("a connection's thread panicked"),
        }
    }
    println!("{}", summary(&seen));
    Ok(())
}

fn parse(args: &[String]) -> Result<Load> {
    let [hosts, op, options @ ..] = args else {
        bail!("usage: load HOST:PORT[,…] set|get [connections=8] [window=32] [seconds=5] [size=100]");
    };
    let mut load = Load {
        hosts: hosts.split(',').map(str::to_owned).collect(),
        set: match op.as_str() {
            "set" => true,
            "get" => false,
            other => bail!("`{other}` is no load: set or get"),
        },
        connections: 8,
        window: 32,
        seconds: 5,
        size: 100,
    };
    for option in options {
        let (name, value) =
            option.split_once('=').with_context(|| format!("`{option}` is not name=number"))?;
        let value: usize = value.parse().with_context(|| format!("`{option}` is not name=number"))?;
        match name {
            "connections" => load.connections = value.clamp(1, CONNECTIONS_MAX),
            "window" => load.window = value.max(1),
            "seconds" => load.seconds = (value as u64).min(SECONDS_MAX),
            "size" => load.size = value,
            _ => bail!("`{name}` is no option: connections, window, seconds, size"),
        }
    }
    Ok(load)
}

struct Connection {
    stream: TcpStream,
    input: BytesMut,
    /// The one request that is sent again and again; its xid stands at 4..8.
    frame: BytesMut,
}

impl Connection {
    /// A session of its own, and a node of its own with data of the right size.
    fn open(load: &Load, n: usize) -> Result<Connection> {
        let host = &load.hosts[n % load.hosts.len()];
        let stream = TcpStream::connect(host).with_context(|| format!("cannot connect to {host}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        let mut connection = Connection { stream, input: BytesMut::new(), frame: BytesMut::new() };
        let hello = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid(0),
            timeout_ms: 30_000,
            session: SessionId::NONE,
            password: Bytes::from_static(&[0; 16]),
            read_only: Some(false),
        };
        connection.send_frame(|w| hello.encode(w))?;
        let answer = ConnectResponse::decode(connection.receive()?)?;
        ensure!(answer.timeout_ms > 0, "{host} refused a session");

        let path = format!("/load-{n}");
        let data = Bytes::from(vec![b'x'; load.size]);
        let create = CreateRequest {
            path: path.as_str().into(),
            data: Some(data.clone()),
            acl: Some(Acl::open()),
            flags: 0,
            ttl_ms: None,
        };
        let err = connection.ask(OpCode::Create, &Request::Create(create))?;
        ensure!(
            err == ErrorCode::Ok.code() || err == ErrorCode::NodeExists.code(),
            "create {path} on {host}: error {err}"
        );
        let set = Request::SetData { path: path.as_str().into(), data: Some(data), version: -1 };
        let err = connection.ask(OpCode::SetData, &set)?;
        ensure!(err == ErrorCode::Ok.code(), "set {path} on {host}: error {err}");
        connection.frame = match load.set {
            true => request_frame(OpCode::SetData, &set),
            false => {
                request_frame(OpCode::GetData, &Request::GetData { path: path.as_str().into(), watch: false })
            }
        };
        Ok(connection)
    }

    fn ask(&mut self, op: OpCode, request: &Request) -> Result<i32> {
        self.stream.write_all(&request_frame(op, request))?;
        Ok(ReplyHeader::decode(&mut Reader::new(self.receive()?))?.err)
    }

    fn send_frame(&mut self, body: impl FnOnce(&mut Writer)) -> Result<()> {
        let mut w = Writer::new();
        let mark = w.open_frame();
        body(&mut w);
        w.close_frame(mark);
        Ok(self.stream.write_all(&w.finish())?)
    }

    /// The next frame, waiting for it.
    fn receive(&mut self) -> Result<Bytes> {
        loop {
            if let Some(frame) = next_frame(&mut self.input) {
                return Ok(frame.freeze());
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<()> {
        let mut chunk = [0; 64 * 1024];
        let read = self.stream.read(&mut chunk).context("the server is silent")?;
        ensure!(read > 0, "the server closed a connection under load");
        self.input.extend_from_slice(&chunk[..read]);
        Ok(())
    }

    /// Keeps the window full until the time is over, then takes in what is still on its way.
    fn run(mut self, load: &Load) -> Result<Seen> {
        let started = Instant::now();
        let end = started + Duration::from_secs(load.seconds);
        let mut sent_at = vec![started; load.window];
        let mut latencies_us = Vec::with_capacity(1 << 16);
        let (mut sent, mut received) = (0_i32, 0_i32);
        let mut room = load.window;
        loop {
            let now = Instant::now();
            if now < end {
                let mut batch = BytesMut::with_capacity(room * self.frame.len());
                for _ in 0..room {
                    sent_at[sent as usize % load.window] = now;
                    sent += 1;
                    self.frame[4..8].copy_from_slice(&sent.to_be_bytes());
                    batch.extend_from_slice(&self.frame);
                }
                self.stream.write_all(&batch)?;
            } else if sent == received {
                break;
            }
            self.fill()?;
            let now = Instant::now();
            room = 0;
            while let Some(frame) = next_frame(&mut self.input) {
                let header = ReplyHeader::decode(&mut Reader::new(frame.freeze()))?;
                received += 1;
                ensure!(header.xid == received, "reply {} came in place of {received}", header.xid);
                ensure!(header.err == ErrorCode::Ok.code(), "error {} under load", header.err);
                let latency = now - sent_at[(received - 1) as usize % load.window];
                latencies_us.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
                room += 1;
            }
        }
        Ok(Seen { latencies_us, took: started.elapsed() })
    }
}

fn request_frame(op: OpCode, request: &Request) -> BytesMut {
    let mut w = Writer::new();
    let mark = w.open_frame();
    RequestHeader { xid: 0, op: op.code() }.encode(&mut w);
    request.encode(&mut w);
    w.close_frame(mark);
    w.into_inner()
}

fn next_frame(input: &mut BytesMut) -> Option<BytesMut> {
    let len = u32::from_be_bytes(input.get(..4)?.try_into().ok()?) as usize;
    if input.len() < 4 + len {
        return None;
    }
    input.advance(4);
    Some(input.split_to(len))
}

fn summary(seen: &[Seen]) -> String {
    let mut all: Vec<u32> = seen.iter().flat_map(|one| one.latencies_us.iter().copied()).collect();
    all.sort_unstable();
    let took = seen.iter().map(|one| one.took).max().unwrap_or_default().as_secs_f64();
    let quantile = |q: f64| all.get((all.len() as f64 * q) as usize).copied().unwrap_or_default();
    format!(
        "ops {} seconds {took:.3} ops_per_s {:.0} p50_us {} p99_us {}",
        all.len(),
        all.len() as f64 / took.max(1e-9),
        quantile(0.5),
        quantile(0.99)
    )
}
