//! The frames' payloads: what a client's bytes ask, and how an answer looks as bytes.
//!
//! Floor 2. Takes the payload of one WebSocket message and gives a [`Request`] of the domain's
//! words, or a [`BadFrame`] to be answered; appends replies, refusals and events to a buffer in one
//! of two formats. It refuses to know who sent the payload and who will hear the answer, and knows
//! no socket, no WebSocket header and no store.
//!
//! The protocol itself stands in `proto/kith/v1/client.proto`, and `tests/vectors/` holds examples
//! of every frame for people who write a client.
//!
//! ```text
//! payload -> decode.rs ----------- protobuf --> pb::ClientFrame -> Request{id, key, Command}
//!                     \-> json.rs -- JSON ----/
//! Reply, Event -> encode.rs -> pb::ServerFrame -> protobuf or JSON
//!                         \--> entry.rs: the one frame that goes to everybody, without a detour
//! ```
//!
//! `frequent` is the short way for `ping`, `talk` and their answers; `fields` is what both write with.

mod decode;
mod encode;
mod entry;
mod fields;
mod format;
mod frequent;
mod json;
pub mod pb;
pub mod time;

pub use decode::{BadFrame, Claim, Request, decode};
pub use encode::{Context, Greeting, encode_event, encode_refusal, encode_reply};
pub use entry::encode_entry;
pub use format::{Format, Payload};
