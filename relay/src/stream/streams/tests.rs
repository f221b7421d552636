//! Situations of publishers and viewers at the streams of one relay. No socket, and time is what the tests say.

use bytes::Bytes;
use protocol::{MediaHeader, MediaKind, TrackKind, TrackNumber};

use super::*;
use crate::stream::{PushError, ViewerEvent};

const SECOND: Duration = Duration::from_secs(1);

fn streams() -> Streams {
    let capacity = Capacity { streams_max: 2, viewers_max: 2, window_bytes: 1 << 20, coalesce_max: Duration::ZERO };
    Streams::new(capacity, Arc::default())
}

fn id(number: u64) -> StreamId {
    StreamId::of(&"test".parse().unwrap(), number)
}

fn tracks() -> Vec<TrackInfo> {
    let (track, kind, codec) = (TrackNumber(1), TrackKind::Video, "x".to_owned());
    vec![TrackInfo { track, kind, codec, width: 0, height: 0, frame_rate: 0.0, sample_rate: 0, channels: 0 }]
}

fn new_viewer() -> ViewerId {
    ViewerId(rand::random())
}

fn push(seat: &PublisherSeat, kind: MediaKind, segment: u32) -> Result<(), PushError> {
    let key = kind == MediaKind::Chunk;
    let track = TrackNumber(1);
    let header = MediaHeader { kind, key, sealed: false, track, segment, chunk: 0, captured_at_us: 0 };
    seat.push(&header, Bytes::from_static(b"media"), Instant::now())
}

fn events(seat: &mut ViewerSeat) -> Vec<&'static str> {
    let mut names = vec![];
    while let Some(event) = seat.next_event(Instant::now()) {
        names.push(match event {
            ViewerEvent::Watching { .. } => "watching",
            ViewerEvent::Broadcaster { present: true } => "present",
            ViewerEvent::Broadcaster { present: false } => "away",
            ViewerEvent::Viewers(_) => "viewers",
            ViewerEvent::Move { .. } => "move",
            ViewerEvent::Media(_) => "media",
            ViewerEvent::Ended => {
                names.push("ended");
                return names;
            }
            ViewerEvent::NotLive => {
                names.push("not live");
                return names;
            }
            ViewerEvent::Removed => {
                names.push("removed");
                return names;
            }
        });
    }
    names
}

#[tokio::test(start_paused = true)]
async fn stream_outlives_its_broadcaster_for_a_while_and_then_ends() {
    let streams = streams();
    let seat = streams.publish(id(1), 1, tracks(), Instant::now()).unwrap();
    let mut viewer = streams.watch(id(1), new_viewer(), Instant::now(), 0).unwrap();
    push(&seat, MediaKind::Init, 0).unwrap();
    push(&seat, MediaKind::Chunk, 0).unwrap();
    assert_eq!(events(&mut viewer), ["watching", "viewers", "media"]);
    drop(seat);
    assert_eq!(events(&mut viewer), ["away"]);
    tokio::time::advance(BROADCASTER_AWAY_TIME_MAX - SECOND).await;
    streams.tick(Instant::now());
    assert_eq!(streams.report().streams.len(), 1);
    let mut late = streams.watch(id(1), new_viewer(), Instant::now(), 0).unwrap();
    assert_eq!(events(&mut late), ["watching", "away", "viewers", "media"]);
    tokio::time::advance(SECOND).await;
    streams.tick(Instant::now());
    assert_eq!(events(&mut viewer), ["ended"]);
    assert!(streams.report().streams.is_empty());
    // Its broadcaster may come again with the ticket it has.
    streams.publish(id(1), 1, tracks(), Instant::now()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn viewer_who_comes_first_waits_for_the_publisher() {
    let streams = streams();
    let mut viewer = streams.watch(id(1), new_viewer(), Instant::now(), 0).unwrap();
    assert_eq!(events(&mut viewer), ["away", "viewers"]);
    assert!(streams.report().streams.is_empty(), "it is not carried");
    tokio::time::advance(BROADCASTER_AWAY_TIME_MAX - SECOND).await;
    streams.tick(Instant::now());
    let seat = streams.publish(id(1), 3, tracks(), Instant::now()).unwrap();
    push(&seat, MediaKind::Init, 0).unwrap();
    push(&seat, MediaKind::Chunk, 0).unwrap();
    assert_eq!(events(&mut viewer), ["watching", "present", "viewers", "media"]);
    assert_eq!(streams.report().streams.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn viewer_who_waited_too_long_is_told_that_nothing_is_sent() {
    let streams = streams();
    let mut viewer = streams.watch(id(1), new_viewer(), Instant::now(), 0).unwrap();
    assert_eq!(events(&mut viewer), ["away", "viewers"]);
    tokio::time::advance(BROADCASTER_AWAY_TIME_MAX).await;
    streams.tick(Instant::now());
    assert_eq!(events(&mut viewer), ["not live"]);
    assert!(streams.rooms().streams.is_empty() && streams.rooms().past.is_empty());
}

#[tokio::test(start_paused = true)]
async fn waiting_does_not_forget_what_was_here_before() {
    let streams = streams();
    drop(streams.publish(id(1), 5, tracks(), Instant::now()).unwrap());
    tokio::time::advance(BROADCASTER_AWAY_TIME_MAX).await;
    streams.tick(Instant::now());
    let _viewer = streams.watch(id(1), new_viewer(), Instant::now(), 0).unwrap();
    let old = streams.publish(id(1), 4, tracks(), Instant::now());
    assert_eq!(old.map(drop), Err(Refused::StaleEpoch));
    tokio::time::advance(BROADCASTER_AWAY_TIME_MAX).await;
    streams.tick(Instant::now());
    let old = streams.publish(id(1), 4, tracks(), Instant::now());
    assert_eq!(old.map(drop), Err(Refused::StaleEpoch));
    let seat = streams.publish(id(1), 5, tracks(), Instant::now()).unwrap();
    streams.end(id(1), Instant::now());
    drop(seat);
    assert_eq!(streams.watch(id(1), new_viewer(), Instant::now(), 0).unwrap_err(), Refused::Ended);
}

#[tokio::test(start_paused = true)]
async fn streams_that_are_waited_for_are_bounded_and_give_way_to_those_that_are_sent() {
    let streams = streams();
    let mut waits = streams.watch(id(1), new_viewer(), Instant::now(), 0).unwrap();
    let _first = streams.publish(id(2), 1, tracks(), Instant::now()).unwrap();
    assert_eq!(streams.watch(id(3), new_viewer(), Instant::now(), 0).unwrap_err(), Refused::NotLive);
    let _second = streams.publish(id(4), 1, tracks(), Instant::now()).unwrap();
    assert_eq!(events(&mut waits), ["not live"]);
    let third = streams.publish(id(5), 1, tracks(), Instant::now());
    assert_eq!(third.map(drop), Err(Refused::TooManyStreams));
}

#[tokio::test(start_paused = true)]
async fn broadcaster_that_comes_back_in_time_keeps_its_viewers() {
    let streams = streams();
    drop(streams.publish(id(1), 1, tracks(), Instant::now()).unwrap());
    let mut viewer = streams.watch(id(1), new_viewer(), Instant::now(), 0).unwrap();
    assert_eq!(events(&mut viewer), ["watching", "away", "viewers"]);
    tokio::time::advance(BROADCASTER_AWAY_TIME_MAX - SECOND).await;
    let _seat = streams.publish(id(1), 1, tracks(), Instant::now()).unwrap();
    tokio::time::advance(BROADCASTER_AWAY_TIME_MAX).await;
    streams.tick(Instant::now());
    assert_eq!(events(&mut viewer), ["present", "viewers"]);
}

#[tokio::test(start_paused = true)]
async fn end_is_remembered_as_long_as_a_ticket_of_its_time_may_be_good() {
    let streams = streams();
    let seat = streams.publish(id(1), 3, tracks(), Instant::now()).unwrap();
    streams.end(id(1), Instant::now());
    assert_eq!(push(&seat, MediaKind::Init, 0), Err(PushError::Ended));
    let again = |epoch| streams.publish(id(1), epoch, tracks(), Instant::now()).map(drop);
    assert_eq!((again(2), again(3)), (Err(Refused::StaleEpoch), Err(Refused::Ended)));
    assert_eq!(again(4), Ok(()));
    streams.end(id(1), Instant::now());
    tokio::time::advance(TICKET_TIME).await;
    streams.tick(Instant::now());
    assert!(streams.rooms().past.is_empty());
}

#[tokio::test(start_paused = true)]
async fn stream_is_live_only_while_its_publisher_is_there_and_has_sent_a_chunk() {
    let streams = streams();
    let live = || streams.report().streams[0].live;
    let seat = streams.publish(id(1), 1, tracks(), Instant::now()).unwrap();
    push(&seat, MediaKind::Init, 0).unwrap();
    assert!(!live());
    push(&seat, MediaKind::Chunk, 0).unwrap();
    assert!(live());
    streams.liveness_changed().await;
    let newer = streams.publish(id(1), 2, tracks(), Instant::now()).unwrap();
    assert!(!live());
    assert_eq!(push(&seat, MediaKind::Chunk, 1), Err(PushError::Superseded));
    push(&newer, MediaKind::Init, 0).unwrap();
    push(&newer, MediaKind::Chunk, 0).unwrap();
    // The old one leaves late: the new one stays.
    drop(seat);
    assert!(live());
    drop(newer);
    assert!(!live());
}

#[tokio::test(start_paused = true)]
async fn places_are_free_again_when_their_holders_have_gone() {
    let streams = streams();
    let now = Instant::now();
    let _seats = (streams.publish(id(1), 1, tracks(), now).unwrap(), streams.publish(id(2), 1, tracks(), now).unwrap());
    assert_eq!(streams.publish(id(3), 1, tracks(), now).unwrap_err(), Refused::TooManyStreams);
    let viewers = (
        streams.watch(id(1), new_viewer(), Instant::now(), 0).unwrap(),
        streams.watch(id(2), new_viewer(), Instant::now(), 0).unwrap(),
    );
    assert_eq!(streams.watch(id(1), new_viewer(), Instant::now(), 0).unwrap_err(), Refused::TooManyViewers);
    drop(viewers.0);
    assert_eq!(streams.report().viewers, 1);
    streams.watch(id(1), new_viewer(), Instant::now(), 0).unwrap();
    streams.end(id(2), now);
    streams.publish(id(3), 1, tracks(), now).unwrap();
}

#[tokio::test(start_paused = true)]
async fn key_frame_is_wanted_once_in_a_while_however_many_wait_for_it() {
    let streams = streams();
    let mut seat = streams.publish(id(1), 1, tracks(), Instant::now()).unwrap();
    let wanted = |seat: &mut PublisherSeat| seat.notice(Instant::now()).unwrap().keys_wanted.len();
    for _ in 0..3 {
        seat.stream.state().want_key(TrackNumber(1));
    }
    assert_eq!(wanted(&mut seat), 1);
    seat.stream.state().want_key(TrackNumber(1));
    assert_eq!(wanted(&mut seat), 0);
    tokio::time::advance(SECOND).await;
    assert_eq!((wanted(&mut seat), wanted(&mut seat)), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn removed_viewer_goes_and_is_refused_until_its_tickets_have_ended() {
    let streams = streams();
    let _seat = streams.publish(id(1), 1, tracks(), Instant::now()).unwrap();
    let (one, other) = (new_viewer(), new_viewer());
    let mut removed = streams.watch(id(1), one, Instant::now(), 0).unwrap();
    let mut stays = streams.watch(id(1), other, Instant::now(), 0).unwrap();
    assert!(streams.remove_viewer(id(1), one, Instant::now()));
    assert!(!streams.remove_viewer(id(1), one, Instant::now()), "it is no news");
    assert_eq!(events(&mut removed), ["removed"]);
    assert_eq!(events(&mut stays), ["watching", "viewers"]);
    drop(removed);
    assert_eq!(streams.watch(id(1), one, Instant::now(), 0).unwrap_err(), Refused::Removed);
    tokio::time::advance(TICKET_TIME).await;
    streams.tick(Instant::now());
    // The directory may be away, so that the ticket still counts.
    assert_eq!(streams.watch(id(1), one, Instant::now(), 0).unwrap_err(), Refused::Removed);
    tokio::time::advance(protocol::limits::DIRECTORY_AWAY_TIME_MAX).await;
    streams.tick(Instant::now());
    streams.watch(id(1), one, Instant::now(), 0).unwrap();
}

#[tokio::test(start_paused = true)]
async fn publisher_is_told_who_watches_once_a_second_at_most_and_only_what_is_new() {
    let streams = streams();
    let mut seat = streams.publish(id(1), 1, tracks(), Instant::now()).unwrap();
    let mut told = || {
        let notice = seat.notice(Instant::now()).unwrap();
        notice.audience.map(|audience| audience.iter().map(|member| member.since_ms).collect::<Vec<_>>())
    };
    assert_eq!(told(), Some(vec![]));
    let first = streams.watch(id(1), new_viewer(), Instant::now(), 1).unwrap();
    assert_eq!(told(), None, "too early");
    tokio::time::advance(SECOND).await;
    assert_eq!(told(), Some(vec![1]));
    tokio::time::advance(SECOND).await;
    assert_eq!(told(), None, "no news");
    let _second = streams.watch(id(1), new_viewer(), Instant::now(), 2).unwrap();
    assert_eq!(told(), Some(vec![2, 1]));
    drop(first);
    tokio::time::advance(SECOND).await;
    assert_eq!(told(), Some(vec![2]));
}

/// A message as it comes over the wire, whose payload is always the same.
fn push_whole(seat: &PublisherSeat, kind: MediaKind, segment: u32) -> Result<(), PushError> {
    let key = kind == MediaKind::Chunk;
    let header = MediaHeader { kind, key, sealed: false, track: TrackNumber(1), segment, chunk: 0, captured_at_us: 0 };
    seat.push(&header, header.message(b"media").into(), Instant::now())
}

fn name(text: &str) -> RelayName {
    text.parse().unwrap()
}

fn origin(epoch: u32, path: &[&str]) -> Origin {
    Origin { epoch, tracks: tracks(), path: path.iter().map(|text| name(text)).collect() }
}

fn pushed(seat: &UpstreamSeat, kind: MediaKind, segment: u32) -> Result<bool, PushError> {
    let key = kind == MediaKind::Chunk;
    let track = TrackNumber(1);
    let header = MediaHeader { kind, key, sealed: false, track, segment, chunk: 0, captured_at_us: 0 };
    seat.push(&header, header.message(b"media").into(), Instant::now())
}

/// An edge with a viewer who waits, and an upstream that has sent a segment.
fn edge(streams: &Streams) -> (ViewerSeat, UpstreamSeat) {
    let viewer = streams.watch(id(1), new_viewer(), Instant::now(), 0).unwrap();
    let seat = streams.pull(id(1), origin(3, &["origin"])).unwrap();
    pushed(&seat, MediaKind::Init, 0).unwrap();
    assert_eq!(pushed(&seat, MediaKind::Chunk, 7), Ok(true));
    (viewer, seat)
}

#[tokio::test(start_paused = true)]
async fn viewer_for_whom_another_relay_is_looked_for_hears_nothing_of_it_for_a_second() {
    let streams = streams();
    let mut viewer = streams.watch(id(1), new_viewer(), Instant::now(), 0).unwrap();
    streams.demand(id(1)).unwrap().is_looked_for(Instant::now());
    assert_eq!(events(&mut viewer), ["viewers"]);
    tokio::time::advance(SECOND).await;
    assert_eq!(events(&mut viewer), ["away"]);
    let _seat = streams.pull(id(1), origin(3, &["origin"])).unwrap();
    assert_eq!(events(&mut viewer), ["watching", "present"]);
}

#[tokio::test(start_paused = true)]
async fn edge_says_how_deep_it_is_and_is_live_while_its_upstream_and_the_broadcaster_are_there() {
    let streams = streams();
    let (_viewer, seat) = edge(&streams);
    let report = || {
        let CarriedStream { epoch, live, viewers, depth, .. } = streams.report().streams[0];
        (epoch, live, viewers, depth)
    };
    assert_eq!(report(), (3, true, 1, 1));
    streams.liveness_changed().await;
    seat.set_present(false).unwrap();
    assert_eq!(report(), (3, false, 1, 1));
    seat.set_present(true).unwrap();
    let deeper = streams.pull(id(1), origin(4, &["origin", "other"])).unwrap();
    drop(seat);
    assert_eq!(report(), (4, true, 1, 2), "the one that was replaced leaves late");
    drop(deeper);
    assert_eq!(report(), (4, false, 1, 2));
    assert_eq!(streams.busy(), Busy { streams: 1, publishers: 0, viewers: 1, edges: 0 });
}

#[tokio::test(start_paused = true)]
async fn viewers_are_told_of_a_lost_upstream_when_it_lasts_and_never_that_the_stream_is_over() {
    let streams = streams();
    let (mut viewer, seat) = edge(&streams);
    assert_eq!(events(&mut viewer), ["watching", "viewers", "media"]);
    drop(seat);
    tokio::time::advance(SECOND / 2).await;
    assert_eq!(events(&mut viewer), Vec::<&str>::new());
    let seat = streams.pull(id(1), origin(3, &["other"])).unwrap();
    assert_eq!(pushed(&seat, MediaKind::Chunk, 7), Ok(false));
    assert_eq!(pushed(&seat, MediaKind::Chunk, 8), Ok(true));
    assert_eq!(events(&mut viewer), ["media"]);
    drop(seat);
    tokio::time::advance(SECOND).await;
    assert_eq!(events(&mut viewer), ["away"]);
    tokio::time::advance(BROADCASTER_AWAY_TIME_MAX).await;
    streams.tick(Instant::now());
    assert_eq!(events(&mut viewer), ["not live"]);
}

#[tokio::test(start_paused = true)]
async fn broadcaster_takes_over_from_an_upstream_and_no_upstream_from_it() {
    let streams = streams();
    let (mut viewer, upstream) = edge(&streams);
    events(&mut viewer);
    assert_eq!(streams.publish(id(1), 2, tracks(), Instant::now()).unwrap_err(), Refused::StaleEpoch);
    let seat = streams.publish(id(1), 3, tracks(), Instant::now()).unwrap();
    assert_eq!(pushed(&upstream, MediaKind::Chunk, 9), Err(PushError::Superseded));
    assert_eq!(streams.demand(id(1)).unwrap().now(), crate::stream::demand::Wanted::Nothing);
    assert_eq!(streams.pull(id(1), origin(9, &["other"])).unwrap_err(), Refused::PublisherPresent);
    push_whole(&seat, MediaKind::Init, 0).unwrap();
    // It begins with its newest segment, which has come from the upstream already.
    push_whole(&seat, MediaKind::Chunk, 7).unwrap();
    drop(upstream);
    assert_eq!(events(&mut viewer), Vec::<&str>::new());
    push_whole(&seat, MediaKind::Chunk, 9).unwrap();
    assert_eq!(events(&mut viewer), ["media"]);
    // Not for ever: whoever counts backwards is told so.
    tokio::time::advance(MOVE_OVERLAP_TIME_MAX).await;
    assert!(matches!(push_whole(&seat, MediaKind::Chunk, 8), Err(PushError::Refused(_))));
    assert_eq!(streams.report().streams[0].depth, 0);
    // Gone again, it may be pulled from where it went; what is older may not.
    drop(seat);
    assert_eq!(streams.pull(id(1), origin(2, &["other"])).unwrap_err(), Refused::StaleEpoch);
    streams.pull(id(1), origin(3, &["other"])).unwrap();
}

#[tokio::test(start_paused = true)]
async fn stream_is_sent_on_only_where_it_is_live_and_never_back_or_too_deep() {
    let streams = streams();
    assert_eq!(streams.feed(id(1), &name("edge")).unwrap_err(), Refused::NotLive);
    let mut waits = streams.watch(id(1), new_viewer(), Instant::now(), 0).unwrap();
    assert_eq!(streams.feed(id(1), &name("edge")).unwrap_err(), Refused::NotLive);
    let seat = streams.publish(id(1), 1, tracks(), Instant::now()).unwrap();
    push(&seat, MediaKind::Init, 0).unwrap();
    push(&seat, MediaKind::Chunk, 0).unwrap();
    let mut fed: Vec<_> = (0..EDGES_MAX).map(|_| streams.feed(id(1), &name("edge")).unwrap()).collect();
    assert_eq!(streams.feed(id(1), &name("edge")).unwrap_err(), Refused::TooManyRelays);
    assert_eq!(events(&mut fed[0]), ["watching", "viewers", "media"]);
    assert_eq!(events(&mut waits), ["watching", "viewers", "media"]);
    fed.truncate(1);
    streams.feed(id(1), &name("edge")).unwrap();
    // A broadcaster that is away: the edge looks elsewhere, and learns of no end.
    drop(seat);
    assert_eq!(events(&mut fed[0]), ["away"]);
    tokio::time::advance(BROADCASTER_AWAY_TIME_MAX).await;
    streams.tick(Instant::now());
    assert_eq!((events(&mut fed[0]), events(&mut waits)), (vec!["not live"], vec!["ended"]));

    let (_viewer, upstream) = edge(&streams);
    assert_eq!(streams.feed(id(1), &name("origin")).unwrap_err(), Refused::Circle);
    let mut below = streams.feed(id(1), &name("edge")).unwrap();
    assert_eq!(events(&mut below), ["watching", "viewers", "media"]);
    let deepest = streams.pull(id(1), origin(3, &["origin", "a", "b"])).unwrap();
    assert_eq!(events(&mut below), ["watching"], "the way is another");
    assert_eq!(streams.feed(id(1), &name("edge")).unwrap_err(), Refused::TooManyRelays);
    drop((upstream, deepest));
    assert_eq!(streams.feed(id(1), &name("edge")).unwrap_err(), Refused::NotLive);
}

#[tokio::test(start_paused = true)]
async fn edge_lets_go_of_what_nobody_watches() {
    let streams = streams();
    let (viewer, seat) = edge(&streams);
    let below = streams.feed(id(1), &name("edge")).unwrap();
    assert!(!streams.let_go(id(1), Instant::now()));
    drop(viewer);
    assert!(!streams.let_go(id(1), Instant::now()), "another relay gets it");
    drop(below);
    assert!(streams.let_go(id(1), Instant::now()));
    assert_eq!(pushed(&seat, MediaKind::Chunk, 8), Err(PushError::Ended));
    assert!(streams.report().streams.is_empty() && streams.let_go(id(1), Instant::now()));
    // Older publishers do not come back by it.
    assert_eq!(streams.publish(id(1), 2, tracks(), Instant::now()).unwrap_err(), Refused::StaleEpoch);
    // One whose broadcaster is away for a moment stays.
    drop(streams.publish(id(1), 3, tracks(), Instant::now()).unwrap());
    assert!(streams.let_go(id(1), Instant::now()));
    assert_eq!(streams.report().streams.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn end_that_the_directory_orders_is_none_for_those_whose_stream_goes_on_elsewhere() {
    let streams = streams();
    let (mut viewer, seat) = edge(&streams);
    events(&mut viewer);
    assert!(!streams.end_as_ordered(id(1), Instant::now()), "its upstream says when it is over");
    drop(seat);
    assert!(streams.end_as_ordered(id(1), Instant::now()));
    assert_eq!(events(&mut viewer), ["not live"]);
    drop(viewer);
    let seat = streams.publish(id(2), 1, tracks(), Instant::now()).unwrap();
    let mut viewer = streams.watch(id(2), new_viewer(), Instant::now(), 0).unwrap();
    seat.move_to(vec![], Instant::now()).unwrap();
    assert!(streams.end_as_ordered(id(2), Instant::now()));
    assert_eq!(events(&mut viewer), ["not live"]);
    drop((viewer, seat));
    let _seat = streams.publish(id(2), 1, tracks(), Instant::now()).unwrap();
    let mut viewer = streams.watch(id(2), new_viewer(), Instant::now(), 0).unwrap();
    assert!(streams.end_as_ordered(id(2), Instant::now()));
    assert_eq!(events(&mut viewer), ["ended"]);
}

#[tokio::test(start_paused = true)]
async fn viewers_of_an_edge_that_is_to_be_empty_are_sent_away_and_those_of_an_origin_follow_its_broadcaster() {
    let streams = streams();
    let (mut viewer, _upstream) = edge(&streams);
    let _seat = streams.publish(id(2), 1, tracks(), Instant::now()).unwrap();
    let mut other = streams.watch(id(2), new_viewer(), Instant::now(), 0).unwrap();
    events(&mut viewer);
    events(&mut other);
    streams.send_edge_viewers_away(Instant::now());
    tokio::time::advance(SECOND).await;
    streams.send_edge_viewers_away(Instant::now());
    assert_eq!((events(&mut viewer), events(&mut other)), (vec!["move"], vec![]));
}
