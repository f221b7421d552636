//! What an upstream has told of the stream, once it is known to be of use.

use protocol::{RelayName, control::ToViewer, limits::EDGE_DEPTH_MAX};

use super::super::link::Failure;
use crate::{admission::check_tracks, stream::Origin};

/// Reads `watching` of `upstream` for the relay `own`.
///
/// # Errors
/// When the stream has come through this relay already, or through as many as it may, or is not well described.
pub(super) fn read_origin(watching: ToViewer, upstream: &RelayName, own: &RelayName) -> Result<Origin, Failure> {
    let ToViewer::Watching { tracks, epoch, path, .. } = watching else {
        return Err(Failure::Useless("it does not say what it sends"));
    };
    if path.last() != Some(upstream) {
        return Err(Failure::Useless("another relay answers there"));
    }
    if path.contains(own) {
        return Err(Failure::Useless("the stream comes from here"));
    }
    if path.len() > usize::from(EDGE_DEPTH_MAX) {
        return Err(Failure::Useless("the stream has come through as many relays as it may"));
    }
    check_tracks(&tracks).map_err(|_| Failure::Useless("its tracks are not well described"))?;
    Ok(Origin { epoch, tracks, path })
}

#[cfg(test)]
mod tests {
    use protocol::{StreamId, TrackInfo, TrackKind, TrackNumber};

    use super::*;

    fn name(text: &str) -> RelayName {
        text.parse().unwrap()
    }

    fn judged(path: &[&str]) -> Result<(), &'static str> {
        let (track, kind, codec) = (TrackNumber(1), TrackKind::Video, "x".to_owned());
        let info = TrackInfo { track, kind, codec, width: 0, height: 0, frame_rate: 0.0, sample_rate: 0, channels: 0 };
        let path = path.iter().map(|text| name(text)).collect();
        let stream = StreamId::of(&"test".parse().unwrap(), 1);
        let watching = ToViewer::Watching { stream, tracks: vec![info], selected: vec![], epoch: 7, path };
        match read_origin(watching, &name("up"), &name("own")) {
            Ok(origin) => {
                assert_eq!(origin.epoch, 7);
                Ok(())
            }
            Err(Failure::Useless(why)) => Err(why),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn ways_of_a_stream_are_judged() {
        assert_eq!(judged(&["up"]), Ok(()));
        assert_eq!(judged(&["origin", "other", "up"]), Ok(()));
        assert_eq!(judged(&["own", "up"]), Err("the stream comes from here"));
        assert_eq!(judged(&["a", "b", "c", "up"]), Err("the stream has come through as many relays as it may"));
        assert_eq!(judged(&["up", "other"]), Err("another relay answers there"));
        assert_eq!(judged(&[]), Err("another relay answers there"));
    }
}
