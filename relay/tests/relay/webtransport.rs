//! What people live through who speak to a relay by WebTransport.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use protocol::{
    ErrorCode, MediaHeader, MediaKind, TrackNumber,
    framing::framed,
    limits::CONTROL_BYTES_MAX,
    ticket::{Action, Grant},
    webtransport::STREAM_SKIPPED,
};
use relay::{data_dir::DataDir, webtransport::certificate::OwnCertificates};
use serde_json::json;
use service::tls::OwnTls;
use tokio::time::timeout;
use webtransport::{Client, Session, Trust, codes};
use wtransport::tls::{
    Sha256Digest,
    client::{ServerHashVerification, build_default_tls_config},
    rustls::RootCertStore,
};

use crate::{
    driver::{PATIENCE, PICTURE, SOUND, TestRelay, header, now_s, stream, tracks},
    edge_proofs::Puller,
    fleet::{self, Fleet},
    stub::Directory,
    webtransport_caller::{Caller, connect},
};

const DAY_S: u64 = 24 * 3600;

#[tokio::test]
async fn viewer_gets_everything_and_a_late_joiner_begins_with_the_newest_segment() {
    let relay = TestRelay::start().await;
    let mut broadcaster = relay.publisher(stream(1), 1).await;
    let mut early = Caller::viewer(&relay, stream(1)).await;
    for track in [PICTURE, SOUND] {
        broadcaster.init(track).await;
    }
    for segment in 0..3 {
        for chunk in 0..2 {
            broadcaster.chunk(PICTURE, segment, chunk).await;
            broadcaster.chunk(SOUND, segment, chunk).await;
        }
    }
    let all = |track: u32| {
        let chunks = (0..3).flat_map(move |segment| (0..2).map(move |chunk| format!("{track}/{segment}/{chunk}")));
        [format!("init of {track}")].into_iter().chain(chunks).collect::<Vec<_>>()
    };
    assert_eq!(early.payloads_until(["1/2/1", "2/2/1"]).await, [all(1), all(2)]);
    let mut late = Caller::viewer(&relay, stream(1)).await;
    assert_eq!(
        late.payloads_until(["1/2/1", "2/2/1"]).await,
        [["init of 1", "1/2/0", "1/2/1"], ["init of 2", "2/2/0", "2/2/1"]]
    );
    broadcaster.chunk(PICTURE, 2, 2).await;
    assert_eq!(late.payloads_until(["1/2/2"]).await, [["1/2/2"]]);
    relay.metrics_say("relay_webtransport_sessions 2").await;
    relay.metrics_say("relay_viewers 2").await;
    relay.metrics_say("relay_chunks_out_total 18").await;
}

#[tokio::test]
async fn broadcaster_is_seen_by_viewers_of_both_kinds_and_told_what_arrives() {
    let relay = TestRelay::start().await;
    let mut broadcaster = Caller::publisher(&relay, stream(1)).await;
    let mut by_socket = relay.viewer(stream(1)).await;
    let mut by_session = Caller::viewer(&relay, stream(1)).await;
    for segment in 0..2 {
        for chunk in 0..2 {
            broadcaster.chunk(PICTURE, segment, chunk).await;
        }
    }
    let all = ["init of 1", "1/0/0", "1/0/1", "1/1/0", "1/1/1"];
    assert_eq!(by_socket.payloads(5).await, all);
    assert_eq!(by_session.payloads_until(["1/1/1"]).await, [all]);
    while broadcaster.text("received").await["chunks"] != 4 {}
    while broadcaster.text("viewers").await["count"] != 2 {}
}

#[tokio::test]
async fn last_chunk_of_a_stream_is_seen_before_its_end() {
    let relay = TestRelay::start().await;
    let mut broadcaster = Caller::publisher(&relay, stream(1)).await;
    let mut viewer = Caller::viewer(&relay, stream(1)).await;
    for chunk in 0..200 {
        broadcaster.chunk(PICTURE, 0, chunk).await;
    }
    timeout(PATIENCE, broadcaster.outbox.finish()).await.unwrap().unwrap();
    broadcaster.say(json!({"type": "end_stream"})).await;
    assert_eq!(viewer.payloads_until(["1/0/199"]).await[0].len(), 201);
    viewer.text("stream_ended").await;
}

#[tokio::test]
async fn viewer_who_takes_nothing_skips_to_the_newest_key_frame_and_the_old_segment_is_reset() {
    let relay = TestRelay::start().await;
    let mut broadcaster = relay.publisher(stream(1), 1).await;
    let mut quick = relay.viewer(stream(1)).await;
    let mut slow = Caller::viewer(&relay, stream(1)).await;
    broadcaster.init(PICTURE).await;
    // More than QUIC takes for one who does not read.
    for chunk in 0..150 {
        broadcaster.media(header(MediaKind::Chunk, PICTURE, 0, chunk, 0), &[7; 10_000]).await;
    }
    quick.payloads(151).await;
    let mut first = timeout(PATIENCE, slow.session.accept_stream()).await.unwrap().unwrap();
    // The rest is late by then.
    tokio::time::sleep(Duration::from_millis(500)).await;
    broadcaster.chunk(PICTURE, 1, 0).await;
    let skipped = slow.text("skipped").await;
    assert_eq!(skipped["track"], 1);
    let chunks = skipped["chunks"].as_u64().unwrap();
    assert!((20..=60).contains(&chunks), "about 500 of 1500 kB: {chunks}");
    let second = timeout(PATIENCE, slow.session.accept_stream()).await.unwrap().unwrap();
    assert_eq!(read(second).await.0, ["init of 1", "1/1/0"]);
    let (got, reset) = read_all(&mut first).await;
    assert_eq!(reset, Some(STREAM_SKIPPED));
    assert!(got < 150 - chunks as usize + 2, "{got}");
    relay.metrics_say(&format!("relay_chunks_skipped_total{{reason=\"behind\"}} {chunks}")).await;
}

/// The payloads of the first two messages of a stream.
async fn read(mut stream: wtransport::RecvStream) -> (Vec<String>, usize) {
    let mut frames = protocol::framing::FrameReader::new(1 << 20);
    let mut payloads = Vec::new();
    while payloads.len() < 2 {
        let chunk = timeout(PATIENCE, stream.quic_stream_mut().read_chunk(1 << 20, true)).await.unwrap();
        let mut piece = chunk.unwrap().unwrap().bytes;
        while let Some(message) = frames.next(&mut piece).unwrap() {
            payloads.push(String::from_utf8_lossy(MediaHeader::decode(&message).unwrap().1).into_owned());
        }
    }
    let count = payloads.len();
    (payloads, count)
}

/// How many messages of a stream come, and with which code it was reset.
async fn read_all(stream: &mut wtransport::RecvStream) -> (usize, Option<u32>) {
    let mut frames = protocol::framing::FrameReader::new(1 << 20);
    let mut count = 0;
    loop {
        match timeout(PATIENCE, stream.quic_stream_mut().read_chunk(1 << 20, true)).await.unwrap() {
            Ok(Some(chunk)) => {
                let mut piece = chunk.bytes;
                while frames.next(&mut piece).unwrap().is_some() {
                    count += 1;
                }
            }
            Ok(None) => return (count, None),
            Err(quinn::ReadError::Reset(code)) => return (count, codes::from_http3(code)),
            Err(error) => panic!("{error}"),
        }
    }
}

/// A stream as a broadcaster writes it that has a mind of its own.
async fn throw(session: &Session, messages: &[Bytes]) -> quinn::SendStream {
    let mut stream = session.quic().open_uni().await.unwrap();
    stream.write_all(&[0x40, 0x54, 0x00]).await.unwrap();
    for message in messages {
        stream.write_all(&framed(message)).await.unwrap();
    }
    stream
}

fn message(kind: MediaKind, segment: u32, chunk: u32) -> Bytes {
    let payload = if kind == MediaKind::Init { "init of 1".to_owned() } else { format!("1/{segment}/{chunk}") };
    header(kind, PICTURE, segment, chunk, 0).message(payload.as_bytes()).into()
}

#[tokio::test]
async fn segments_that_overtake_each_other_are_handed_on_in_order() {
    let relay = TestRelay::start().await;
    let broadcaster = Caller::publisher(&relay, stream(1)).await;
    let mut viewer = relay.viewer(stream(1)).await;
    let init = message(MediaKind::Init, 0, 0);
    let chunk = |segment, chunk| message(MediaKind::Chunk, segment, chunk);
    let mut first = throw(&broadcaster.session, &[init.clone(), chunk(0, 0)]).await;
    assert_eq!(viewer.payloads(2).await, ["init of 1", "1/0/0"]);
    let _second = throw(&broadcaster.session, &[init.clone(), chunk(1, 0)]).await;
    first.write_all(&framed(&chunk(0, 1))).await.unwrap();
    first.finish().unwrap();
    assert_eq!(viewer.payloads(2).await, ["1/0/1", "1/1/0"]);
}

#[tokio::test]
async fn broadcaster_that_breaks_the_rules_is_told_and_its_stream_waits_for_another() {
    for (messages, code) in [
        (vec![message(MediaKind::Chunk, 0, 0)], ErrorCode::WrongOrder),
        (vec![message(MediaKind::Init, 0, 0), message(MediaKind::Chunk, 0, 1)], ErrorCode::WrongOrder),
        (vec![Bytes::from_static(b"nothing")], ErrorCode::InvalidRequest),
    ] {
        let relay = TestRelay::start().await;
        let mut broadcaster = Caller::publisher(&relay, stream(1)).await;
        let _stream = throw(&broadcaster.session, &messages).await;
        broadcaster.ends_with(code).await;
        relay.publisher(stream(1), 1).await;
    }
}

#[tokio::test]
async fn wrong_tickets_are_refused_as_everywhere() {
    let relay = TestRelay::start().await;
    let _broadcaster = relay.publisher(stream(1), 1).await;
    let good = relay.grant(Action::Watch, stream(1), 0);
    let late = Grant { expires_at_s: now_s() - 3600, issued_at_s: now_s() - 7200, ..good.clone() };
    Caller::hello_with(&relay, &late).await.ends_with(ErrorCode::TicketExpired).await;
    let elsewhere = Grant { relays: vec!["relay-2".parse().unwrap()], ..good };
    Caller::hello_with(&relay, &elsewhere).await.ends_with(ErrorCode::TicketInvalid).await;
    let again = relay.grant(Action::Publish, stream(1), 1);
    Caller::hello_with(&relay, &again).await.ends_with(ErrorCode::PublisherPresent).await;
    let mut caller = Caller::connect(&relay).await;
    caller.say(json!({"type": "watch_stream", "protocol": 99, "ticket": "x"})).await;
    caller.ends_with(ErrorCode::UnsupportedProtocol).await;
    relay.metrics_say("relay_webtransport_sessions 0").await;
}

#[tokio::test]
async fn one_who_says_nothing_is_sent_away_in_time() {
    let short = |config: &mut relay::Config| config.first_message_time_max = Duration::from_millis(300);
    let relay = TestRelay::start_with(short).await;
    let mut caller = Caller::connect(&relay).await;
    // A stream of which nothing is written is not there yet.
    caller.control.send("x").await.unwrap();
    caller.ends_with(ErrorCode::InvalidRequest).await;
    let silent = Caller::connect(&relay).await;
    timeout(PATIENCE, silent.session.closed()).await.unwrap();
    assert_eq!(silent.session.close_code(), Some(ErrorCode::FirstMessageLate.close_code().into()));
}

#[tokio::test]
async fn message_over_its_limit_is_refused_before_it_has_come() {
    let relay = TestRelay::start().await;
    let _broadcaster = relay.publisher(stream(1), 1).await;
    let (_client, session) = connect(&relay, "/wt").await.unwrap();
    let (mut sender, mut receiver) = session.quic().open_bi().await.unwrap();
    sender.write_all(&[0x40, 0x41, 0x00]).await.unwrap();
    sender.write_all(&(CONTROL_BYTES_MAX as u32 + 1).to_be_bytes()).await.unwrap();
    let told = timeout(PATIENCE, receiver.read_to_end(10_000)).await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&told).contains("\"too_large\""), "{told:?}");
}

#[tokio::test]
async fn viewer_who_sends_media_is_sent_away() {
    let relay = TestRelay::start().await;
    let _broadcaster = relay.publisher(stream(1), 1).await;
    let mut viewer = Caller::viewer(&relay, stream(1)).await;
    let _stream = throw(&viewer.session, &[message(MediaKind::Init, 0, 0)]).await;
    viewer.ends_with(ErrorCode::InvalidRequest).await;
}

#[tokio::test]
async fn there_is_nothing_at_other_paths() {
    let relay = TestRelay::start().await;
    assert!(connect(&relay, "/").await.is_err());
    relay.metrics_say("relay_connections_refused_total{reason=\"not_found\"} 1").await;
}

#[tokio::test]
async fn sessions_and_sockets_of_one_address_are_counted_together() {
    let one = |config: &mut relay::Config| config.door.connections_per_address = 1;
    let relay = TestRelay::start_with(one).await;
    let socket = relay.connect().await;
    assert!(connect(&relay, "/wt").await.is_err());
    drop(socket);
    let session = timeout(PATIENCE, async {
        loop {
            if let Ok(session) = connect(&relay, "/wt").await {
                return session;
            }
        }
    });
    session.await.unwrap();
}

#[tokio::test]
async fn those_who_stop_within_the_handshake_keep_nobody_out() {
    let relay = TestRelay::start().await;
    let address = relay.webtransport.clone().unwrap();
    let hashes = address.certificate_hashes.iter().map(|hash| Sha256Digest::new(hash.0));
    let tls =
        build_default_tls_config(Arc::new(RootCertStore::empty()), Some(Arc::new(ServerHashVerification::new(hashes))));
    let tls = quinn::crypto::rustls::QuicClientConfig::try_from(tls).unwrap();
    let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(tls)));
    // More than are let in without having proved their address; none of them asks for a session.
    let mut stopped = Vec::new();
    for _ in 0..150 {
        let connecting = endpoint.connect(relay.address, "127.0.0.1").unwrap();
        stopped.push(timeout(PATIENCE, connecting).await.unwrap().unwrap());
    }
    let _broadcaster = relay.publisher(stream(1), 1).await;
    Caller::viewer(&relay, stream(1)).await;
    // They are given up by themselves.
    for connection in stopped {
        timeout(PATIENCE, connection.closed()).await.unwrap();
    }
    relay.metrics_say("relay_webtransport_failures_total 150").await;
}

#[tokio::test]
async fn another_relay_pulls_every_track_once_it_has_shown_what_it_has_to() {
    let fleet = Fleet::new();
    let origin = fleet.relay("origin").await;
    let mut broadcaster = fleet::broadcaster(&origin, "origin", 1).await;
    for track in [PICTURE, SOUND] {
        broadcaster.init(track).await;
        broadcaster.chunk(track, 0, 0).await;
    }
    let mut puller = Puller::new(fleet, "origin", &origin);
    let hello = puller.hello_message();
    let mut edge = Caller::connect(&origin).await;
    edge.say(hello.clone()).await;
    assert_eq!(edge.text("watching").await["path"], json!(["origin"]));
    assert_eq!(edge.payloads_until(["1/0/0", "2/0/0"]).await, [["init of 1", "1/0/0"], ["init of 2", "2/0/0"]]);
    edge.say(json!({"type": "key_frame_wanted", "track": 1})).await;
    assert_eq!(broadcaster.text("key_frame_wanted").await["track"], 1);
    let mut again = Caller::connect(&origin).await;
    again.say(hello).await;
    again.ends_with(ErrorCode::Unauthorized).await;
}

#[tokio::test]
async fn viewer_gets_another_picture_from_its_next_segment_on_behind_the_rest_of_the_one_before() {
    let relay = TestRelay::start().await;
    let small = TrackNumber(3);
    let mut tracks = tracks();
    let renditions = tracks.as_array_mut().unwrap();
    renditions.push(json!({"track": 3, "kind": "video", "codec": "avc1.4D401F", "width": 320, "height": 180}));
    let mut broadcaster = relay.connect().await;
    let ticket = relay.ticket(Action::Publish, stream(1), 1);
    broadcaster.say(json!({"type": "register_new_stream", "protocol": 1, "ticket": ticket, "tracks": tracks})).await;
    let mut viewer = Caller::viewer(&relay, stream(1)).await;
    for track in [PICTURE, SOUND, small] {
        broadcaster.init(track).await;
    }
    for track in [PICTURE, small] {
        broadcaster.chunk(track, 0, 0).await;
    }
    assert_eq!(viewer.payloads_until(["1/0/0"]).await, [["init of 1", "1/0/0"]]);
    viewer.say(json!({"type": "select_track", "track": 3})).await;
    // It counts once the relay has heard it.
    let mut segment = 0;
    let selected = async {
        loop {
            for track in [PICTURE, small] {
                broadcaster.chunk(track, segment, 1).await;
                broadcaster.chunk(track, segment + 1, 0).await;
            }
            segment += 1;
            let told = timeout(Duration::from_millis(200), viewer.text("watching")).await;
            if let Ok(watching) = told {
                return watching["selected"].clone();
            }
        }
    };
    assert_eq!(timeout(PATIENCE, selected).await.unwrap(), json!([3, 2]));
    let last_of_small = format!("3/{segment}/0");
    let [pictures, _, smalls] = viewer.payloads_until_any(&last_of_small).await;
    assert_eq!(smalls[0], "init of 3");
    let last_of_picture = pictures.last().cloned().unwrap();
    let first_of_small = smalls[1].clone();
    let segment_of = |payload: &str| payload.split('/').nth(1).unwrap().parse::<u32>().unwrap();
    assert_eq!(segment_of(&last_of_picture) + 1, segment_of(&first_of_small), "{last_of_picture} {first_of_small}");
    assert!(last_of_picture.ends_with("/1") && first_of_small.ends_with("/0"), "{last_of_picture} {first_of_small}");
}

#[tokio::test]
async fn relay_with_a_certificate_of_an_authority_shows_that_and_tells_of_no_hash() {
    let own = TestRelay::start_with(|config| config.door.tls.tls = Some(OwnTls::SelfSigned)).await;
    assert_eq!(own.webtransport.as_ref().unwrap().certificate_hashes.len(), 1, "nobody trusts it by itself");
    let files = own.folder.path().join("tls");
    let given = TestRelay::start_with(|config| {
        config.door.tls.tls_cert = Some(files.join("cert.pem"));
        config.door.tls.tls_key = Some(files.join("key.pem"));
    })
    .await;
    let address = given.webtransport.clone().unwrap();
    assert_eq!(address.certificate_hashes, []);
    let trusting = service::tls::client_config(Some(&files.join("cert.pem"))).unwrap();
    let client = Client::new(&Trust::of(&address, &trusting)).unwrap();
    timeout(PATIENCE, client.connect(&address.url)).await.unwrap().unwrap();
    let wary = Client::new(&Trust::of(&address, &service::tls::client_config(None).unwrap())).unwrap();
    assert!(timeout(PATIENCE, wary.connect(&address.url)).await.unwrap().is_err());
}

#[tokio::test]
async fn relay_that_stops_says_so() {
    let relay = TestRelay::start().await;
    let _broadcaster = relay.publisher(stream(1), 1).await;
    let mut viewer = Caller::viewer(&relay, stream(1)).await;
    relay.stop();
    viewer.text("move").await;
    viewer.ends_with(ErrorCode::ShuttingDown).await;
    relay.stopped().await;
}

#[tokio::test]
async fn viewers_are_told_where_a_stream_moves_and_by_what_it_is_reached_there() {
    let relay = TestRelay::start().await;
    let mut broadcaster = Caller::publisher(&relay, stream(1)).await;
    let mut viewer = Caller::viewer(&relay, stream(1)).await;
    let webtransport = json!({"url": "https://relay-2.example/wt", "certificate_hashes": ["07".repeat(32)]});
    let relays = json!([{"name": "relay-2", "url": "wss://relay-2.example/ws", "webtransport": webtransport}]);
    broadcaster.say(json!({"type": "moving", "relays": relays})).await;
    assert_eq!(viewer.text("move").await["relays"], relays);
    let victim = json!({"url": "https://victim.example/wt", "certificate_hashes": []});
    let relays = json!([{"name": "relay-2", "url": "wss://relay-2.example/ws", "webtransport": victim}]);
    broadcaster.say(json!({"type": "moving", "relays": relays})).await;
    broadcaster.ends_with(ErrorCode::InvalidRequest).await;
}

#[tokio::test]
async fn directory_is_told_of_the_address_and_its_hash() {
    let (mut directory, relay) = Directory::with_relay().await;
    let own = serde_json::to_value(relay.webtransport.clone().unwrap()).unwrap();
    assert_eq!(own["url"], format!("https://{}/wt", relay.address));
    assert_eq!(own["certificate_hashes"].as_array().unwrap().len(), 1);
    assert_eq!(directory.next("register").await.body["webtransport"], own);
    assert_eq!(directory.next("heartbeat").await.body["webtransport"], own);
}

#[tokio::test]
async fn relay_without_webtransport_tells_of_none() {
    let relay = TestRelay::start_with(|config| config.webtransport.no_webtransport = true).await;
    assert_eq!(relay.webtransport, None);
}

#[tokio::test]
async fn next_certificate_is_told_of_while_the_present_one_is_shown() {
    let relay = TestRelay::start_with(|config| {
        let data_dir = DataDir::open(config.data_dir.clone()).unwrap();
        OwnCertificates::open(data_dir, "127.0.0.1", now_s() - 6 * DAY_S - 60).unwrap();
    })
    .await;
    let address = relay.webtransport.clone().unwrap();
    let [present, next] = address.certificate_hashes[..] else { panic!("{address:?}") };
    for (hash, is_met) in [(present, true), (next, false)] {
        let client = Client::new(&Trust::Hashes(vec![hash])).unwrap();
        let session = timeout(PATIENCE, client.connect(&address.url)).await.unwrap();
        assert_eq!(session.is_ok(), is_met, "{hash}");
    }
}
