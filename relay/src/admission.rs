//! Who is let in, and as what, whatever carries the connection: the first message is judged here, its ticket, and what the relay has
//! room for.

use std::sync::Arc;

use protocol::{
    ErrorCode, PROTOCOL_VERSION, Secret, StreamId, TrackInfo,
    control::{ClientHello, ToDirectory},
    limits::{CHALLENGE_BYTES_MAX, TRACKS_MAX},
    relay_proof::Identity,
    ticket::Action,
};
use service::client_address::Network;
use tokio::time::{Instant, timeout};
use tracing::{Span, debug, info};

use crate::{
    connection::End,
    edge::proof,
    house::House,
    rate::Whose,
    session::Session,
    stream::{PublisherSeat, ViewerSeat},
};

/// The judge of one connection's first message.
#[derive(Debug)]
pub struct Admission {
    from: Network,
    house: Arc<House>,
}

/// Somebody who was let in.
#[derive(Debug)]
pub enum Admitted {
    /// A broadcaster.
    Publisher(PublisherSeat, Session),
    /// A viewer, or a relay that pulls the stream.
    Viewer(ViewerSeat, Session),
    /// A directory that wants to know who answers here: this is the answer, and then all is said.
    Asked(ToDirectory),
}

impl Admission {
    /// For somebody who comes from there.
    #[must_use]
    pub const fn new(from: Network, house: Arc<House>) -> Self {
        Self { from, house }
    }

    /// The house that it is let into.
    #[must_use]
    pub const fn house(&self) -> &Arc<House> {
        &self.house
    }

    /// What `first` reads as the first message, if it comes in time.
    ///
    /// # Errors
    /// As `first`; when it takes too long; when the relay stops.
    pub async fn in_time(&self, first: impl Future<Output = Result<ClientHello, End>>) -> Result<ClientHello, End> {
        let late = || {
            let seconds = self.house.first_message_time_max.as_secs_f32();
            End::Error(ErrorCode::FirstMessageLate, format!("the first message did not come within {seconds} s"))
        };
        tokio::select! {
            () = self.house.stopping.cancelled() => Err(End::Stopping),
            hello = timeout(self.house.first_message_time_max, first) => hello.unwrap_or_else(|_| Err(late())),
        }
    }

    /// Lets somebody in who says `hello`.
    ///
    /// # Errors
    /// With what the peer is to be told.
    pub fn admit(&self, hello: ClientHello) -> Result<Admitted, End> {
        match hello {
            ClientHello::Identify { protocol, challenge } => self.identify(protocol, challenge).map(Admitted::Asked),
            ClientHello::RegisterNewStream { protocol, ticket, tracks } => {
                let (seat, session) = self.seat_publisher(protocol, &ticket, tracks)?;
                Ok(Admitted::Publisher(seat, session))
            }
            ClientHello::WatchStream { protocol, ticket } => {
                let (seat, session) = self.seat_viewer(protocol, &ticket)?;
                Ok(Admitted::Viewer(seat, session))
            }
            ClientHello::PullStream { protocol, ticket, membership, assertion } => {
                let (seat, session) = self.seat_edge(protocol, &ticket, &membership, &assertion)?;
                Ok(Admitted::Viewer(seat, session))
            }
        }
    }

    /// Takes note of a connection that ended before anybody was let in.
    pub fn note(&self, end: &End) {
        if let End::Error(code, message) = end {
            self.house.metrics.refused(*code);
            info!(code = code.as_str(), message, "connection refused");
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
        let session = Session::begin_pull(ticket, edge.clone(), Arc::clone(&self.house))?;
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
