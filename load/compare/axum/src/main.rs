//! A peer to compare with: broadcast and echo on axum.
//!
//! In the manner of axum's own chat example: one `tokio::sync::broadcast` channel, and per
//! connection a task that receives from it and a task that sends to it. Whoever is behind by more
//! than the channel holds misses messages, as the channel documents; it holds many, because each is
//! there once for all. One thread, because it is compared on one core. Beyond the example:
//! TCP_NODELAY, in the way that `ListenerExt::tap_io` shows, and the read buffer of 4 KiB that
//! tungstenite's documentation names for many connections, instead of 128 KiB.
//!
//! Knows nothing of Kith. The port is its only argument; `/echo` sends binary messages back,
//! every other path broadcasts them to everybody, the sender included.

use std::net::Ipv4Addr;
use std::{env, io};

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::any;
use axum::serve::ListenerExt as _;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpListener;
use tokio::sync::broadcast::{self, Sender, error::RecvError};

/// Messages that a connection may be behind.
const CHANNEL_MESSAGES: usize = 16_384;
const READ_BUFFER_BYTES: usize = 4096;

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let port = env::args().nth(1).and_then(|port| port.parse().ok());
    let port = port.ok_or_else(|| io::Error::other("the port is missing"))?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let listener = listener.tap_io(|stream| {
        // A connection that is gone already is found out by whoever serves it.
        let _ = stream.set_nodelay(true);
    });
    let everybody = broadcast::channel(CHANNEL_MESSAGES).0;
    let router = Router::new()
        .route("/echo", any(upgrade_echo))
        .fallback(any(upgrade_room))
        .with_state(everybody);
    axum::serve(listener, router).await
}

async fn upgrade_echo(upgrade: WebSocketUpgrade) -> Response {
    upgrade.read_buffer_size(READ_BUFFER_BYTES).on_upgrade(echo)
}

async fn upgrade_room(
    upgrade: WebSocketUpgrade,
    State(everybody): State<Sender<Message>>,
) -> Response {
    upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .on_upgrade(move |socket| room(socket, everybody))
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if matches!(message, Message::Binary(_)) && socket.send(message).await.is_err() {
            return;
        }
    }
}

async fn room(socket: WebSocket, everybody: Sender<Message>) {
    let (mut outgoing, mut incoming) = socket.split();
    let mut messages = everybody.subscribe();
    let mut told = tokio::spawn(async move {
        loop {
            match messages.recv().await {
                Ok(message) => {
                    if outgoing.send(message).await.is_err() {
                        return;
                    }
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    });
    let mut heard = tokio::spawn(async move {
        while let Some(Ok(message)) = incoming.next().await {
            if matches!(message, Message::Binary(_)) {
                // An error would mean that nobody listens.
                let _ = everybody.send(message);
            }
        }
    });
    tokio::select! {
        _ = &mut told => heard.abort(),
        _ = &mut heard => told.abort(),
    }
}
