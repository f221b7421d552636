//! From one upstream to another without a gap: what the new one sends waits until the old one has come so far, segment by segment.
//! Pure: media and times go in.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use protocol::{MediaHeader, MediaKind, TrackInfo, TrackNumber, limits::MESSAGE_BYTES_MAX};
use tokio::time::Instant;

/// How long the old upstream has to come as far as the new one: both send the live edge.
const WAIT_TIME_MAX: Duration = Duration::from_millis(500);

/// Bytes that wait at most: the newest segment of every track, and what comes meanwhile.
const HELD_BYTES_MAX: usize = 2 * MESSAGE_BYTES_MAX;

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Handover {
    /// The first segment that the new upstream has sent of each track.
    begins: HashMap<TrackNumber, u32>,
    held: Vec<(MediaHeader, Bytes)>,
    bytes: usize,
    since: Option<Instant>,
}

impl Handover {
    /// Something has come from the new upstream.
    pub(super) fn hold(&mut self, header: MediaHeader, message: Bytes, now: Instant) {
        if header.kind == MediaKind::Chunk {
            self.begins.entry(header.track).or_insert(header.segment);
            self.since.get_or_insert(now);
        }
        self.bytes += message.len();
        self.held.push((header, message));
    }

    /// Whether the new upstream has sent anything.
    pub(super) const fn has_begun(&self) -> bool {
        self.since.is_some()
    }

    /// Whether the new upstream takes over now; `reached` is the newest segment of a track that has come from the old one.
    pub(super) fn is_due(
        &self,
        tracks: &[TrackInfo],
        reached: impl Fn(TrackNumber) -> Option<u32>,
        now: Instant,
    ) -> bool {
        let Some(since) = self.since else { return false };
        let meets = |info: &TrackInfo| match (self.begins.get(&info.track), reached(info.track)) {
            (Some(begins), Some(reached)) => reached >= *begins,
            // What only one of them has sent: the other may be about to.
            (None, None) => true,
            _ => false,
        };
        tracks.iter().all(meets) || now.duration_since(since) >= WAIT_TIME_MAX || self.bytes >= HELD_BYTES_MAX
    }

    /// What has come, in its order.
    pub(super) fn into_held(self) -> Vec<(MediaHeader, Bytes)> {
        self.held
    }
}

#[cfg(test)]
mod tests {
    use protocol::TrackKind;

    use super::*;

    const PICTURE: TrackNumber = TrackNumber(1);
    const SOUND: TrackNumber = TrackNumber(2);

    fn tracks() -> Vec<TrackInfo> {
        let info = |track, kind| {
            let codec = "x".to_owned();
            TrackInfo { track, kind, codec, width: 0, height: 0, frame_rate: 0.0, sample_rate: 0, channels: 0 }
        };
        vec![info(PICTURE, TrackKind::Video), info(SOUND, TrackKind::Sound)]
    }

    fn hold(handover: &mut Handover, track: TrackNumber, segment: u32, now: Instant) {
        let kind = MediaKind::Chunk;
        let header = MediaHeader { kind, key: true, sealed: false, track, segment, chunk: 0, captured_at_us: 0 };
        handover.hold(header, header.message(b"x").into(), now);
    }

    #[test]
    fn new_upstream_takes_over_where_every_track_meets() {
        let (mut handover, now) = (Handover::default(), Instant::now());
        let due = |handover: &Handover, picture, sound| {
            let reached = |track| if track == PICTURE { picture } else { sound };
            handover.is_due(&tracks(), reached, now)
        };
        assert!(!due(&handover, Some(9), Some(9)), "nothing has come");
        hold(&mut handover, PICTURE, 5, now);
        assert!(!due(&handover, Some(5), Some(70)), "no sound has come");
        hold(&mut handover, SOUND, 71, now);
        assert!(!due(&handover, Some(4), Some(71)));
        assert!(!due(&handover, Some(5), Some(70)));
        assert!(due(&handover, Some(5), Some(71)));
        hold(&mut handover, PICTURE, 6, now);
        assert!(due(&handover, Some(5), Some(71)), "its first segments count");
        assert_eq!(handover.into_held().len(), 3);
    }

    #[test]
    fn track_that_nobody_sends_holds_nothing_up() {
        let (mut handover, now) = (Handover::default(), Instant::now());
        hold(&mut handover, PICTURE, 5, now);
        assert!(handover.is_due(&tracks(), |track| (track == PICTURE).then_some(5), now));
    }

    #[test]
    fn old_upstream_that_does_not_come_so_far_is_not_waited_for() {
        let (mut handover, now) = (Handover::default(), Instant::now());
        hold(&mut handover, PICTURE, 5, now);
        assert!(!handover.is_due(&tracks(), |_| None, now + WAIT_TIME_MAX - Duration::from_millis(1)));
        assert!(handover.is_due(&tracks(), |_| None, now + WAIT_TIME_MAX));
        for _ in 0..3 {
            let kind = MediaKind::Init;
            let header =
                MediaHeader { kind, key: false, sealed: false, track: SOUND, segment: 0, chunk: 0, captured_at_us: 0 };
            handover.hold(header, vec![0; MESSAGE_BYTES_MAX].into(), now);
        }
        assert!(handover.is_due(&tracks(), |_| None, now), "it is as much as may wait");
    }
}
