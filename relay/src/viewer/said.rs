//! What a viewer is told, in words or as media, whatever carries it.

use protocol::{ErrorCode, StreamId, control::ToViewer};

use crate::{
    connection::End,
    house::House,
    stream::{ViewerEvent, streams::Refused, window::Delivery},
};

/// One of the two.
#[derive(Debug)]
pub(crate) enum Said {
    /// A control message.
    Words(ToViewer),
    /// Media.
    Media(Delivery),
}

impl Said {
    /// What `event` of `stream` is.
    ///
    /// # Errors
    /// When it is the end.
    pub(crate) fn of(event: ViewerEvent, stream: StreamId, house: &House) -> Result<Self, End> {
        let words = match event {
            ViewerEvent::Ended => return Err(End::StreamEnded),
            ViewerEvent::NotLive => return Err(End::error(ErrorCode::StreamNotLive, Refused::NotLive)),
            ViewerEvent::Removed => return Err(End::error(ErrorCode::ViewerRemoved, Refused::Removed)),
            ViewerEvent::Media(delivery) => return Ok(Self::Media(delivery)),
            ViewerEvent::Watching { tracks, selected, epoch, path } => ToViewer::Watching {
                stream,
                tracks: tracks.to_vec(),
                selected,
                epoch,
                path: path.iter().chain([&house.name]).cloned().collect(),
            },
            ViewerEvent::Broadcaster { present } => ToViewer::Broadcaster { present },
            ViewerEvent::Move { relays, within_ms } => ToViewer::Move { relays: relays.to_vec(), within_ms },
            ViewerEvent::Viewers(count) => ToViewer::Viewers { count },
        };
        Ok(Self::Words(words))
    }
}
