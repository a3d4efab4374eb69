//! A peer to compare with: broadcast and echo on fastwebsockets, upgraded by hyper.
//!
//! In the manner of the library's examples: hyper's upgrade, `FragmentCollector` for the echo, and
//! for the broadcast, of which it has no example, the split halves of its `echo_server_split` with
//! an unbounded channel per connection, since reading a frame must not be cancelled half way. The
//! library writes a frame when it is given one, and gathers nothing. One thread, because it is
//! compared on one core. Beyond the examples: TCP_NODELAY.
//!
//! Knows nothing of Kith. The port is its only argument; `/echo` sends binary messages back,
//! every other path broadcasts them to everybody, the sender included.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{env, io};

use fastwebsockets::upgrade::{UpgradeFut, upgrade};
use fastwebsockets::{
    FragmentCollector, FragmentCollectorRead, Frame, OpCode, Payload, WebSocketError,
};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// What is to be written to a connection.
#[derive(Clone)]
enum Told {
    Message(Bytes),
    /// What the library wants answered: a pong, or a close.
    Control(OpCode, Bytes),
}

/// The way to everybody who is connected.
#[derive(Clone, Default)]
struct Room(Arc<Mutex<HashMap<SocketAddr, UnboundedSender<Told>>>>);

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let port = env::args().nth(1).and_then(|port| port.parse().ok());
    let port = port.ok_or_else(|| io::Error::other("the port is missing"))?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let room = Room::default();
    loop {
        let (stream, address) = listener.accept().await?;
        tokio::spawn(accept(stream, address, room.clone()));
    }
}

async fn accept(stream: TcpStream, address: SocketAddr, room: Room) {
    // A connection that is gone already is found out by hyper.
    let _ = stream.set_nodelay(true);
    let answer = |request| {
        let room = room.clone();
        async move { handshake(request, address, room) }
    };
    let served = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .with_upgrades();
    // However it ended, it ended.
    let _ = served.await;
}

fn handshake(
    mut request: Request<Incoming>,
    address: SocketAddr,
    room: Room,
) -> Result<Response<Empty<Bytes>>, WebSocketError> {
    let (response, upgraded) = upgrade(&mut request)?;
    let path_is_echo = request.uri().path() == "/echo";
    tokio::spawn(async move {
        // As above.
        let _ = if path_is_echo {
            echo(upgraded).await
        } else {
            let ended = listen(upgraded, address, &room).await;
            room.all().remove(&address);
            ended
        };
    });
    Ok(response)
}

async fn echo(upgraded: UpgradeFut) -> Result<(), WebSocketError> {
    let mut socket = FragmentCollector::new(upgraded.await?);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Binary => socket.write_frame(frame).await?,
            _ => {}
        }
    }
}

async fn listen(
    upgraded: UpgradeFut,
    address: SocketAddr,
    room: &Room,
) -> Result<(), WebSocketError> {
    let (incoming, mut outgoing) = upgraded.await?.split(tokio::io::split);
    let mut incoming = FragmentCollectorRead::new(incoming);
    let (to_this, mut of_this) = unbounded_channel();
    room.all().insert(address, to_this.clone());
    let heard = async {
        loop {
            let mut answer = |frame: Frame<'_>| {
                let payload = Bytes::copy_from_slice(&frame.payload);
                let sent = to_this.send(Told::Control(frame.opcode, payload));
                async move { sent }
            };
            let frame = incoming.read_frame(&mut answer).await?;
            match frame.opcode {
                OpCode::Close => return Ok(()),
                OpCode::Binary => room.tell(&Told::Message(owned(frame.payload))),
                _ => {}
            }
        }
    };
    let told = async {
        while let Some(told) = of_this.recv().await {
            let (opcode, payload) = match &told {
                Told::Message(payload) => (OpCode::Binary, payload),
                Told::Control(opcode, payload) => (*opcode, payload),
            };
            let frame = Frame::new(true, opcode, None, Payload::Borrowed(payload));
            outgoing.write_frame(frame).await?;
        }
        Ok(())
    };
    tokio::select! {
        ended = heard => ended,
        ended = told => ended,
    }
}

/// The payload to be shared, without a copy where it comes in a buffer that can be.
fn owned(payload: Payload<'_>) -> Bytes {
    match payload {
        Payload::Bytes(bytes) => bytes.freeze(),
        Payload::Owned(bytes) => Bytes::from(bytes),
        Payload::Borrowed(bytes) => Bytes::copy_from_slice(bytes),
        Payload::BorrowedMut(bytes) => Bytes::copy_from_slice(bytes),
    }
}

impl Room {
    fn all(&self) -> MutexGuard<'_, HashMap<SocketAddr, UnboundedSender<Told>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, told: &Told) {
        for listener in self.all().values() {
            // Whoever is gone is removed by the task that served them.
            let _ = listener.send(told.clone());
        }
    }
}
