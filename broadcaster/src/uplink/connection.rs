//! One connection to one relay: registers, sends what its lane holds, and passes on what the relay says. Decides nothing.

use std::{sync::Arc, time::Duration};

use protocol::{
    ErrorCode, PROTOCOL_VERSION, Secret, TrackInfo,
    control::{ClientHello, FromBroadcaster, ToBroadcaster},
    http::RelayAddress,
    limits::FIRST_MESSAGE_TIME_MAX,
};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    flight::Flight,
    line::{Cargo, Ear, Line, LineEnd},
    opening::RelayWays,
};
use crate::{outbox::Outbox, transport::Transport};

/// How long connecting may take, by whatever way, TLS and upgrade included.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// Tells connections apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ConnectionId(pub(super) u64);

/// What a connection tells.
#[derive(Debug)]
pub(super) enum News {
    /// The relay takes the stream, by this way.
    Registered(Transport),
    /// The relay is alive, and may have said something.
    Heard(Option<ToBroadcaster>),
    /// Nothing follows.
    Ended(End),
}

/// Why a connection is over.
#[derive(Debug)]
pub(super) enum End {
    /// It was asked to leave.
    Left,
    /// It did not come about, or broke.
    Broken(String),
    /// The relay said no.
    Refused(ErrorCode, String),
}

/// What one connection needs.
pub(super) struct Connection {
    pub(super) relay: RelayAddress,
    pub(super) ticket: Secret,
    pub(super) tracks: Vec<TrackInfo>,
    /// How relays are reached.
    pub(super) ways: RelayWays,
    pub(super) outbox: Arc<Outbox>,
    /// What is under way on it.
    pub(super) flight: Flight,
    /// What to say.
    pub(super) says: mpsc::Receiver<FromBroadcaster>,
    /// When to leave, after all that was to be said.
    pub(super) leave: CancellationToken,
    /// Who hears what the relay says.
    pub(super) ear: Ear,
}

impl Connection {
    /// Runs to its end.
    pub(super) async fn run(mut self) {
        let leave = self.leave.clone();
        let mut line = match leave.run_until_cancelled(self.open()).await {
            None => return self.ended(End::Left).await,
            Some(Err(end)) => return self.ended(end).await,
            Some(Ok(line)) => line,
        };
        self.ear.note();
        let registered = leave.run_until_cancelled(self.register(&mut line)).await;
        if !matches!(registered, Some(Ok(()))) {
            self.ways.ways.over(&self.relay, line.transport(), self.ear.heard_at());
            return self.ended(registered.and_then(Result::err).unwrap_or(End::Left)).await;
        }
        let end = self.carry(&mut line).await;
        self.ways.ways.over(&self.relay, line.transport(), self.ear.heard_at());
        // A connection that was lost can't be said goodbye to.
        let lost = matches!(end, End::Broken(_));
        self.ended(end).await;
        if !lost {
            let last = std::iter::from_fn(|| self.says.try_recv().ok()).collect();
            line.goodbye(last).await;
        }
    }

    async fn ended(&self, end: End) {
        self.ear.tell(News::Ended(end)).await;
    }

    async fn open(&self) -> Result<Line, End> {
        let name = &self.relay.name;
        timeout(CONNECT_TIME_MAX, self.ways.open(&self.relay))
            .await
            .map_err(|_| End::Broken(format!("{name} does not answer")))?
            .map_err(|reason| End::Broken(format!("{name} can't be reached ({reason})")))
    }

    async fn register(&mut self, line: &mut Line) -> Result<(), End> {
        let hello = ClientHello::RegisterNewStream {
            protocol: PROTOCOL_VERSION,
            ticket: self.ticket.clone(),
            tracks: self.tracks.clone(),
        };
        let registering = async {
            line.say(&hello).await?;
            while !matches!(line.receive().await?, Some(ToBroadcaster::StreamRegistered { .. })) {}
            Ok(())
        };
        let registered = timeout(FIRST_MESSAGE_TIME_MAX, registering).await;
        let late = |_| End::Broken(format!("{} does not register the stream", self.relay.name));
        registered.map_err(late)?.map_err(|end| self.end_of(end))?;
        self.ear.note();
        Ok(())
    }

    async fn carry(&mut self, line: &mut Line) -> End {
        let transport = line.transport();
        let lane = self.outbox.open(&self.tracks, transport == Transport::Webtransport);
        self.ear.tell(News::Registered(transport)).await;
        let leave = self.leave.clone();
        let mut cargo = Cargo { lane, flight: &self.flight, says: &mut self.says, ear: &mut self.ear };
        let end = tokio::select! {
            biased;
            end = line.carry(&mut cargo) => Some(end),
            () = leave.cancelled() => None,
        };
        end.map_or(End::Left, |end| self.end_of(end))
    }

    fn end_of(&self, end: LineEnd) -> End {
        let name = &self.relay.name;
        match end {
            LineEnd::Closed => End::Broken(format!("{name} has closed the connection")),
            LineEnd::Broke(error) => End::Broken(format!("the connection to {name} broke ({error})")),
            LineEnd::Refused(code, message) => End::Refused(code, message),
        }
    }
}
