//! Which tracks an upstream has said it sends, for media that come beside its words. Pure.

use std::collections::BTreeSet;

use protocol::{TrackInfo, TrackNumber};

/// What it has said.
#[derive(Debug, Default)]
pub(super) struct Announced {
    tracks: Vec<TrackInfo>,
    /// Those of earlier announcements that the newest one lacks.
    former: BTreeSet<TrackNumber>,
}

/// What is known of a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// It is sent now.
    Now,
    /// It was sent before.
    NoMore,
    /// It may be announced yet.
    NotYet,
}

impl Announced {
    /// Takes note of what is sent from now on; the tracks of before whose media are of no use any more. Other tracks begin all anew.
    pub(super) fn announce(&mut self, tracks: &[TrackInfo]) -> BTreeSet<TrackNumber> {
        if self.tracks == tracks {
            return BTreeSet::new();
        }
        let replaced: BTreeSet<_> = self.tracks.iter().map(|info| info.track).collect();
        self.former.extend(&replaced);
        self.former.retain(|track| tracks.iter().all(|info| info.track != *track));
        self.tracks = tracks.to_vec();
        replaced
    }

    /// Whether anything was announced.
    pub(super) fn any(&self) -> bool {
        !self.tracks.is_empty()
    }

    /// What is known of `track`.
    pub(super) fn know(&self, track: TrackNumber) -> Known {
        if self.tracks.iter().any(|info| info.track == track) {
            return Known::Now;
        }
        if self.former.contains(&track) { Known::NoMore } else { Known::NotYet }
    }
}

#[cfg(test)]
mod tests {
    use protocol::TrackKind;

    use super::*;

    fn info(track: u16, codec: &str) -> TrackInfo {
        let (track, codec) = (TrackNumber(track), codec.to_owned());
        let kind = TrackKind::Video;
        TrackInfo { track, kind, codec, width: 0, height: 0, frame_rate: 0.0, sample_rate: 0, channels: 0 }
    }

    fn known(announced: &Announced) -> [Known; 3] {
        [1, 2, 3].map(|track| announced.know(TrackNumber(track)))
    }

    #[test]
    fn track_is_waited_for_until_it_is_announced_and_is_over_when_it_is_announced_no_more() {
        use Known::{NoMore, NotYet, Now};
        let mut announced = Announced::default();
        assert!(!announced.any());
        assert!(announced.announce(&[info(1, "a"), info(2, "b")]).is_empty());
        assert_eq!((announced.any(), known(&announced)), (true, [Now, Now, NotYet]));
        let replaced = announced.announce(&[info(1, "a"), info(3, "c")]);
        assert!(replaced.into_iter().eq([TrackNumber(1), TrackNumber(2)]));
        assert_eq!(known(&announced), [Now, NoMore, Now]);
        announced.announce(&[info(2, "b")]);
        assert_eq!(known(&announced), [NoMore, Now, NoMore]);
    }

    #[test]
    fn same_tracks_told_again_replace_nothing() {
        let mut announced = Announced::default();
        announced.announce(&[info(1, "a")]);
        assert!(announced.announce(&[info(1, "a")]).is_empty());
        assert!(announced.announce(&[info(1, "b")]).into_iter().eq([TrackNumber(1)]), "another codec begins anew");
    }
}
