//! Whoever goes by steps that were found out for others is sent what it would be sent by itself.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use bytes::Bytes;
use proptest::prelude::*;
use protocol::{MediaHeader, MediaKind, StreamId, TrackInfo, TrackKind, TrackNumber, ViewerId, http::RelayAddress};
use tokio::time::Instant;

use super::*;
use crate::stream::{
    PublisherSeat, ViewerSeat,
    streams::{Capacity, Streams},
};

const VIEWERS_MAX: usize = 6;

/// What happens to a stream and its viewers.
#[derive(Debug, Clone)]
enum Happening {
    Frame {
        track: usize,
        key: bool,
    },
    Joins(usize),
    Leaves(usize),
    Removed(usize),
    Selects(usize, usize),
    Moves,
    BroadcasterLeaves,
    BroadcasterComes {
        tracks: usize,
    },
    TimePasses {
        ms: u64,
    },
    /// A turn, in which those are left out whose connection takes nothing.
    Turn {
        stalled: u8,
    },
}

/// One relay with one stream.
struct World {
    streams: Streams,
    publisher: Option<PublisherSeat>,
    epoch: u32,
    tracks: usize,
    at: [(u32, u32); 3],
    viewers: [Option<ViewerSeat>; VIEWERS_MAX],
    said: [Vec<String>; VIEWERS_MAX],
    /// How many were sent something by a step of others.
    followed: usize,
}

fn id() -> StreamId {
    StreamId::of(&"test".parse().unwrap(), 1)
}

/// Viewers are told of a move one after the other by their numbers: who is served last is told first here.
fn viewer(seat: usize) -> ViewerId {
    ViewerId((VIEWERS_MAX - seat) as u64 * 150)
}

fn track(number: usize) -> TrackNumber {
    TrackNumber(number as u16 + 1)
}

/// The tracks of a stream: a picture, its sound, and a smaller picture.
fn infos(count: usize) -> Vec<TrackInfo> {
    [TrackKind::Video, TrackKind::Sound, TrackKind::Video]
        .into_iter()
        .take(count)
        .enumerate()
        .map(|(number, kind)| TrackInfo {
            track: track(number),
            kind,
            codec: "x".to_owned(),
            width: 0,
            height: 0,
            frame_rate: 0.0,
            sample_rate: 0,
            channels: 0,
        })
        .collect()
}

impl World {
    fn new(window_bytes: usize) -> Self {
        let capacity =
            Capacity { streams_max: 1, viewers_max: VIEWERS_MAX as u32, window_bytes, coalesce_max: Duration::ZERO };
        Self {
            streams: Streams::new(capacity, Arc::default()),
            publisher: None,
            epoch: 0,
            tracks: 0,
            at: [(0, 0); 3],
            viewers: [const { None }; VIEWERS_MAX],
            said: [const { vec![] }; VIEWERS_MAX],
            followed: 0,
        }
    }

    fn push(&self, kind: MediaKind, number: usize, key: bool, now: Instant) {
        let (segment, chunk) = self.at[number];
        let header = MediaHeader { kind, key, sealed: false, track: track(number), segment, chunk, captured_at_us: 0 };
        let name = format!("{:?} {number}/{segment}/{chunk} {:40}", kind, "");
        // What is out of order is refused in both worlds.
        let _ = self.publisher.as_ref().map(|publisher| publisher.push(&header, Bytes::from(name), now));
    }

    fn happens(&mut self, happening: &Happening, now: Instant, by_steps: bool) {
        match *happening {
            Happening::Frame { track, key } if track < self.tracks => {
                let (segment, chunk) = self.at[track];
                self.at[track] = if key { (segment + 1, 0) } else { (segment, chunk + 1) };
                self.push(MediaKind::Chunk, track, key, now);
            }
            Happening::Frame { .. } => {}
            Happening::Joins(seat) => {
                if self.viewers[seat].is_none() {
                    self.viewers[seat] = self.streams.watch(id(), viewer(seat), now, 0).ok();
                    self.said[seat].push("joins".to_owned());
                }
            }
            Happening::Leaves(seat) => self.viewers[seat] = None,
            Happening::Removed(seat) => {
                self.streams.remove_viewer(id(), viewer(seat), now);
            }
            Happening::Selects(seat, number) => {
                if let Some(seat) = &mut self.viewers[seat] {
                    let _ = seat.select(track(number));
                }
            }
            Happening::Moves => {
                let url = "ws://127.0.0.1:1/ws".parse().unwrap();
                let relay = RelayAddress { name: "other".parse().unwrap(), url, webtransport: None };
                let _ = self.publisher.as_ref().map(|publisher| publisher.move_to(vec![relay], now));
            }
            Happening::BroadcasterLeaves => self.publisher = None,
            Happening::BroadcasterComes { tracks } => {
                self.publisher = None;
                self.epoch += 1;
                self.tracks = tracks;
                self.at = [(self.epoch * 1000, 0); 3];
                self.publisher = self.streams.publish(id(), self.epoch, infos(tracks), now).ok();
                for track in 0..tracks {
                    self.push(MediaKind::Init, track, false, now);
                }
            }
            Happening::TimePasses { .. } => self.streams.tick(now),
            Happening::Turn { stalled } => {
                let mut steps = Steps::default();
                for seat in (0..VIEWERS_MAX).filter(|seat| stalled & (1 << seat) == 0) {
                    if !by_steps {
                        steps = Steps::default();
                    }
                    self.serve(seat, now, &mut steps);
                }
            }
        }
    }

    fn serve(&mut self, number: usize, now: Instant, steps: &mut Steps) {
        let Some(seat) = &mut self.viewers[number] else { return };
        let said = &mut self.said[number];
        if let Some(step) = seat.step(steps) {
            for delivery in step.media() {
                assert!(delivery.init.is_none() && delivery.skipped.is_none(), "chunks alone are sent by steps");
                said.push(format!("{:?}", ViewerEvent::Media(delivery.clone())));
            }
            self.followed += step.media().len();
            seat.go(step);
            return;
        }
        let over = seat.take_events(now, steps, |event| {
            said.push(format!("{event:?}"));
            match event {
                ViewerEvent::Ended | ViewerEvent::NotLive | ViewerEvent::Removed => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        });
        if over.is_break() {
            self.viewers[number] = None;
        }
    }
}

fn happening() -> impl Strategy<Value = Happening> {
    let seat = 0..VIEWERS_MAX;
    prop_oneof![
        8 => (0..3_usize, prop::bool::weighted(0.2)).prop_map(|(track, key)| Happening::Frame { track, key }),
        8 => prop_oneof![3 => Just(0_u8), 1 => any::<u8>()].prop_map(|stalled| Happening::Turn { stalled }),
        3 => seat.clone().prop_map(Happening::Joins),
        1 => seat.clone().prop_map(Happening::Leaves),
        1 => seat.clone().prop_map(Happening::Removed),
        1 => (seat, 0..3_usize).prop_map(|(seat, track)| Happening::Selects(seat, track)),
        1 => Just(Happening::Moves),
        1 => Just(Happening::BroadcasterLeaves),
        1 => (1..=3_usize).prop_map(|tracks| Happening::BroadcasterComes { tracks }),
        2 => prop_oneof![0..200_u64, 0..3_000_u64].prop_map(|ms| Happening::TimePasses { ms }),
    ]
}

/// Both worlds after what happened, the one that goes by steps first.
fn both(happenings: &[Happening], window_bytes: usize) -> (World, World) {
    let (mut by_steps, mut by_itself) = (World::new(window_bytes), World::new(window_bytes));
    let mut now = Instant::now();
    for happening in happenings {
        if let Happening::TimePasses { ms } = happening {
            now += Duration::from_millis(*ms);
        }
        by_steps.happens(happening, now, true);
        by_itself.happens(happening, now, false);
    }
    (by_steps, by_itself)
}

proptest! {
    #[test]
    fn whoever_follows_is_sent_what_it_would_be_sent_by_itself(
        rest in prop::collection::vec(happening(), 1..120),
        // Where there is room for some chunks only, whoever is left out for long is skipped forward.
        window_bytes in prop_oneof![Just(400), Just(100_000)],
    ) {
        let mut happenings = vec![Happening::BroadcasterComes { tracks: 2 }];
        happenings.extend((0..VIEWERS_MAX).map(Happening::Joins));
        happenings.extend(rest);
        let (by_steps, by_itself) = both(&happenings, window_bytes);
        prop_assert_eq!(by_steps.said, by_itself.said);
        prop_assert_eq!(by_itself.followed, 0);
    }
}

#[test]
fn one_look_serves_all_who_stand_at_the_same_place() {
    let mut happenings = vec![Happening::BroadcasterComes { tracks: 2 }, Happening::Frame { track: 0, key: true }];
    happenings.extend((0..VIEWERS_MAX).map(Happening::Joins));
    let turn = || Happening::Turn { stalled: 0 };
    happenings.extend([turn(), Happening::Frame { track: 1, key: true }, turn()]);
    happenings.extend([Happening::Frame { track: 0, key: false }, Happening::Frame { track: 1, key: true }, turn()]);
    let (by_steps, _) = both(&happenings, 100_000);
    // The first turn tells each of them of the stream; of three chunks then, all but the first viewer are sent by its steps. Who is new to a
    // track is sent its init segment, and so the first chunk of sound.
    assert_eq!(by_steps.followed, 2 * (VIEWERS_MAX - 1));
}
