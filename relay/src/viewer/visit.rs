//! That a viewer came and left, or a relay that pulls the stream, for logs and counters, whatever carried it.

use std::sync::Arc;

use protocol::{RelayName, control::ToViewer};
use tokio::time::Instant;
use tracing::{debug, info};

use crate::{
    connection::{End, text_of},
    house::House,
    session::Session,
};

/// Somebody who is here.
#[derive(Debug)]
pub(crate) struct Visit {
    edge: Option<RelayName>,
    begun: Instant,
    house: Arc<House>,
}

impl Visit {
    /// The one of `session` has come.
    pub(crate) fn new(session: &Session, house: &Arc<House>) -> Self {
        let edge = session.edge().cloned();
        match &edge {
            None => debug!("a viewer came"),
            Some(edge) => info!(%edge, "another relay pulls the stream from here"),
        }
        Self { edge, begun: Instant::now(), house: Arc::clone(house) }
    }

    /// It has left, or is to leave: what it is told last, before the words of `end` itself.
    pub(crate) fn leave(self, end: &End) -> Vec<String> {
        let (reason, duration_ms) = (end.reason(), self.begun.elapsed().as_millis() as u64);
        let dropped = !matches!(end, End::Left | End::StreamEnded);
        match &self.edge {
            None if dropped => self.house.metrics.dropped_viewer(reason),
            Some(_) if dropped => self.house.metrics.dropped_edge(reason),
            _ => {}
        }
        match &self.edge {
            None => info!(reason, duration_ms, "a viewer left"),
            Some(edge) => info!(%edge, reason, duration_ms, "another relay pulls the stream from here no longer"),
        }
        match end {
            End::StreamEnded => vec![text_of(&ToViewer::StreamEnded {})],
            End::Stopping | End::Revoked => vec![text_of(&ToViewer::Move { relays: vec![], within_ms: 0 })],
            _ => vec![],
        }
    }
}
