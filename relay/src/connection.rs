//! A connection from its first message on: [`Incoming`] until it has said who it is, then [`Publishing`] or [`Viewing`], which
//! serves relays as well.

use std::sync::Arc;

use protocol::{
    ErrorCode, PROTOCOL_VERSION, Secret, StreamId, TrackInfo,
    control::{ClientHello, ToBroadcaster, ToDirectory, ToViewer},
    limits::{CHALLENGE_BYTES_MAX, SILENCE_TIME_MAX, TRACKS_MAX},
    relay_proof::Identity,
    ticket::Action,
};
use serde::Serialize;
use service::client_address::Network;
use tokio::time::{Instant, timeout};
use tracing::{Span, debug, info};

use crate::{
    edge::proof,
    house::House,
    publisher::Publishing,
    rate::{Chatter, Whose},
    session::Session,
    stream::{PublisherSeat, ViewerSeat},
    transport::{Message, ReceiveError, SendError, websocket::Socket},
    viewer::Viewing,
};

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The peer has gone.
    Left,
    /// The peer is told why, and the connection is closed.
    Error(ErrorCode, String),
    /// The peer takes nothing.
    TooSlow,
    /// The stream is over.
    StreamEnded,
    /// The peer has been told what it asked for.
    Answered,
    /// The relay stops.
    Stopping,
    /// An operator has shut this relay out.
    Revoked,
}

impl End {
    /// The fixed word for it.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Error(code, _) => code.as_str(),
            Self::TooSlow => "too_slow",
            Self::StreamEnded => "stream_ended",
            Self::Answered => "answered",
            Self::Stopping => "stopping",
            Self::Revoked => "relay_revoked",
        }
    }

    /// An error with `error`'s own words.
    pub fn error(code: ErrorCode, error: impl ToString) -> Self {
        Self::Error(code, error.to_string())
    }
}

impl From<SendError> for End {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Lost => Self::Left,
            SendError::TooSlow => Self::TooSlow,
        }
    }
}

impl From<ReceiveError> for End {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::Closed | ReceiveError::Lost => Self::Left,
            ReceiveError::TooLarge => Self::error(ErrorCode::TooLarge, error),
            ReceiveError::Malformed(text) => Self::Error(ErrorCode::InvalidRequest, text),
        }
    }
}

/// A connection that has not said who it is.
#[derive(Debug)]
pub struct Incoming {
    socket: Socket,
    from: Network,
    house: Arc<House>,
}

/// A connection that was let in.
enum Admitted {
    Publishing(Publishing),
    Viewing(Viewing),
}

impl Incoming {
    /// A connection whose handshake is done.
    #[must_use]
    pub const fn new(socket: Socket, from: Network, house: Arc<House>) -> Self {
        Self { socket, from, house }
    }

    /// Serves the connection until it ends.
    pub async fn serve(self) {
        match self.admit().await {
            Some(Admitted::Publishing(publishing)) => publishing.serve().await,
            Some(Admitted::Viewing(viewing)) => viewing.serve().await,
            None => {}
        }
    }

    async fn admit(mut self) -> Option<Admitted> {
        let (end, words) = match self.hello().await {
            Ok(ClientHello::Identify { protocol, challenge }) => match self.identify(protocol, challenge) {
                Ok(identity) => (End::Answered, vec![text_of(&identity)]),
                Err(end) => (end, vec![]),
            },
            Ok(ClientHello::RegisterNewStream { protocol, ticket, tracks }) => {
                match self.seat_publisher(protocol, &ticket, tracks) {
                    Ok((seat, session)) => {
                        return Some(Admitted::Publishing(Publishing::new(self.socket, seat, session, self.house)));
                    }
                    Err(end) => (end, vec![]),
                }
            }
            Ok(ClientHello::WatchStream { protocol, ticket }) => match self.seat_viewer(protocol, &ticket) {
                Ok((seat, session)) => {
                    return Some(Admitted::Viewing(Viewing::new(self.socket, seat, session, self.house)));
                }
                Err(end) => (end, vec![]),
            },
            Ok(ClientHello::PullStream { protocol, ticket, membership, assertion }) => {
                match self.seat_edge(protocol, &ticket, &membership, &assertion) {
                    Ok((seat, session)) => {
                        return Some(Admitted::Viewing(Viewing::new(self.socket, seat, session, self.house)));
                    }
                    Err(end) => (end, vec![]),
                }
            }
            Err(end) => (end, vec![]),
        };
        if let End::Error(code, message) = &end {
            self.house.metrics.refused(*code);
            info!(code = code.as_str(), message, "connection refused");
        }
        farewell(self.socket, &end, &words).await;
        None
    }

    async fn hello(&mut self) -> Result<ClientHello, End> {
        let late = || {
            let seconds = self.house.first_message_time_max.as_secs_f32();
            End::Error(ErrorCode::FirstMessageLate, format!("the first message did not come within {seconds} s"))
        };
        let chatter = Chatter::default();
        let first = async {
            loop {
                match self.socket.receive().await? {
                    Message::Alive => chatter.heard()?,
                    Message::Text(text) => return parse(&text),
                    Message::Media(_) => {
                        return Err(End::error(
                            ErrorCode::InvalidRequest,
                            "the first message has to say who speaks, in JSON",
                        ));
                    }
                }
            }
        };
        tokio::select! {
            () = self.house.stopping.cancelled() => Err(End::Stopping),
            hello = timeout(self.house.first_message_time_max, first) => hello.unwrap_or_else(|_| Err(late())),
        }
    }

    fn seat_publisher(
        &self,
        protocol: u16,
        ticket: &Secret,
        tracks: Vec<TrackInfo>,
    ) -> Result<(PublisherSeat, Session), End> {
        let session = self.session(protocol, ticket, Action::Publish)?;
        check_tracks(&tracks)?;
        let grant = session.grant();
        if self.house.drain.is_draining() {
            return Err(draining());
        }
        let seat = self.house.streams.publish(grant.stream, grant.epoch, tracks, Instant::now());
        Ok((seat.map_err(|refused| End::error(refused.code(), refused))?, session))
    }

    fn seat_viewer(&self, protocol: u16, ticket: &Secret) -> Result<(ViewerSeat, Session), End> {
        let session = self.session(protocol, ticket, Action::Watch)?;
        // A verified ticket to watch names its viewer.
        let viewer =
            session.viewer().ok_or_else(|| End::error(ErrorCode::TicketInvalid, "the ticket names no viewer"))?;
        if self.house.drain.is_draining() && !self.house.streams.carries(session.grant().stream) {
            return Err(draining());
        }
        let now_ms = self.house.clock.now_us() / 1000;
        let seat = self.house.streams.watch(session.grant().stream, viewer, Instant::now(), now_ms);
        let seat = seat.map_err(|refused| End::error(refused.code(), refused))?;
        self.house.edges.wanted(&self.house, session.grant(), ticket);
        Ok((seat, session))
    }

    /// Lets another relay in, which is one of the directory's and has a viewer who may watch.
    fn seat_edge(
        &self,
        protocol: u16,
        ticket: &Secret,
        membership: &Secret,
        assertion: &Secret,
    ) -> Result<(ViewerSeat, Session), End> {
        self.check_open(protocol)?;
        let edge = proof::member(membership, &self.house)?;
        let session = Session::begin_pull(ticket, edge.relay.clone(), Arc::clone(&self.house))?;
        let stream = session.grant().stream;
        self.admit_often(stream, &Whose::Edge(stream, edge.relay.clone()))?;
        proof::check_assertion(&edge, stream, assertion, &self.house)?;
        if self.house.drain.is_draining() {
            return Err(draining());
        }
        let seat = self.house.streams.feed(stream, &edge.relay);
        Ok((seat.map_err(|refused| End::error(refused.code(), refused))?, session))
    }

    fn session(&self, protocol: u16, ticket: &Secret, action: Action) -> Result<Session, End> {
        self.check_open(protocol)?;
        let session = Session::begin(ticket, action, Arc::clone(&self.house))?;
        self.admit_often(session.grant().stream, &session.grant().into())?;
        Ok(session)
    }

    fn check_open(&self, protocol: u16) -> Result<(), End> {
        check_protocol(protocol)?;
        if self.house.standing.is_revoked() {
            let message = "this relay is no longer one of its directory's; ask the directory for another";
            return Err(End::error(ErrorCode::RelayRevoked, message));
        }
        Ok(())
    }

    fn admit_often(&self, stream: StreamId, whose: &Whose) -> Result<(), End> {
        Span::current().record("stream.id", tracing::field::display(stream));
        if !self.house.attempts.admits(whose) {
            return Err(End::error(
                ErrorCode::TooManyRequests,
                "this ticket is used too often; try again in a few seconds",
            ));
        }
        Ok(())
    }

    /// Proves to whoever asks that this relay is at its address.
    fn identify(&self, protocol: u16, challenge: String) -> Result<ToDirectory, End> {
        check_protocol(protocol)?;
        if challenge.is_empty() || challenge.len() > CHALLENGE_BYTES_MAX {
            let message = format!("a challenge has 1 to {CHALLENGE_BYTES_MAX} bytes, not {}", challenge.len());
            return Err(End::Error(ErrorCode::InvalidRequest, message));
        }
        if !self.house.attempts.may_ask_identity(self.from) {
            return Err(End::error(
                ErrorCode::TooManyRequests,
                "you ask too often who answers here; try again in a moment",
            ));
        }
        let identity = Identity { relay: self.house.name.clone(), url: self.house.url.clone(), challenge };
        let identity = self.house.key.sign(&identity);
        let identity = identity.map_err(|error| End::error(ErrorCode::Internal, error))?;
        self.house.metrics.identified.inc();
        debug!("somebody asked who answers here");
        Ok(ToDirectory::Identity { identity })
    }
}

/// Somebody comes to a relay that is about to end.
fn draining() -> End {
    End::error(ErrorCode::ShuttingDown, "this relay takes nobody new, as it is about to end; go to another")
}

fn check_protocol(protocol: u16) -> Result<(), End> {
    if protocol == PROTOCOL_VERSION {
        return Ok(());
    }
    let message = format!("this relay speaks protocol {PROTOCOL_VERSION}, not {protocol}");
    Err(End::Error(ErrorCode::UnsupportedProtocol, message))
}

/// Whether a stream may have these tracks.
pub(crate) fn check_tracks(tracks: &[TrackInfo]) -> Result<(), End> {
    if tracks.len() > TRACKS_MAX {
        let message = format!("a stream has at most {TRACKS_MAX} tracks, not {}", tracks.len());
        return Err(End::Error(ErrorCode::TooManyTracks, message));
    }
    if tracks.is_empty() {
        return Err(End::error(ErrorCode::InvalidRequest, "a stream has at least one track"));
    }
    for (index, info) in tracks.iter().enumerate() {
        if !info.is_well_formed() {
            return Err(End::Error(ErrorCode::InvalidRequest, format!("track {} is not well described", info.track)));
        }
        if tracks.iter().take(index).any(|earlier| earlier.track == info.track) {
            return Err(End::Error(ErrorCode::InvalidRequest, format!("track {} is there twice", info.track)));
        }
    }
    Ok(())
}

/// Reads a control message.
pub(crate) fn parse<'text, T: serde::Deserialize<'text>>(text: &'text str) -> Result<T, End> {
    serde_json::from_str(text).map_err(|error| {
        // Not the library's own words: they repeat what was sent, of any length, and a ticket may be in it.
        let what = if error.is_data() { "not one of the documented messages" } else { "not JSON" };
        let message = format!("the message is {what} (line {}, column {})", error.line(), error.column());
        End::Error(ErrorCode::InvalidRequest, message)
    })
}

/// Asks the peer for a sign of life, unless it has given none for too long.
pub(crate) async fn keep_alive(socket: &mut Socket) -> Result<(), End> {
    if socket.is_silent() {
        let message = format!("nothing was heard for {} s", SILENCE_TIME_MAX.as_secs());
        return Err(End::Error(ErrorCode::Silent, message));
    }
    Ok(socket.ping().await?)
}

/// Writes a control message.
pub(crate) fn text_of(message: &impl Serialize) -> String {
    // Maps with string keys and finite numbers only: there is nothing that JSON can't say.
    serde_json::to_string(message).unwrap_or_default()
}

/// Ends a connection as `end` asks for; `words` come before its own.
pub(crate) async fn farewell(socket: Socket, end: &End, words: &[String]) {
    let mut last = words.to_vec();
    let (code, reason) = match end {
        End::Left => return,
        End::TooSlow => return socket.cut(),
        End::StreamEnded => (1000, "stream_ended"),
        End::Answered => (1000, "answered"),
        // Whoever hears it asks the directory where to go on.
        End::Revoked => {
            let message = "this relay is no longer one of its directory's".to_owned();
            last.push(text_of(&ToViewer::Error { code: ErrorCode::ShuttingDown, message }));
            (ErrorCode::ShuttingDown.close_code(), ErrorCode::RelayRevoked.as_str())
        }
        End::Stopping => {
            let message = "this relay is shutting down".to_owned();
            last.push(text_of(&ToViewer::Error { code: ErrorCode::ShuttingDown, message }));
            (ErrorCode::ShuttingDown.close_code(), ErrorCode::ShuttingDown.as_str())
        }
        End::Error(code, message) => {
            // Both directions write an error alike.
            last.push(text_of(&ToBroadcaster::Error { code: *code, message: message.clone() }));
            (code.close_code(), code.as_str())
        }
    };
    socket.close(last, code, reason).await;
}

#[cfg(test)]
mod tests;
