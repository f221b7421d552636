//! Where encoders leave what they made and the uplink fetches it. Leaving something never waits.
//!
//! Each connection has a lane of its own: one that is slow or silent holds up no other.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use protocol::{
    TrackInfo, TrackNumber,
    seal::{SealError, Sealer},
};
use tokio::sync::{Notify, watch};

use crate::{
    directory_client::{DirectoryClock, local_now_us},
    package::packager::{Captured, OutgoingChunk, PICTURE_TRACK, PackageError, Packager, Rendition, SOUND_TRACK},
    uplink_queue::{Dropped, Next, UplinkQueue},
};

/// The packager and the queue of one broadcast, shared by its encoders and its uplink.
#[derive(Debug)]
pub(crate) struct Outbox {
    inner: Mutex<Inner>,
    tracks: watch::Sender<Vec<TrackInfo>>,
    seal_failure: watch::Sender<Option<SealError>>,
    clock: DirectoryClock,
    frames: AtomicU64,
    made_bytes: AtomicU64,
}

#[derive(Debug)]
struct Inner {
    packager: Packager,
    /// Never empty: while nobody is connected the last one goes on, so that the next connection begins at the newest key frame.
    lanes: Vec<LaneState>,
    lanes_opened: u64,
}

#[derive(Debug)]
struct LaneState {
    id: u64,
    /// Whether a connection empties it.
    attached: bool,
    queue: UplinkQueue,
    filled: Arc<Notify>,
}

/// What waits for one connection. Dropping it is the connection's end.
#[derive(Debug)]
pub(crate) struct Lane {
    outbox: Arc<Outbox>,
    id: u64,
    filled: Arc<Notify>,
}

/// What a connection on which segments travel apart is to do.
#[derive(Debug)]
pub(crate) enum Work {
    /// Send this.
    Next(Next),
    /// What is under way of segments before this one is of no use any more.
    Overtaken(u32),
}

impl Lane {
    /// What is next for this connection, as soon as there is something. May be cancelled without a loss.
    pub(crate) async fn next(&self) -> Next {
        loop {
            let next = self.outbox.inner().lane(self.id).and_then(|lane| lane.queue.next());
            if let Some(next) = next {
                return next;
            }
            self.filled.notified().await;
        }
    }

    /// What is to be done where segments travel apart: what [`Self::next`] gives while there is room for it, and what is of no use any more
    /// of segments before `segment_first`, which is the one that is known. May be cancelled without a loss.
    pub(crate) async fn work(&self, has_room: bool, segment_first: u32) -> Work {
        loop {
            let work = self.outbox.inner().lane(self.id).and_then(|lane| {
                let first = lane.queue.segment_first();
                if first > segment_first {
                    return Some(Work::Overtaken(first));
                }
                has_room.then(|| lane.queue.next()).flatten().map(Work::Next)
            });
            if let Some(work) = work {
                return work;
            }
            self.filled.notified().await;
        }
    }

    /// So many chunks of a track, which this lane had given out, were not sent after all.
    pub(crate) fn lost(&self, track: TrackNumber, chunks: u64) {
        if let Some(lane) = self.outbox.inner().lane(self.id) {
            lane.queue.lost(track, chunks);
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.outbox.inner().close(self.id);
    }
}

impl Inner {
    fn lane(&mut self, id: u64) -> Option<&mut LaneState> {
        self.lanes.iter_mut().find(|lane| lane.id == id)
    }

    fn close(&mut self, id: u64) {
        if self.lanes.len() > 1 {
            self.lanes.retain(|lane| lane.id != id);
        } else if let Some(lane) = self.lane(id) {
            lane.attached = false;
        }
    }

    /// The lane that has left out least: what one connection was sent was not left out.
    fn fullest(&self) -> Option<&LaneState> {
        self.lanes.iter().min_by_key(|lane| lane.queue.dropped().frames)
    }
}

impl Outbox {
    /// The outbox of a broadcast that begins now, end-to-end encrypted where there is a sealer.
    pub(crate) fn new(clock: DirectoryClock, has_picture: bool, sealer: Option<Sealer>) -> Self {
        let leading = if has_picture { PICTURE_TRACK } else { SOUND_TRACK };
        let packager = Packager::new(local_now_us(), has_picture, sealer);
        let queue = UplinkQueue::new(leading);
        let unattached = LaneState { id: 0, attached: false, queue, filled: Arc::default() };
        Self {
            inner: Mutex::new(Inner { packager, lanes: vec![unattached], lanes_opened: 0 }),
            tracks: watch::Sender::default(),
            seal_failure: watch::Sender::default(),
            clock,
            frames: AtomicU64::new(0),
            made_bytes: AtomicU64::new(0),
        }
    }

    /// A picture's encoder tells its configuration.
    pub(crate) fn picture_config(
        &self,
        rendition: Rendition,
        config: &[u8],
        size: (u32, u32),
        frame_rate: f32,
    ) -> Result<(), PackageError> {
        let mut inner = self.inner();
        let now_us = self.clock.now_us();
        self.noted(inner.packager.picture_config(rendition, config, size, frame_rate, now_us))?;
        self.tracks.send_replace(inner.packager.tracks());
        Ok(())
    }

    /// The sound's encoder tells its configuration.
    pub(crate) fn sound_config(&self, channels: u8, pre_skip: u16) -> Result<(), PackageError> {
        let mut inner = self.inner();
        let now_us = self.clock.now_us();
        self.noted(inner.packager.sound_config(channels, pre_skip, now_us))?;
        self.tracks.send_replace(inner.packager.tracks());
        Ok(())
    }

    /// One encoded frame, captured at `captured_us` by this machine's clock. One of the smaller picture comes after the picture's.
    pub(crate) fn picture(
        &self,
        rendition: Rendition,
        data: &[u8],
        key: bool,
        captured_us: u64,
        duration_us: u32,
    ) -> Result<(), PackageError> {
        let captured = self.captured(captured_us);
        let mut inner = self.inner();
        let chunk = match rendition {
            Rendition::Full => {
                self.frames.fetch_add(1, Ordering::Relaxed);
                inner.packager.picture(data, key, captured, duration_us)
            }
            Rendition::Small => inner.packager.small_picture(data, key, captured, duration_us),
        };
        let chunk = self.noted(chunk)?;
        self.leave(inner, chunk);
        Ok(())
    }

    /// One Opus packet, whose sound begins at `captured_us` by this machine's clock.
    pub(crate) fn sound(&self, data: &[u8], captured_us: u64, duration_us: u32) -> Result<(), PackageError> {
        let captured = self.captured(captured_us);
        let mut inner = self.inner();
        let chunk = self.noted(inner.packager.sound(data, captured, duration_us))?;
        self.leave(inner, chunk);
        Ok(())
    }

    /// The tracks whose configuration is known, as that changes.
    pub(crate) fn tracks(&self) -> watch::Receiver<Vec<TrackInfo>> {
        self.tracks.subscribe()
    }

    /// Waits until something can't be sealed: nothing may be sent any more then.
    pub(crate) async fn seal_failure(&self) -> SealError {
        let mut failure = self.seal_failure.subscribe();
        match failure.wait_for(Option::is_some).await.map(|failure| *failure) {
            Ok(Some(error)) => error,
            _ => std::future::pending().await, // not while this is borrowed
        }
    }

    /// A new connection begins, with these tracks: it gets init segments and the current segment first. `segments_apart`: they do not wait
    /// for each other on it.
    pub(crate) fn open(self: &Arc<Self>, tracks: &[TrackInfo], segments_apart: bool) -> Lane {
        let mut inner = self.inner();
        inner.lanes_opened += 1;
        let id = inner.lanes_opened;
        let filled = Arc::<Notify>::default();
        let unattached = inner.lanes.iter().position(|lane| !lane.attached);
        let mut queue = match unattached {
            Some(position) => Some(inner.lanes.swap_remove(position).queue),
            None => inner.fullest().map(|lane| lane.queue.clone()),
        };
        if let Some(queue) = &mut queue {
            queue.begin_connection(tracks.iter().map(|track| track.track).collect(), segments_apart);
        }
        inner.lanes.extend(queue.map(|queue| LaneState { id, attached: true, queue, filled: Arc::clone(&filled) }));
        drop(inner);
        filled.notify_one();
        Lane { outbox: Arc::clone(self), id, filled }
    }

    /// What was left out so far.
    pub(crate) fn dropped(&self) -> Dropped {
        self.inner().fullest().map(|lane| lane.queue.dropped()).unwrap_or_default()
    }

    /// Frames that were encoded so far.
    pub(crate) fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }

    /// Bytes of the chunks that were made so far, sent or left out.
    pub(crate) fn made_bytes(&self) -> u64 {
        self.made_bytes.load(Ordering::Relaxed)
    }

    /// A key frame follows, and the line is slow: what waits for it is left out.
    pub(crate) fn catch_up(&self) {
        self.inner().lanes.iter_mut().for_each(|lane| lane.queue.leave_out_what_waits());
    }

    /// This machine's clock was set, or it slept.
    pub(crate) fn clock_was_set(&self) {
        self.clock.measure_again();
    }

    fn noted<T>(&self, outcome: Result<T, PackageError>) -> Result<T, PackageError> {
        if let Err(PackageError::Seal(error)) = &outcome {
            self.seal_failure.send_replace(Some(*error));
        }
        outcome
    }

    fn captured(&self, local_us: u64) -> Captured {
        Captured { local_us, directory_us: self.clock.at_us(local_us) }
    }

    fn leave(&self, mut inner: MutexGuard<'_, Inner>, chunk: Option<OutgoingChunk>) {
        if let Some(chunk) = chunk {
            self.made_bytes.fetch_add(chunk.message.len() as u64, Ordering::Relaxed);
            for lane in &mut inner.lanes {
                lane.queue.push(chunk.clone());
                lane.filled.notify_one();
            }
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::FutureExt as _;
    use protocol::{
        MediaHeader, MediaKind, StreamId,
        seal::{ContentKey, Opened, Opener},
    };

    use super::*;

    /// A configuration record of H.264 (ISO/IEC 14496-15 5.3.3.1) with parameter sets of this last byte.
    fn config(last: u8) -> Vec<u8> {
        let sps = [0x67, 0x4d, 0x40, 0x1f, last];
        let mut record = vec![1, 0x4d, 0x40, 0x1f, 0xff, 0xe1, 0, 5];
        record.extend(sps);
        record.extend([1, 0, 2, 0x68, last]);
        record
    }

    fn stream() -> StreamId {
        StreamId::of(&"demo".parse().unwrap(), 1)
    }

    /// An outbox that seals, and what a viewer opens it with.
    fn sealing() -> (Arc<Outbox>, Opener) {
        let key = ContentKey::generate().unwrap();
        let outbox = Outbox::new(DirectoryClock::local(), true, Some(Sealer::new(key.clone(), stream())));
        (Arc::new(outbox), Opener::new(key, stream()))
    }

    fn waiting(lane: &Lane) -> impl Iterator<Item = Next> {
        std::iter::from_fn(|| lane.next().now_or_never())
    }

    /// What waits to be sent, all of which a viewer must open or know already: the messages with init segments, and how many
    /// chunks were new.
    fn drain(lane: &Lane, opener: &mut Opener) -> (Vec<Bytes>, usize) {
        let (mut inits, mut chunks) = (Vec::new(), 0);
        for message in waiting(lane).flat_map(Next::messages) {
            match opener.open(&mut message.to_vec()).unwrap() {
                Opened::Payload(MediaHeader { kind: MediaKind::Init, .. }, _) => inits.push(message),
                Opened::Payload(..) => chunks += 1,
                Opened::LeftOut => {}
            }
        }
        (inits, chunks)
    }

    #[test]
    fn init_segment_is_sealed_anew_only_when_the_configuration_changes() {
        let (outbox, mut opener) = sealing();
        let mut sent = Vec::new();
        for last in [1, 1, 2] {
            outbox.picture_config(Rendition::Full, &config(last), (64, 64), 30.0).unwrap();
            let lane = outbox.open(&outbox.tracks().borrow().clone(), false);
            outbox.picture(Rendition::Full, b"frame", true, local_now_us(), 1_000).unwrap();
            outbox.picture(Rendition::Full, b"frame", false, local_now_us(), 1_000).unwrap();
            let (inits, chunks) = drain(&lane, &mut opener);
            assert_eq!(chunks, 2);
            sent.extend(inits);
        }
        sent.dedup();
        assert_eq!(sent.len(), 2, "the same bytes on a new connection, others for a new configuration");
        assert_eq!(opener.tampered(), 0);
    }

    #[test]
    fn segments_that_are_left_out_are_not_taken_for_tampered_ones() {
        let (outbox, mut opener) = sealing();
        outbox.picture_config(Rendition::Full, &config(1), (64, 64), 30.0).unwrap();
        let lane = outbox.open(&outbox.tracks().borrow().clone(), false);
        let (began_us, mut opened) = (local_now_us(), 0);
        for n in 0..600 {
            outbox.picture(Rendition::Full, b"frame", n % 60 == 0, began_us + n * 33_333, 33_333).unwrap();
            // The connection takes nothing for some seconds, twice.
            if !(100..250).contains(&n) && !(400..500).contains(&n) {
                opened += drain(&lane, &mut opener).1;
            }
        }
        let dropped = outbox.dropped();
        assert!(dropped.segments >= 2, "{dropped:?}");
        assert_eq!(opened as u64 + dropped.frames, 600);
        assert_eq!(opener.tampered(), 0);
    }

    #[test]
    fn second_connection_gets_the_same_bytes_from_the_newest_key_frame_on() {
        let (outbox, _) = sealing();
        outbox.picture_config(Rendition::Full, &config(1), (64, 64), 30.0).unwrap();
        let tracks = outbox.tracks().borrow().clone();
        let (began_us, first) = (local_now_us(), outbox.open(&tracks, false));
        let all = |lane: &Lane| waiting(lane).flat_map(Next::messages).collect::<Vec<_>>();
        let leave = |numbers: std::ops::Range<u64>| {
            for n in numbers {
                outbox.picture(Rendition::Full, b"frame", n % 60 == 0, began_us + n * 33_333, 33_333).unwrap();
            }
        };
        leave(0..40);
        let mut sent = all(&first);
        leave(40..70);
        sent.extend(all(&first));
        let second = outbox.open(&tracks, false);
        leave(70..75);
        sent.extend(all(&first));
        let again = all(&second);
        assert_eq!((sent.len(), again.len()), (76, 16));
        assert!(again[0] == sent[0] && again[1..] == sent[61..]);
        assert_eq!(outbox.dropped(), Dropped::default());
    }

    #[test]
    fn connection_that_takes_nothing_costs_the_other_nothing() {
        let (outbox, mut opener) = sealing();
        outbox.picture_config(Rendition::Full, &config(1), (64, 64), 30.0).unwrap();
        let tracks = outbox.tracks().borrow().clone();
        let (stuck, lane) = (outbox.open(&tracks, false), outbox.open(&tracks, false));
        let (began_us, mut opened) = (local_now_us(), 0);
        for n in 0..600 {
            outbox.picture(Rendition::Full, b"frame", n % 60 == 0, began_us + n * 33_333, 33_333).unwrap();
            opened += drain(&lane, &mut opener).1;
        }
        assert_eq!((opened, outbox.dropped()), (600, Dropped::default()));
        drop(stuck);
        assert_eq!(outbox.dropped(), Dropped::default());
        // The last connection may go, too: the next one begins at the newest key frame.
        drop(lane);
        outbox.picture(Rendition::Full, b"frame", false, began_us + 20_000_000, 33_333).unwrap();
        let next = outbox.open(&tracks, false);
        assert_eq!(waiting(&next).flat_map(Next::messages).count(), 62);
    }

    #[tokio::test]
    async fn number_that_was_sealed_before_ends_the_stream() {
        let mut sealer = Sealer::new(ContentKey::generate().unwrap(), stream());
        let header = MediaHeader {
            kind: MediaKind::Init,
            key: false,
            sealed: true,
            track: PICTURE_TRACK,
            segment: 0,
            chunk: 0,
            captured_at_us: 0,
        };
        sealer.seal(header, b"moov").unwrap();
        let last = MediaHeader { kind: MediaKind::Chunk, key: true, segment: u32::MAX, ..header };
        sealer.seal(last, b"frame").unwrap();
        let outbox = Outbox::new(DirectoryClock::local(), true, Some(sealer));
        outbox.picture_config(Rendition::Full, &config(1), (64, 64), 30.0).unwrap();
        let refused = outbox.picture(Rendition::Full, b"frame", true, local_now_us(), 1_000);
        assert_eq!(refused, Err(PackageError::Seal(SealError::WrongOrder(PICTURE_TRACK))));
        assert_eq!(outbox.seal_failure().await, SealError::WrongOrder(PICTURE_TRACK));
    }
}
