//! One stream on several relays.

use std::time::{Duration, Instant};

use protocol::{ErrorCode, MediaKind, http::RelayAddress, limits::EDGE_IDLE_TIME_MAX, ticket::Grant};
use serde_json::{Value, json};
use webtransport::Transport;

use crate::{
    driver::{Got, PICTURE, Peer, SOUND, TestRelay, header, stream},
    fleet::{Fleet, address_by, broadcaster, by_both, publish, viewer, watch},
    hole::Hole,
    webtransport_caller::Caller,
};

by_both!(
    edge_serves_its_viewers_a_stream_that_it_pulls_once,
    first_viewer_of_an_edge_is_not_told_that_the_broadcaster_is_away,
    sealed_media_and_flags_without_a_meaning_come_through_an_edge_byte_for_byte,
    every_track_comes_to_an_edge_and_its_viewers_choose,
    tree_has_a_bounded_depth,
    relays_do_not_pull_in_circles,
    edge_goes_to_the_next_upstream_and_nothing_comes_twice,
    silent_upstream_is_replaced,
    edge_follows_a_stream_that_moves_without_a_gap,
    newer_ticket_of_a_viewer_brings_new_upstreams,
    loss_of_the_only_upstream_is_told_when_it_lasts,
    silence_of_the_only_upstream_is_told_when_it_lasts_and_its_return_is_seen,
    absence_of_the_broadcaster_and_its_end_are_told_on,
    edge_lets_go_some_seconds_after_its_last_viewer,
    broadcaster_that_comes_to_an_edge_makes_it_the_origin,
    key_frames_that_viewers_of_an_edge_wait_for_are_asked_of_the_broadcaster,
    edge_pulls_over_tls_and_dials_where_it_is_told_to,
    broadcaster_that_comes_back_with_other_tracks_is_followed,
);

/// An origin with a broadcaster who has sent something, and an edge.
struct Pair {
    fleet: Fleet,
    origin: TestRelay,
    edge: TestRelay,
    broadcaster: Peer,
    by: Transport,
}

impl Pair {
    async fn new(by: Transport) -> Self {
        let fleet = Fleet::new();
        let (origin, edge) = (fleet.relay("origin").await, fleet.relay("edge").await);
        let mut broadcaster = broadcaster(&origin, "origin", 1).await;
        begin(&mut broadcaster).await;
        Self { fleet, origin, edge, broadcaster, by }
    }

    async fn viewer(&self) -> Peer {
        viewer(&self.edge, "edge", &[address_by(self.by, "origin", &self.origin)]).await.0
    }
}

/// Init segments, and a segment of two chunks of each track.
async fn begin(broadcaster: &mut Peer) {
    for track in [PICTURE, SOUND] {
        broadcaster.init(track).await;
    }
    for chunk in 0..2 {
        for track in [PICTURE, SOUND] {
            broadcaster.chunk(track, 0, chunk).await;
        }
    }
}

const BEGINNING: [&str; 6] = ["init of 1", "1/0/0", "init of 2", "2/0/0", "1/0/1", "2/0/1"];

/// The next text messages, but for the signs of life, until media comes.
async fn texts_until_media(peer: &mut Peer) -> (Vec<Value>, String) {
    let mut texts = vec![];
    loop {
        match peer.next().await {
            Got::Text(text) if text["type"] == "viewers" => {}
            Got::Text(text) => texts.push(text),
            Got::Media(_, payload) => return (texts, String::from_utf8(payload).unwrap()),
            Got::Closed(code) => panic!("closed ({code:?}), after {texts:?}"),
        }
    }
}

async fn edge_serves_its_viewers_a_stream_that_it_pulls_once(by: Transport) {
    let mut pair = Pair::new(by).await;
    let hole = Hole::before(&pair.origin).await;
    hole.swallow_connections(by == Transport::Webtransport);
    let begun = Instant::now();
    let far = hole.to(address_by(by, "origin", &pair.origin));
    let (mut first, watching) = viewer(&pair.edge, "edge", &[far]).await;
    assert_eq!((&watching["path"], &watching["epoch"]), (&json!(["origin", "edge"]), &json!(1)));
    assert_eq!(watching["selected"], json!([1, 2]));
    let mut beginning = first.payloads(6).await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    beginning.sort();
    let mut expected = BEGINNING;
    expected.sort_unstable();
    assert_eq!(beginning, expected);
    pair.broadcaster.chunk(PICTURE, 1, 0).await;
    assert_eq!(first.payloads(1).await, ["1/1/0"]);
    // A late joiner begins at once, with what the edge holds.
    let mut late = pair.viewer().await;
    let got = late.payloads(5).await;
    assert!(got.contains(&"1/1/0".to_owned()) && !got.contains(&"1/0/0".to_owned()), "{got:?}");
    pair.broadcaster.chunk(PICTURE, 1, 1).await;
    assert_eq!(late.payloads(1).await, ["1/1/1"]);
    assert_eq!(first.payloads(1).await, ["1/1/1"]);
    // The origin has one more to serve, who is no viewer.
    pair.origin.metrics_say("relay_edges 1").await;
    pair.origin.metrics_say("relay_viewers 0").await;
    pair.edge.metrics_say("relay_pulls 1").await;
    pair.edge.metrics_say("relay_upstream_chunks_in_total 6").await;
    let sessions = usize::from(by == Transport::Webtransport);
    pair.edge.metrics_say(&format!("relay_webtransport_upstreams {sessions}")).await;
    pair.origin.metrics_say(&format!("relay_webtransport_sessions {sessions}")).await;
}

async fn first_viewer_of_an_edge_is_not_told_that_the_broadcaster_is_away(by: Transport) {
    let pair = Pair::new(by).await;
    let grant = watch(&pair.edge, 1, &["edge"], &[address_by(by, "origin", &pair.origin)]);
    let mut peer = pair.edge.hello_with(&grant).await;
    let (texts, _) = texts_until_media(&mut peer).await;
    let types: Vec<_> = texts.iter().map(|text| text["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["watching"]);
}

async fn sealed_media_and_flags_without_a_meaning_come_through_an_edge_byte_for_byte(by: Transport) {
    let mut pair = Pair::new(by).await;
    let mut viewer = pair.viewer().await;
    viewer.payloads(6).await;
    let mut message = header(MediaKind::Chunk, PICTURE, 7, 0, u64::MAX).message(&[0xab; 2_000_000]);
    message[1] |= 0xfe;
    pair.broadcaster.throw(tokio_tungstenite::tungstenite::Message::binary(message.clone())).await;
    loop {
        use futures_util::StreamExt as _;
        if let tokio_tungstenite::tungstenite::Message::Binary(bytes) = viewer.socket.next().await.unwrap().unwrap() {
            assert!(bytes == message);
            return;
        }
    }
}

async fn every_track_comes_to_an_edge_and_its_viewers_choose(by: Transport) {
    let fleet = Fleet::new();
    let (origin, edge) = (fleet.relay("origin").await, fleet.relay("edge").await);
    let mut broadcaster = origin.connect().await;
    let ticket = origin.sign(&publish(&origin, "origin", stream(1), 1));
    let tracks = json!([{"track": 1, "kind": "video", "codec": "a"}, {"track": 3, "kind": "video", "codec": "b"}]);
    broadcaster.say(json!({"type": "register_new_stream", "protocol": 1, "ticket": ticket, "tracks": tracks})).await;
    broadcaster.text("stream_registered").await;
    let small = protocol::TrackNumber(3);
    for track in [PICTURE, small] {
        broadcaster.init(track).await;
        broadcaster.chunk(track, 0, 0).await;
    }
    let (mut viewer, watching) = viewer(&edge, "edge", &[address_by(by, "origin", &origin)]).await;
    assert_eq!(watching["selected"], json!([1]));
    assert_eq!(viewer.payloads(2).await, ["init of 1", "1/0/0"]);
    viewer.say(json!({"type": "select_track", "track": 3})).await;
    viewer.text("viewers").await;
    for track in [PICTURE, small] {
        broadcaster.chunk(track, 1, 0).await;
    }
    assert_eq!(viewer.text("watching").await["selected"], json!([3]));
    assert_eq!(viewer.payloads(2).await, ["init of 3", "3/1/0"]);
}

async fn tree_has_a_bounded_depth(by: Transport) {
    let fleet = Fleet::new();
    let names = ["origin", "a", "b", "c", "d"];
    let mut relays = vec![];
    for name in names {
        relays.push(fleet.relay(name).await);
    }
    let mut broadcaster = broadcaster(&relays[0], "origin", 1).await;
    begin(&mut broadcaster).await;
    let mut viewers = vec![];
    for depth in 1..=3 {
        let (mut viewer, watching) =
            viewer(&relays[depth], names[depth], &[address_by(by, names[depth - 1], &relays[depth - 1])]).await;
        assert_eq!(watching["path"], json!(names[..=depth]));
        viewer.payloads(6).await;
        viewers.push(viewer);
    }
    broadcaster.chunk(PICTURE, 1, 0).await;
    for viewer in &mut viewers {
        assert_eq!(viewer.payloads(1).await, ["1/1/0"]);
    }
    let mut beyond = relays[4].hello_with(&watch(&relays[4], 1, &["d"], &[address_by(by, "c", &relays[3])])).await;
    relays[4].metrics_say("relay_upstream_failures_total{reason=\"too_many_relays\"} 1").await;
    assert_eq!(beyond.text("broadcaster").await["present"], false);
    // With another one in its list it finds the stream.
    let ups = [address_by(by, "c", &relays[3]), address_by(by, "b", &relays[2])];
    beyond.renew(&relays[4].sign(&Grant { viewer: None, ..watch(&relays[4], 1, &["d"], &ups) })).await;
    beyond.ends_with(ErrorCode::TicketInvalid).await;
    let (mut viewer, watching) = viewer(&relays[4], "d", &ups).await;
    assert_eq!(watching["path"], json!(["origin", "a", "b", "d"]));
    assert!(viewer.payloads(5).await.contains(&"1/1/0".to_owned()));
}

async fn relays_do_not_pull_in_circles(by: Transport) {
    let fleet = Fleet::new();
    let (origin, a, b) = (fleet.relay("origin").await, fleet.relay("a").await, fleet.relay("b").await);
    let mut sender = broadcaster(&origin, "origin", 1).await;
    begin(&mut sender).await;
    let (mut of_a, _) = viewer(&a, "a", &[address_by(by, "origin", &origin), address_by(by, "b", &b)]).await;
    let (mut of_b, _) = viewer(&b, "b", &[address_by(by, "a", &a)]).await;
    of_a.payloads(6).await;
    of_b.payloads(6).await;
    origin.stop();
    drop(sender);
    origin.stopped().await;
    // Neither has the stream but from the other, and both say so.
    while of_a.text("broadcaster").await["present"] != false {}
    while of_b.text("broadcaster").await["present"] != false {}
    // Where one of them gets it, both have it.
    let mut sender = broadcaster(&b, "b", 1).await;
    for track in [PICTURE, SOUND] {
        sender.init(track).await;
        sender.chunk(track, 1, 0).await;
    }
    while of_b.next_media().await.1 != "1/1/0" {}
    while of_a.next_media().await.1 != "1/1/0" {}
}

async fn edge_goes_to_the_next_upstream_and_nothing_comes_twice(by: Transport) {
    let fleet = Fleet::new();
    let (first, second) = (fleet.relay("first").await, fleet.relay("second").await);
    let edge = fleet.relay("edge").await;
    // During a move a broadcaster sends to both.
    let mut senders = [broadcaster(&first, "first", 1).await, broadcaster(&second, "second", 1).await];
    for sender in &mut senders {
        begin(sender).await;
    }
    let (mut viewer, _) =
        viewer(&edge, "edge", &[address_by(by, "first", &first), address_by(by, "second", &second)]).await;
    viewer.payloads(6).await;
    for sender in &mut senders {
        sender.chunk(PICTURE, 0, 2).await;
    }
    assert_eq!(viewer.payloads(1).await, ["1/0/2"]);
    first.stop();
    let begun = Instant::now();
    let [one, mut other] = senders;
    drop(one);
    first.stopped().await;
    second.metrics_say("relay_edges 1").await;
    other.chunk(PICTURE, 0, 3).await;
    other.chunk(PICTURE, 1, 0).await;
    // In the middle of a segment, without an init segment, and without a word.
    let (texts, payload) = texts_until_media(&mut viewer).await;
    assert_eq!((payload.as_str(), &texts[..]), ("1/0/3", &[][..]), "after {:?}", begun.elapsed());
    assert_eq!(viewer.payloads(1).await, ["1/1/0"]);
}

async fn silent_upstream_is_replaced(by: Transport) {
    let fleet = Fleet::new();
    let (first, second) = (fleet.relay("first").await, fleet.relay("second").await);
    let edge = fleet.relay("edge").await;
    let (mut one, mut other) = (broadcaster(&first, "first", 1).await, broadcaster(&second, "second", 1).await);
    begin(&mut one).await;
    begin(&mut other).await;
    let proxy = Hole::before(&first).await;
    let far = proxy.to(address_by(by, "first", &first));
    let (mut viewer, _) = viewer(&edge, "edge", &[far, address_by(by, "second", &second)]).await;
    viewer.payloads(6).await;
    proxy.swallow(true);
    let begun = Instant::now();
    let mut chunk = 1;
    loop {
        chunk += 1;
        one.chunk(PICTURE, 0, chunk).await;
        other.chunk(PICTURE, 0, chunk).await;
        if let Ok(message) = tokio::time::timeout(Duration::from_millis(50), viewer.next_media()).await {
            assert_eq!(message.1, "1/0/2");
            break;
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    for expected in 3..=chunk {
        assert_eq!(viewer.payloads(1).await, [format!("1/0/{expected}")]);
    }
}

async fn edge_follows_a_stream_that_moves_without_a_gap(by: Transport) {
    let fleet = Fleet::new();
    let (old, new) = (fleet.relay("old").await, fleet.relay("new").await);
    let edge = fleet.relay("edge").await;
    let mut sender = broadcaster(&old, "old", 1).await;
    begin(&mut sender).await;
    let (mut viewer, _) = viewer(&edge, "edge", &[address_by(by, "old", &old), address_by(by, "new", &new)]).await;
    viewer.payloads(6).await;
    // Make before break: from segment 1 on both get everything.
    let mut sender_of_new = broadcaster(&new, "new", 2).await;
    for track in [PICTURE, SOUND] {
        sender_of_new.init(track).await;
        for sender in [&mut sender_of_new, &mut sender] {
            sender.chunk(track, 1, 0).await;
        }
    }
    let elsewhere = json!([{"name": "new", "url": "ws://not-believed.example/ws"}]);
    sender.say(json!({"type": "moving", "relays": elsewhere})).await;
    new.metrics_say("relay_edges 1").await;
    old.metrics_say("relay_edges 0").await;
    drop(sender);
    for track in [PICTURE, SOUND] {
        sender_of_new.chunk(track, 1, 1).await;
    }
    let mut got = viewer.payloads(4).await;
    got.sort();
    assert_eq!(got, ["1/1/0", "1/1/1", "2/1/0", "2/1/1"], "no init segment, nothing twice, nothing lost");
    edge.metrics_say("relay_pulls 1").await;
}

async fn newer_ticket_of_a_viewer_brings_new_upstreams(by: Transport) {
    let fleet = Fleet::new();
    let (old, new) = (fleet.relay("old").await, fleet.relay("new").await);
    let edge = fleet.relay("edge").await;
    let mut sender = broadcaster(&old, "old", 1).await;
    begin(&mut sender).await;
    let grant = watch(&edge, 1, &["edge"], &[address_by(by, "old", &old)]);
    let mut viewer = edge.viewer_with(&grant).await;
    viewer.payloads(6).await;
    old.stop();
    drop(sender);
    old.stopped().await;
    assert_eq!(viewer.text("broadcaster").await["present"], false);
    let mut sender = broadcaster(&new, "new", 2).await;
    let renewed = Grant { epoch: 2, upstream: vec![address_by(by, "new", &new)], ..grant };
    viewer.renew(&edge.sign(&renewed)).await;
    for track in [PICTURE, SOUND] {
        sender.init(track).await;
        sender.chunk(track, 1, 0).await;
    }
    while viewer.next_media().await.1 != "1/1/0" {}
}

async fn loss_of_the_only_upstream_is_told_when_it_lasts(by: Transport) {
    let pair = Pair::new(by).await;
    let mut viewer = pair.viewer().await;
    viewer.payloads(6).await;
    let begun = Instant::now();
    pair.origin.stop();
    drop(pair.broadcaster);
    pair.origin.stopped().await;
    assert_eq!(viewer.text("broadcaster").await["present"], false);
    assert!(begun.elapsed() > Duration::from_millis(900), "{:?}", begun.elapsed());
}

async fn silence_of_the_only_upstream_is_told_when_it_lasts_and_its_return_is_seen(by: Transport) {
    let mut pair = Pair::new(by).await;
    let hole = Hole::before(&pair.origin).await;
    let far = hole.to(address_by(by, "origin", &pair.origin));
    let (mut viewer, _) = viewer(&pair.edge, "edge", &[far]).await;
    viewer.payloads(6).await;
    hole.swallow(true);
    assert_eq!(viewer.text("broadcaster").await["present"], false);
    pair.edge.metrics_say("relay_pulls 0").await;
    hole.swallow(false);
    assert_eq!(viewer.text("broadcaster").await["present"], true);
    pair.broadcaster.chunk(PICTURE, 0, 2).await;
    assert_eq!(viewer.payloads(1).await, ["1/0/2"]);
}

async fn absence_of_the_broadcaster_and_its_end_are_told_on(by: Transport) {
    let mut pair = Pair::new(by).await;
    let mut viewer = pair.viewer().await;
    viewer.payloads(6).await;
    drop(pair.broadcaster);
    assert_eq!(viewer.text("broadcaster").await["present"], false);
    pair.broadcaster = broadcaster(&pair.origin, "origin", 2).await;
    begin(&mut pair.broadcaster).await;
    assert_eq!(viewer.text("broadcaster").await["present"], true);
    pair.broadcaster.chunk(PICTURE, 1, 0).await;
    while viewer.next_media().await.1 != "1/1/0" {}
    pair.broadcaster.say(json!({"type": "end_stream"})).await;
    viewer.text("stream_ended").await;
    pair.edge.metrics_say("relay_streams 0").await;
}

async fn edge_lets_go_some_seconds_after_its_last_viewer(by: Transport) {
    let mut pair = Pair::new(by).await;
    let mut viewer = pair.viewer().await;
    viewer.payloads(6).await;
    let begun = Instant::now();
    drop(viewer);
    pair.origin.metrics_say("relay_edges 0").await;
    let took = begun.elapsed();
    assert!(took >= EDGE_IDLE_TIME_MAX && took < EDGE_IDLE_TIME_MAX * 3, "{took:?}");
    pair.edge.metrics_say("relay_pulls 0").await;
    pair.edge.metrics_say("relay_streams 0").await;
    // And it begins again.
    pair.broadcaster.chunk(PICTURE, 1, 0).await;
    let mut viewer = pair.viewer().await;
    while viewer.next_media().await.1 != "1/1/0" {}
}

async fn broadcaster_that_comes_to_an_edge_makes_it_the_origin(by: Transport) {
    let pair = Pair::new(by).await;
    let mut viewer = pair.viewer().await;
    viewer.payloads(6).await;
    let mut sender = broadcaster(&pair.edge, "edge", 1).await;
    pair.origin.metrics_say("relay_edges 0").await;
    // It begins with the segment that is under way, of which the viewer has had the first two chunks.
    sender.init(PICTURE).await;
    for chunk in 0..3 {
        sender.chunk(PICTURE, 0, chunk).await;
    }
    sender.chunk(PICTURE, 1, 0).await;
    let (texts, payload) = texts_until_media(&mut viewer).await;
    assert_eq!((payload.as_str(), &texts[..]), ("1/0/2", &[][..]), "nothing twice, and without a word");
    assert_eq!(viewer.payloads(1).await, ["1/1/0"]);
    pair.edge.metrics_say("relay_pulls 0").await;
    // The old origin may be an edge of the new one.
    drop(pair.broadcaster);
    let (mut other, watching) = {
        let grant = watch(&pair.origin, 1, &["origin"], &[address_by(by, "edge", &pair.edge)]);
        let mut peer = pair.origin.hello_with(&grant).await;
        loop {
            let watching = peer.text("watching").await;
            if watching["path"].as_array().is_some_and(|path| path.len() == 1) {
                break (peer, watching);
            }
        }
    };
    assert_eq!(watching["path"], json!(["origin"]), "viewers are told of the way once");
    while other.next_media().await.1 != "1/1/0" {}
    drop(pair.fleet);
}

async fn key_frames_that_viewers_of_an_edge_wait_for_are_asked_of_the_broadcaster(by: Transport) {
    let fleet = Fleet::new();
    let origin = fleet.relay("origin").await;
    let edge = fleet.relay_with("edge", |config| config.capacity.window_bytes = 50_000).await;
    let mut broadcaster = broadcaster(&origin, "origin", 1).await;
    broadcaster.init(PICTURE).await;
    broadcaster.chunk(PICTURE, 0, 0).await;
    let (mut first, _) = viewer(&edge, "edge", &[address_by(by, "origin", &origin)]).await;
    first.payloads(2).await;
    for chunk in 1..20 {
        broadcaster.media(header(MediaKind::Chunk, PICTURE, 0, chunk, 0), &[0; 10_000]).await;
        first.next_media().await;
    }
    let (mut second, _) = viewer(&edge, "edge", &[address_by(by, "origin", &origin)]).await;
    assert_eq!(broadcaster.text("key_frame_wanted").await["track"], 1);
    broadcaster.chunk(PICTURE, 1, 0).await;
    assert_eq!(second.payloads(2).await, ["init of 1", "1/1/0"]);
}

async fn edge_pulls_over_tls_and_dials_where_it_is_told_to(by: Transport) {
    let fleet = Fleet::new();
    let url: url::Url = "wss://origin.example/ws".parse().unwrap();
    let maker = fleet
        .relay_with("maker", |config| {
            config.door.tls.tls = Some(service::tls::OwnTls::SelfSigned);
            config.public_url = Some(url.clone());
        })
        .await;
    let (ca, key) = (maker.folder.path().join("tls/cert.pem"), maker.folder.path().join("tls/key.pem"));
    let origin = fleet
        .relay_with("origin", |config| {
            config.door.tls.tls_cert = Some(ca.clone());
            config.door.tls.tls_key = Some(key);
            config.public_url = Some(url.clone());
        })
        .await;
    let trusted = service::tls::client_config(Some(&ca)).unwrap();
    let real = format!("origin.example:443:127.0.0.1:{}", origin.address.port());
    let edge = fleet
        .relay_with("edge", |config| {
            config.ca = Some(ca);
            config.connect_to = vec![real.parse().unwrap()];
        })
        .await;
    let mut broadcaster = Peer::connect_tls(origin.address, tokio_tungstenite::Connector::Rustls(trusted)).await;
    let ticket = origin.sign(&publish(&origin, "origin", stream(1), 1));
    let tracks = crate::driver::tracks();
    broadcaster.say(json!({"type": "register_new_stream", "protocol": 1, "ticket": ticket, "tracks": tracks})).await;
    broadcaster.text("stream_registered").await;
    begin(&mut broadcaster).await;
    let public = RelayAddress { url, ..address_by(by, "origin", &origin) };
    let (mut peer, _) = viewer(&edge, "edge", std::slice::from_ref(&public)).await;
    peer.payloads(6).await;
    // Who does not trust the certificate gets nothing.
    let stranger = fleet.relay_with("stranger", |config| config.connect_to = vec![real.parse().unwrap()]).await;
    let mut waits = stranger.hello_with(&watch(&stranger, 1, &["stranger"], &[public])).await;
    assert_eq!(waits.text("broadcaster").await["present"], false);
}

async fn broadcaster_that_comes_back_with_other_tracks_is_followed(by: Transport) {
    let mut pair = Pair::new(by).await;
    let mut viewer = pair.viewer().await;
    viewer.payloads(6).await;
    drop(pair.broadcaster);
    pair.broadcaster = pair.origin.connect().await;
    let ticket = pair.origin.sign(&publish(&pair.origin, "origin", stream(1), 2));
    let tracks = json!([{"track": 1, "kind": "video", "codec": "another"}]);
    let hello = json!({"type": "register_new_stream", "protocol": 1, "ticket": ticket, "tracks": tracks});
    pair.broadcaster.say(hello).await;
    pair.broadcaster.text("stream_registered").await;
    pair.broadcaster.init(PICTURE).await;
    pair.broadcaster.chunk(PICTURE, 0, 0).await;
    assert_eq!(viewer.text("watching").await["tracks"][0]["codec"], "another");
    assert_eq!(viewer.payloads(2).await, ["init of 1", "1/0/0"]);
    pair.broadcaster.chunk(PICTURE, 0, 1).await;
    assert_eq!(viewer.payloads(1).await, ["1/0/1"]);
}

#[tokio::test]
async fn network_that_swallows_udp_is_pulled_through_by_websocket() {
    let mut pair = Pair::new(Transport::Webtransport).await;
    let hole = Hole::before(&pair.origin).await;
    hole.swallow_datagrams(true);
    let far = hole.to(address_by(pair.by, "origin", &pair.origin));
    let (mut viewer, _) = viewer(&pair.edge, "edge", &[far]).await;
    viewer.payloads(6).await;
    pair.broadcaster.chunk(PICTURE, 1, 0).await;
    assert_eq!(viewer.payloads(1).await, ["1/1/0"]);
    pair.edge.metrics_say("relay_webtransport_upstreams 0").await;
    pair.edge.metrics_say("relay_pulls 1").await;
    // Nothing has failed.
    let metrics = pair.edge.get(pair.edge.internal, "/metrics").await.1;
    assert!(!metrics.contains("relay_upstream_failures_total{"), "{metrics}");
}

#[tokio::test]
async fn session_that_falls_silent_is_replaced_by_a_websocket_without_a_gap() {
    let mut pair = Pair::new(Transport::Webtransport).await;
    let hole = Hole::before(&pair.origin).await;
    hole.swallow_connections(true);
    let far = hole.to(address_by(pair.by, "origin", &pair.origin));
    let (mut viewer, _) = viewer(&pair.edge, "edge", &[far]).await;
    viewer.payloads(6).await;
    pair.edge.metrics_say("relay_webtransport_upstreams 1").await;
    hole.swallow_connections(false);
    hole.swallow_datagrams(true);
    for chunk in 2..5 {
        pair.broadcaster.chunk(PICTURE, 0, chunk).await;
    }
    let (texts, payload) = texts_until_media(&mut viewer).await;
    assert_eq!((payload.as_str(), &texts[..]), ("1/0/2", &[][..]), "there is nobody else, and nobody is told");
    assert_eq!(viewer.payloads(2).await, ["1/0/3", "1/0/4"]);
    pair.edge.metrics_say("relay_webtransport_upstreams 0").await;
    pair.edge.metrics_say("relay_pulls 1").await;
}

#[tokio::test]
async fn relay_that_has_died_is_left_although_nobody_says_so_by_udp() {
    let pair = Pair::new(Transport::Webtransport).await;
    let (other, mut sender) = {
        let other = pair.fleet.relay("other").await;
        let sender = broadcaster(&other, "other", 1).await;
        (other, sender)
    };
    begin(&mut sender).await;
    let hole = Hole::before(&pair.origin).await;
    hole.swallow_connections(true);
    let far = hole.to(address_by(pair.by, "origin", &pair.origin));
    let ups = [far, address_by(pair.by, "other", &other)];
    let (mut viewer, _) = viewer(&pair.edge, "edge", &ups).await;
    viewer.payloads(6).await;
    pair.edge.metrics_say("relay_webtransport_upstreams 1").await;
    hole.swallow_connections(false);
    // Its machine is there, and nobody at its ports.
    hole.swallow_datagrams(true);
    hole.close();
    pair.edge.metrics_say("relay_upstream_failures_total{reason=\"closed\"} 1").await;
    sender.chunk(PICTURE, 0, 2).await;
    assert_eq!(viewer.payloads(1).await, ["1/0/2"]);
    // Who comes now is not kept waiting for it.
    let late = pair.fleet.relay("late").await;
    let mut peer = late.hello_with(&watch(&late, 1, &["late"], &ups[..1])).await;
    late.metrics_say("relay_upstream_failures_total{reason=\"unreached\"} 3").await;
    assert_eq!(peer.text("broadcaster").await["present"], false);
}

#[tokio::test]
async fn relay_without_webtransport_pulls_by_websocket() {
    let fleet = Fleet::new();
    let origin = fleet.relay("origin").await;
    let edge = fleet.relay_with("edge", |config| config.webtransport.no_webtransport = true).await;
    let mut broadcaster = broadcaster(&origin, "origin", 1).await;
    begin(&mut broadcaster).await;
    let (mut viewer, _) = viewer(&edge, "edge", &[address_by(Transport::Webtransport, "origin", &origin)]).await;
    viewer.payloads(6).await;
    origin.metrics_say("relay_webtransport_sessions 0").await;
}

#[tokio::test]
async fn edge_serves_viewers_of_both_kinds_whatever_it_pulls_by() {
    for by in [Transport::Websocket, Transport::Webtransport] {
        let mut pair = Pair::new(by).await;
        let mut by_socket = pair.viewer().await;
        by_socket.payloads(6).await;
        let grant = watch(&pair.edge, 1, &["edge"], &[address_by(by, "origin", &pair.origin)]);
        let mut by_session = Caller::hello_with(&pair.edge, &grant).await;
        by_session.text("watching").await;
        pair.broadcaster.chunk(PICTURE, 1, 0).await;
        let [pictures, sounds] = by_session.payloads_until(["1/1/0", "2/0/1"]).await;
        assert_eq!(
            (pictures.last().unwrap(), &sounds[..]),
            (&"1/1/0".into(), &["init of 2", "2/0/0", "2/0/1"].map(String::from)[..])
        );
        assert_eq!(by_socket.payloads(1).await, ["1/1/0"]);
    }
}

#[tokio::test]
async fn line_that_loses_packets_costs_an_edge_no_chunk() {
    let mut pair = Pair::new(Transport::Webtransport).await;
    let hole = Hole::before(&pair.origin).await;
    hole.loses_every(20);
    hole.swallow_connections(true);
    let far = hole.to(address_by(pair.by, "origin", &pair.origin));
    let (mut viewer, _) = viewer(&pair.edge, "edge", &[far]).await;
    viewer.payloads(6).await;
    pair.edge.metrics_say("relay_webtransport_upstreams 1").await;
    hole.swallow_connections(false);
    for segment in 1..4 {
        for chunk in 0..30 {
            pair.broadcaster
                .media(header(MediaKind::Chunk, PICTURE, segment, chunk, 0), &[segment as u8; 10_000])
                .await;
            let (got, _) = viewer.next_media().await;
            assert_eq!((got.segment, got.chunk), (segment, chunk));
        }
    }
}
