//! What other relays send, one after the other or two at a time, made one: whatever is known already, and whatever can't follow, is
//! left out. The numbers in the headers say it all, as every relay forwards the same messages.

use bytes::Bytes;
use protocol::{MediaHeader, MediaKind, TrackNumber, media_message::MEDIA_HEADER_BYTES};
use tokio::time::Instant;

use super::{INIT_BYTES_MAX, Refusal, Window};

impl Window {
    /// Takes a media message of another relay in that has come at `arrived`; `false`: it is known, or can't follow what is here, and
    /// nothing has changed. An init segment that differs from the one that holds counts from the next key frame on.
    ///
    /// # Errors
    /// When the message is of an unknown track or too large.
    pub fn splice(&mut self, header: &MediaHeader, message: Bytes, arrived: Instant) -> Result<bool, Refusal> {
        match header.kind {
            MediaKind::Init => self.splice_init(header, message),
            MediaKind::Chunk => self.splice_chunk(header, message, arrived),
        }
    }

    /// Whether an init segment waits for a key frame.
    #[must_use]
    pub fn has_init_to_come(&self) -> bool {
        self.tracks.iter().any(|track| track.init_to_come.is_some())
    }

    /// Chunks of a track are missing before the one that comes next.
    pub fn lacks(&mut self, track: TrackNumber, chunks: u64) {
        if let Some(track) = self.track_mut(track) {
            track.ordinal_next = track.ordinal_next.saturating_add(chunks);
        }
    }

    /// The segment that the newest chunk of `track` belongs to.
    #[must_use]
    pub fn segment_of(&self, track: TrackNumber) -> Option<u32> {
        self.track(track).and_then(|track| track.order.segment())
    }

    fn splice_init(&mut self, header: &MediaHeader, message: Bytes) -> Result<bool, Refusal> {
        if message.len() > INIT_BYTES_MAX {
            return Err(Refusal::InitTooLarge(message.len()));
        }
        let track = self.track_mut(header.track).ok_or(Refusal::UnknownTrack(header.track))?;
        let is_known = track.init.as_ref().is_some_and(|init| {
            init.message.as_message().get(MEDIA_HEADER_BYTES..) == message.get(MEDIA_HEADER_BYTES..)
        });
        // A message shares its allocation with its neighbours; one that stays would keep them alive.
        track.init_to_come = (!is_known || !track.order.has_init()).then(|| Bytes::copy_from_slice(&message));
        Ok(false)
    }

    fn splice_chunk(&mut self, header: &MediaHeader, message: Bytes, arrived: Instant) -> Result<bool, Refusal> {
        let track = self.track_mut(header.track).ok_or(Refusal::UnknownTrack(header.track))?;
        let begins = header.key && header.chunk == 0;
        let is_new = track.order.segment().is_none_or(|segment| header.segment > segment);
        if begins
            && is_new
            && let Some(init) = track.init_to_come.take()
        {
            let of_init = MediaHeader { kind: MediaKind::Init, ..*header };
            self.push_init(&of_init, init)?;
        }
        match self.push_chunk(header, message, arrived) {
            Ok(()) => Ok(true),
            Err(Refusal::OutOfOrder { .. } | Refusal::KeyMissing(_) | Refusal::InitMissing(_)) => Ok(false),
            Err(refusal) => Err(refusal),
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::{TrackInfo, TrackKind};

    use super::*;
    use crate::stream::window::{Cursor, SkipReason};
    use crate::transport::MediaFrame;

    const PICTURE: TrackNumber = TrackNumber(1);

    fn window() -> Window {
        let mut window = Window::new(1 << 20);
        let (kind, codec) = (TrackKind::Video, "x".to_owned());
        let info = TrackInfo {
            track: PICTURE,
            kind,
            codec,
            width: 0,
            height: 0,
            frame_rate: 0.0,
            sample_rate: 0,
            channels: 0,
        };
        window.begin(&[info]);
        window
    }

    fn header(kind: MediaKind, segment: u32, chunk: u32, at: u64) -> MediaHeader {
        let key = kind == MediaKind::Chunk && chunk == 0;
        MediaHeader { kind, key, sealed: true, track: PICTURE, segment, chunk, captured_at_us: at }
    }

    fn init(window: &mut Window, name: &str, at: u64) {
        let header = header(MediaKind::Init, 0, 0, at);
        assert_eq!(window.splice(&header, header.message(name.as_bytes()).into(), Instant::now()), Ok(false));
    }

    fn chunk(window: &mut Window, segment: u32, chunk: u32) -> bool {
        let header = header(MediaKind::Chunk, segment, chunk, 0);
        let message = header.message(format!("{segment}/{chunk}").as_bytes());
        window.splice(&header, message.into(), Instant::now()).unwrap()
    }

    fn drain(window: &Window, cursor: &mut Cursor) -> Vec<String> {
        let words = |frame: &MediaFrame| String::from_utf8(frame.as_message()[MEDIA_HEADER_BYTES..].to_vec()).unwrap();
        let mut got = vec![];
        while let Some(delivery) = window.next(cursor) {
            got.extend(delivery.skipped.map(|skipped| format!("skipped {}", skipped.chunks)));
            got.extend(delivery.init.as_ref().map(words));
            got.push(words(&delivery.chunk));
        }
        got
    }

    #[test]
    fn second_upstream_goes_on_in_the_middle_of_a_segment_and_nothing_comes_twice() {
        let mut window = window();
        let mut viewer = window.join();
        init(&mut window, "init", 1);
        for each in 0..3 {
            assert!(chunk(&mut window, 7, each));
        }
        // Another one begins with its newest segment; its init segment is the same but for when it was sent.
        init(&mut window, "init", 2);
        for each in 0..3 {
            assert!(!chunk(&mut window, 7, each));
        }
        assert!(chunk(&mut window, 7, 3));
        assert!(chunk(&mut window, 8, 0));
        assert!(!chunk(&mut window, 7, 4), "an old one comes late");
        assert_eq!(drain(&window, &mut viewer), ["init", "7/0", "7/1", "7/2", "7/3", "8/0"]);
    }

    #[test]
    fn upstream_that_is_ahead_is_followed_from_a_key_frame_on() {
        let mut window = window();
        let mut viewer = window.join();
        init(&mut window, "init", 1);
        assert!(chunk(&mut window, 7, 0));
        assert!(!chunk(&mut window, 7, 5), "a hole");
        assert!(!chunk(&mut window, 8, 3), "no key frame");
        assert!(chunk(&mut window, 9, 0));
        assert_eq!(drain(&window, &mut viewer), ["init", "7/0", "9/0"]);
    }

    #[test]
    fn other_init_segment_counts_from_the_next_key_frame_on() {
        let mut window = window();
        let mut viewer = window.join();
        init(&mut window, "init", 1);
        assert!(chunk(&mut window, 1, 0));
        init(&mut window, "other", 1);
        assert!(chunk(&mut window, 1, 1));
        assert_eq!(drain(&window, &mut viewer), ["init", "1/0", "1/1"]);
        assert!(chunk(&mut window, 2, 0));
        assert_eq!(drain(&window, &mut viewer), ["other", "2/0"]);
    }

    #[test]
    fn upstream_that_follows_a_broadcaster_needs_its_init_segment_no_second_time() {
        let mut window = window();
        let mut viewer = window.join();
        let of_init = header(MediaKind::Init, 0, 0, 0);
        window.push(&of_init, of_init.message(b"init").into(), Instant::now()).unwrap();
        let first = header(MediaKind::Chunk, 4, 0, 0);
        window.push(&first, first.message(b"4/0").into(), Instant::now()).unwrap();
        init(&mut window, "init", 9);
        assert!(!chunk(&mut window, 4, 0));
        assert!(chunk(&mut window, 4, 1));
        assert_eq!(drain(&window, &mut viewer), ["init", "4/0", "4/1"]);
        assert_eq!(window.segment_of(PICTURE), Some(4));
    }

    #[test]
    fn what_the_upstream_left_out_is_told_on() {
        let mut window = window();
        let mut viewer = window.join();
        init(&mut window, "init", 1);
        assert!(chunk(&mut window, 1, 0));
        drain(&window, &mut viewer);
        window.lacks(PICTURE, 41);
        assert!(chunk(&mut window, 3, 0));
        let delivery = window.next(&mut viewer).unwrap();
        let skipped = delivery.skipped.unwrap();
        assert_eq!((skipped.chunks, skipped.reason, delivery.init), (41, SkipReason::Upstream, None));
    }
}
