//! From the outbox to a relay, over whatever relay the directory names or orders, until the broadcast is stopped.

mod connection;

use std::{sync::Arc, time::Duration};

use protocol::{
    BroadcastKey, ErrorCode, RelayName, StreamId, TrackInfo, TrackKind,
    http::{Assignment, RelayAddress},
};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    authorities::Authorities,
    directory_client::{DirectoryClient, DirectoryError},
    outbox::Outbox,
    status::{BroadcastState, StatusBoard},
};

use connection::{Connection, End};

/// First wait after every relay of an assignment failed; doubles up to [`RETRY_WAIT_MAX`].
const RETRY_WAIT_MIN: Duration = Duration::from_millis(250);

/// Longest wait between rounds: a directory that comes back is found this soon.
const RETRY_WAIT_MAX: Duration = Duration::from_secs(5);

/// How long the sound may take to start before the stream goes on without it.
const SOUND_START_TIME_MAX: Duration = Duration::from_secs(3);

/// Everything the uplink needs.
pub(crate) struct Uplink {
    pub(crate) directory: DirectoryClient,
    pub(crate) authorities: Authorities,
    pub(crate) stream: StreamId,
    pub(crate) key: BroadcastKey,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) has_picture: bool,
    pub(crate) has_sound: bool,
    pub(crate) key_frame_wanted: Arc<Notify>,
    /// The newest assignment that the directory has ordered.
    pub(crate) ordered: watch::Receiver<Option<Assignment>>,
    pub(crate) board: StatusBoard,
    pub(crate) stop: CancellationToken,
}

impl Uplink {
    /// Sends until the broadcast is stopped. An error is one that no retrying cures: the stream itself is gone.
    pub(crate) async fn run(&self, assignment: Assignment) -> Result<(), DirectoryError> {
        match self.stop.run_until_cancelled(self.wait_for_tracks()).await {
            Some(()) => self.send(assignment).await,
            None => Ok(()),
        }
    }

    async fn send(&self, mut assignment: Assignment) -> Result<(), DirectoryError> {
        let mut wait = RETRY_WAIT_MIN;
        let mut was_live = false;
        loop {
            let mut failed = None;
            let mut moved = None;
            for relay in &assignment.relays {
                let (end, live) = self.connection(relay, &assignment).run(was_live).await;
                was_live |= live;
                if live {
                    wait = RETRY_WAIT_MIN;
                }
                tracing::info!(relay = %relay.name, ?end, "the connection to the relay has ended");
                failed = Some(relay.name.clone());
                match end {
                    End::Stopped => return Ok(()),
                    End::Broken(reason) => self.reconnecting(was_live, &reason),
                    End::Refused(code, message) => {
                        self.reconnecting(was_live, &message);
                        if needs_ticket(code) {
                            break;
                        }
                    }
                    End::Moved { ticket, relays } => {
                        moved = Some(Assignment {
                            ticket,
                            relays,
                            epoch: assignment.epoch.saturating_add(1),
                            record: None,
                        });
                        break;
                    }
                    End::Ordered(elsewhere) => {
                        moved = Some(elsewhere);
                        break;
                    }
                }
            }
            if let Some(moved) = moved {
                assignment = moved;
                continue;
            }
            let next = async {
                let mut ordered = self.ordered.clone();
                tokio::select! {
                    next = self.next_assignment(failed, &mut wait) => next,
                    order = newer(&mut ordered, assignment.epoch) => Ok(Some(order)),
                }
            };
            match self.stop.run_until_cancelled(next).await {
                None => return Ok(()),
                Some(Ok(Some(next))) => assignment = next,
                Some(Ok(None)) => {} // the directory is away: the same relays again
                Some(Err(error)) => return Err(error),
            }
        }
    }

    fn connection<'a>(&'a self, relay: &'a RelayAddress, assignment: &'a Assignment) -> Connection<'a> {
        Connection {
            relay,
            assignment,
            ordered: self.ordered.clone(),
            connector: self.authorities.websocket(),
            tracks: self.tracks(),
            outbox: &self.outbox,
            key_frame_wanted: &self.key_frame_wanted,
            board: &self.board,
            stop: &self.stop,
        }
    }

    fn tracks(&self) -> Vec<TrackInfo> {
        self.outbox.tracks().borrow().clone()
    }

    fn reconnecting(&self, was_live: bool, reason: &str) {
        let state = if was_live { BroadcastState::Reconnecting } else { BroadcastState::Connecting };
        self.board.state(state, format!("Connecting again: {reason}."));
    }

    /// Asks for a new assignment after a moment. `None` when the directory can't say now.
    async fn next_assignment(
        &self,
        failed: Option<RelayName>,
        wait: &mut Duration,
    ) -> Result<Option<Assignment>, DirectoryError> {
        tokio::time::sleep(wait.mul_f64(0.5 + 0.5 * rand::random::<f64>())).await;
        *wait = (*wait * 2).min(RETRY_WAIT_MAX);
        match self.directory.assignment(self.stream, &self.key, failed).await {
            Ok(assignment) => Ok(Some(assignment)),
            Err(error) => match error.code() {
                Some(ErrorCode::StreamNotFound | ErrorCode::Unauthorized) => Err(error),
                _ => {
                    self.board.change(|status| status.sentence = format!("Connecting again: {error}."));
                    Ok(None)
                }
            },
        }
    }

    /// Waits until every track has told its configuration. Sound that does not come is not waited for long.
    async fn wait_for_tracks(&self) {
        let mut tracks = self.outbox.tracks();
        let has = |tracks: &Vec<TrackInfo>, kind| tracks.iter().any(|track: &TrackInfo| track.kind == kind);
        if self.has_picture {
            let _ = tracks.wait_for(|tracks| has(tracks, TrackKind::Video)).await;
        }
        if self.has_sound {
            let sound = tracks.wait_for(|tracks| has(tracks, TrackKind::Sound));
            if self.has_picture {
                let _ = tokio::time::timeout(SOUND_START_TIME_MAX, sound).await;
            } else {
                let _ = sound.await;
            }
        }
    }
}

/// Waits for an order to go elsewhere: one with a higher epoch than `epoch`.
async fn newer(ordered: &mut watch::Receiver<Option<Assignment>>, epoch: u32) -> Assignment {
    let is_newer = |order: &Option<Assignment>| order.as_ref().is_some_and(|order| order.epoch > epoch);
    match ordered.wait_for(is_newer).await.map(|order| order.clone()) {
        Ok(Some(order)) => order,
        _ => std::future::pending().await, // no orders come any more
    }
}

/// Whether the ticket, not the relay, is what stands in the way.
const fn needs_ticket(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::PublisherPresent
            | ErrorCode::StaleEpoch
            | ErrorCode::Superseded
            | ErrorCode::TicketExpired
            | ErrorCode::TicketInvalid
    )
}
