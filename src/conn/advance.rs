//! What input and time do to a connection, stage by stage.
//!
//! Floor 2, part of `conn`: the other half of [`Conn`]. The readers of each stage (`request`,
//! `websocket`) say what the bytes mean; here that turns into events, last words and next stages.

use http::StatusCode;

use crate::chat::closing::CloseCode;
use crate::clock::Now;
use crate::conn::deadlines::Silence;
use crate::conn::event::{Closed, Due, Event};
use crate::conn::frame::Control;
use crate::conn::response::{Part, Response, Then};
use crate::conn::shared::Shared;
use crate::conn::websocket::Talk;
use crate::conn::{Conn, Input, Sending, Stage, request, websocket};
use crate::limits::{CLOSE_WAIT, HANDSHAKE_WAIT, KEEP_ALIVE_WAIT, LINGER_BYTES};

impl Conn {
    /// Does what is due; if nothing is, that is no harm.
    pub fn handle_deadline(&mut self, shared: &mut Shared, now: Now) -> Due {
        let over = self.deadlines.stage_is_over(now.mono);
        match &self.stage {
            Stage::WebSocket(socket) if socket.talk != Talk::Closing => {
                let (talk, pings) = (socket.talk, socket.pings);
                return self.handle_websocket_deadline(talk, pings, shared, now);
            }
            Stage::Http(_) if self.deadlines.is_stuck(now.mono) => self.drop_all(shared),
            Stage::Http(http) if over => {
                let underway = http.is_underway();
                self.handle_late_request(underway, shared, now);
            }
            Stage::WebSocket(_) | Stage::Ending { .. } if over => self.drop_all(shared),
            Stage::Http(_) | Stage::WebSocket(_) | Stage::Ending { .. } | Stage::Gone => {}
        }
        Due::Kept
    }

    /// Goes on through `input` as the present stage does.
    pub(super) fn advance(
        &mut self,
        input: &mut &[u8],
        shared: &mut Shared,
        now: Now,
    ) -> Option<Event> {
        match &mut self.stage {
            Stage::Http(_) => self.advance_http(input, shared, now),
            Stage::WebSocket(_) => self.advance_websocket(input, shared, now),
            Stage::Ending { patience, .. } => {
                let count = u32::try_from(input.len()).unwrap_or(u32::MAX);
                *input = &[];
                match patience.checked_sub(count) {
                    Some(left) => *patience = left,
                    None => self.drop_all(shared),
                }
                None
            }
            Stage::Gone => {
                *input = &[];
                None
            }
        }
    }

    /// Whether so much waits that no further request is read: somebody who asks and asks and takes
    /// no answer is not listened to.
    pub(super) fn is_backed_up(&self, shared: &Shared) -> bool {
        self.outbox.len() > shared.config.outbox_soft
    }

    /// Queues an answer after which the connection ends.
    pub(super) fn last_word(&mut self, response: &Response, shared: &mut Shared, now: Now) {
        let buffers = &mut shared.buffers;
        response.write(
            Part::Whole,
            Then::Close,
            now.wall,
            &mut self.outbox,
            buffers,
        );
        self.end(now);
    }

    /// Nothing follows what is queued.
    pub(super) fn end(&mut self, now: Now) {
        self.stage = Stage::Ending {
            sending: Sending::Open,
            patience: LINGER_BYTES as u32,
        };
        self.held = None;
        self.deadlines.stage_until(now.mono.after(CLOSE_WAIT));
    }

    /// Nothing follows at all.
    pub(super) fn drop_all(&mut self, shared: &mut Shared) {
        self.stage = Stage::Gone;
        self.held = None;
        self.outbox.clear(&mut shared.buffers);
    }

    fn advance_http(&mut self, input: &mut &[u8], shared: &mut Shared, now: Now) -> Option<Event> {
        if self.is_backed_up(shared) {
            return None;
        }
        let Stage::Http(http) = &mut self.stage else {
            return None;
        };
        let first = self.outbox.enqueued() == 0;
        let was_underway = http.is_underway();
        let step = http.read(input, &shared.config);
        // The first request has its time from accept, the others from their first byte.
        if !first && !was_underway && http.is_underway() {
            self.deadlines.stage_until(now.mono.after(HANDSHAKE_WAIT));
        }
        let ended = self.input == Input::Ended && !http.owes();
        match step {
            request::Step::More => {
                if ended && input.is_empty() {
                    self.end(now);
                }
                None
            }
            request::Step::Continue => {
                let go_ahead = b"HTTP/1.1 100 Continue\r\n\r\n";
                self.outbox.append(go_ahead, &mut shared.buffers);
                None
            }
            request::Step::Request(request) => {
                self.deadlines.stage_unbounded();
                Some(Event::Request(request))
            }
            request::Step::Upgrade(upgrade) => {
                self.deadlines.stage_unbounded();
                Some(Event::Upgrade(upgrade))
            }
            request::Step::Refuse(response) => {
                *input = &[];
                self.last_word(&response, shared, now);
                None
            }
        }
    }

    fn advance_websocket(
        &mut self,
        input: &mut &[u8],
        shared: &mut Shared,
        now: Now,
    ) -> Option<Event> {
        let Stage::WebSocket(socket) = &mut self.stage else {
            return None;
        };
        let talk = socket.talk;
        let buffers = &mut shared.buffers;
        let closed = match socket.read(input, &mut self.outbox, &mut shared.contexts, buffers) {
            websocket::Step::Text(text) => return Some(Event::Text(text)),
            websocket::Step::Binary(bytes) => return Some(Event::Binary(bytes)),
            websocket::Step::Pong(position) => return Some(Event::Pong(position)),
            websocket::Step::More if self.input == Input::Open => return None,
            websocket::Step::More => {
                self.drop_all(shared);
                Closed::Lost
            }
            websocket::Step::Closed(code) => {
                self.end(now);
                Closed::ByPeer(code)
            }
            websocket::Step::Broken(code) => {
                if talk != Talk::Closing {
                    self.outbox.append(Control::close(code).bytes(), buffers);
                }
                self.end(now);
                Closed::Broken(code)
            }
        };
        *input = &[];
        (talk != Talk::Closing).then_some(Event::Closed(closed))
    }

    /// Whoever does not read, has no name in time or is silent for long is told so.
    fn handle_websocket_deadline(
        &mut self,
        talk: Talk,
        pings: u8,
        shared: &mut Shared,
        now: Now,
    ) -> Due {
        let code = if self.deadlines.is_stuck(now.mono) {
            CloseCode::Slow
        } else if talk == Talk::Anonymous {
            if !self.deadlines.stage_is_over(now.mono) {
                return Due::Kept;
            }
            CloseCode::NoName
        } else {
            match self.deadlines.silence(now.mono, pings) {
                Silence::Fine => return Due::Kept,
                Silence::Ping => {
                    self.ping(shared);
                    return Due::Kept;
                }
                Silence::Gone => CloseCode::Silent,
            }
        };
        self.close(code, shared, now);
        Due::Closed(code)
    }

    /// Half a request is answered. Without a question there is no answer: browsers open connections
    /// that they may never use, and would take it for the answer to their next question.
    fn handle_late_request(&mut self, underway: bool, shared: &mut Shared, now: Now) {
        if underway {
            let why = "the request took too long";
            self.last_word(
                &Response::error(StatusCode::REQUEST_TIMEOUT, why),
                shared,
                now,
            );
        } else if self.outbox.is_empty() {
            self.end(now);
        } else {
            // The last answer is still being read.
            self.deadlines.stage_until(now.mono.after(KEEP_ALIVE_WAIT));
        }
    }

    fn ping(&mut self, shared: &mut Shared) {
        if let Stage::WebSocket(socket) = &mut self.stage {
            socket.pings = socket.pings.saturating_add(1);
        }
        let ping = Control::ping(self.outbox.enqueued());
        self.outbox.append(ping.bytes(), &mut shared.buffers);
    }
}
