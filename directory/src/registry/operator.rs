//! What operators see and do: all relays, all streams, also those that nobody else is told of.

use protocol::{
    RelayName, StreamId, Title,
    http::{RelayLoad, StreamState, Visibility},
};
use url::Url;

use super::{
    EndReason, HeadRoom, PlaceError, Registry, RelayHealth, assignment,
    stream::{Report, Stream},
};

/// A relay, for operators.
#[derive(Debug, Clone)]
pub struct RelayStatus {
    /// Its name.
    pub name: RelayName,
    /// Its public address.
    pub url: Url,
    /// How it is doing.
    pub health: RelayHealth,
    /// Why it gets no work, if so.
    pub problem: Option<String>,
    /// Streams it carries.
    pub streams: u32,
    /// Most streams it carries.
    pub streams_max: u32,
    /// Viewers it serves.
    pub viewers: u32,
    /// Most viewers it serves.
    pub viewers_max: u32,
    /// How much more it can do.
    pub head_room: HeadRoom,
    /// Where it stands.
    pub region: Option<String>,
    /// How busy it said to be.
    pub load: RelayLoad,
}

/// A stream, for operators.
#[derive(Debug, Clone)]
pub struct StreamStatus {
    /// Its id.
    pub id: StreamId,
    /// What it is called.
    pub title: Title,
    /// Who finds it.
    pub visibility: Visibility,
    /// Whether its payloads are end-to-end encrypted.
    pub sealed: bool,
    /// How it is doing.
    pub state: StreamState,
    /// People who watch.
    pub viewers: u32,
    /// The relay that it is sent to, or is expected at.
    pub relay: Option<RelayName>,
    /// The relays that pull it from there, or from each other.
    pub edges: Vec<Edge>,
    /// The pass that it was made with.
    pub pass: Option<String>,
}

/// A relay that pulls a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Its name.
    pub relay: RelayName,
    /// How many relays the stream comes through before.
    pub depth: u8,
    /// People who watch there.
    pub viewers: u32,
}

impl Registry {
    /// Every relay that holds a name now, by name.
    #[must_use]
    pub fn relay_statuses(&self, now_us: u64) -> Vec<RelayStatus> {
        let loads = assignment::loads(&self.relays, &self.streams, None);
        let status = |(name, load): (&RelayName, assignment::Load)| {
            let relay = self.relays.get(name)?;
            Some(RelayStatus {
                name: name.clone(),
                url: relay.joining.address.url.clone(),
                health: self.health(relay, load, now_us),
                problem: relay.check.problem().map(str::to_owned),
                streams: relay.streams,
                streams_max: relay.joining.streams_max,
                viewers: relay.viewers,
                viewers_max: relay.joining.viewers_max,
                head_room: relay.room_for(load),
                region: relay.joining.region.clone(),
                load: relay.load,
            })
        };
        loads.into_iter().filter_map(status).collect()
    }

    /// Every stream that has not ended, oldest first.
    #[must_use]
    pub fn stream_statuses(&self) -> Vec<StreamStatus> {
        let by_age = self.by_age.iter().filter_map(|(_, id)| self.streams.get(id));
        let status = |stream: &Stream| StreamStatus {
            id: stream.id,
            title: stream.about.title.clone(),
            visibility: stream.about.visibility,
            sealed: stream.about.sealed,
            state: stream.state(),
            viewers: stream.viewers(),
            relay: stream.live_on().map(|(relay, _)| relay).or(stream.assigned.first()).cloned(),
            edges: edges(stream),
            pass: stream.about.pass.clone(),
        };
        by_age.map(status).collect()
    }

    /// An operator ends a stream.
    ///
    /// # Errors
    /// When there is no such stream.
    pub fn end_by_operator(&mut self, id: StreamId) -> Result<(), PlaceError> {
        if !self.has(&id) {
            return Err(PlaceError::NotFound);
        }
        self.remove(id, EndReason::Operator);
        Ok(())
    }

    /// Ends all streams that were made with a pass, and tells how many there were.
    pub fn end_of_pass(&mut self, pass: &str) -> usize {
        let made_with = self.streams.values().filter(|stream| stream.about.pass.as_deref() == Some(pass));
        let ids: Vec<_> = made_with.map(|stream| stream.id).collect();
        for id in &ids {
            self.remove(*id, EndReason::PassRevoked);
        }
        ids.len()
    }
}

/// The edges of a stream, those next to the origin first.
fn edges(stream: &Stream) -> Vec<Edge> {
    let pulling = stream.reports.iter().filter(|(_, report)| !report.is_origin());
    let edge = |(relay, report): (&RelayName, &Report)| Edge {
        relay: relay.clone(),
        depth: report.depth,
        viewers: report.viewers,
    };
    let mut edges: Vec<_> = pulling.map(edge).collect();
    edges.sort_by_key(|edge| edge.depth);
    edges
}
