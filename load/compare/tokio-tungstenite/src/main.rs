//! A peer to compare with: broadcast and echo on tokio-tungstenite.
//!
//! In the manner of the library's own examples, which are what its users begin with: the chat
//! server keeps an unbounded channel per connection, and `forward` drains it into the socket. That
//! gathers what waits: it feeds the sink as long as there is a message and flushes when there is
//! none. One thread, because it is compared on one core. Beyond the examples: TCP_NODELAY, and the
//! read buffer of 4 KiB that the documentation of `WebSocketConfig` names for many connections; with
//! the 128 KiB that it comes with, an idle connection takes 137 KB, and each read clears them.
//!
//! Knows nothing of Kith. The port is its only argument; `/echo` sends binary messages back,
//! every other path broadcasts them to everybody, the sender included.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{env, io};

use futures_channel::mpsc::{UnboundedSender, unbounded};
use futures_util::{StreamExt, TryStreamExt, future};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::accept_hdr_async_with_config;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};

/// The way to everybody who is connected.
#[derive(Clone, Default)]
struct Room(Arc<Mutex<HashMap<SocketAddr, UnboundedSender<Message>>>>);

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let port = env::args().nth(1).and_then(|port| port.parse().ok());
    let port = port.ok_or_else(|| io::Error::other("the port is missing"))?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let room = Room::default();
    loop {
        let (stream, address) = listener.accept().await?;
        let room = room.clone();
        tokio::spawn(async move {
            // However it ended, it ended.
            let _ = serve(stream, address, &room).await;
            room.all().remove(&address);
        });
    }
}

async fn serve(stream: TcpStream, address: SocketAddr, room: &Room) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    let mut echo = false;
    #[allow(clippy::result_large_err)] // The library's signature.
    let look = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        echo = request.uri().path() == "/echo";
        Ok(response)
    };
    let config = WebSocketConfig::default().read_buffer_size(4096);
    let socket = accept_hdr_async_with_config(stream, look, Some(config)).await?;
    let (outgoing, incoming) = socket.split();
    let messages = incoming.try_filter(|message| future::ready(message.is_binary()));
    if echo {
        return messages.forward(outgoing).await;
    }
    let (to_this, of_this) = unbounded();
    room.all().insert(address, to_this);
    let heard = messages.try_for_each(|message| {
        for listener in room.all().values() {
            // Whoever is gone is removed by the task that served them.
            let _ = listener.unbounded_send(message.clone());
        }
        future::ok(())
    });
    let told = of_this.map(Ok).forward(outgoing);
    future::select(heard, told).await.factor_first().0
}

impl Room {
    fn all(&self) -> MutexGuard<'_, HashMap<SocketAddr, UnboundedSender<Message>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
