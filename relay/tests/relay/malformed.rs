//! Malformed input of every kind: each gets its code, and nobody else notices.

use protocol::{
    ErrorCode, MediaKind, Secret, TrackNumber,
    limits::{CONTROL_BYTES_MAX, MESSAGE_BYTES_MAX},
    ticket::{Action, Grant},
};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::tungstenite::Message;

use crate::driver::{PICTURE, Peer, TestRelay, grant, header, new_key, now_s, relay_name, stream};

/// A stream that goes on, to see that nothing disturbs it.
pub(crate) struct Bystanders {
    broadcaster: Peer,
    viewer: Peer,
    segment: u32,
}

impl Bystanders {
    pub(crate) async fn new(relay: &TestRelay) -> Self {
        let mut broadcaster = relay.publisher(stream(99), 1).await;
        broadcaster.init(PICTURE).await;
        let mut viewer = relay.viewer(stream(99)).await;
        broadcaster.chunk(PICTURE, 0, 0).await;
        viewer.payloads(2).await;
        Self { broadcaster, viewer, segment: 0 }
    }

    pub(crate) async fn are_unharmed(&mut self) {
        self.segment += 1;
        self.broadcaster.chunk(PICTURE, self.segment, 0).await;
        assert_eq!(self.viewer.payloads(1).await, [format!("1/{}/0", self.segment)]);
    }
}

#[tokio::test]
async fn first_messages_that_are_none() {
    use ErrorCode::*;
    let relay = TestRelay::start().await;
    let mut bystanders = Bystanders::new(&relay).await;
    let watch =
        |protocol: u32, ticket: &Secret| json!({"type": "watch_stream", "protocol": protocol, "ticket": ticket});
    let ticket = relay.ticket(Action::Publish, stream(1), 1);
    let register = |tracks: Value| {
        json!({"type": "register_new_stream", "protocol": 1, "ticket": ticket, "tracks": tracks}).to_string()
    };
    let track = |number: u32, codec: &str| json!({"track": number, "kind": "video", "codec": codec});
    let cases = [
        (Message::text(""), InvalidRequest),
        (Message::text("{"), InvalidRequest),
        (Message::text("[]"), InvalidRequest),
        (Message::text("[".repeat(50_000)), InvalidRequest),
        (Message::text(r#"{"type":"dance"}"#), InvalidRequest),
        (Message::text(r#"{"type":"watch_stream","protocol":1}"#), InvalidRequest),
        (Message::text(r#"{"type":"end_stream"}"#), InvalidRequest),
        (Message::text(watch(1, &"".into()).to_string()), TicketInvalid),
        (Message::text(watch(7, &relay.ticket(Action::Watch, stream(99), 1)).to_string()), UnsupportedProtocol),
        (Message::text(watch(70_000, &"".into()).to_string()), InvalidRequest),
        (Message::text(watch(1, &relay.ticket(Action::Publish, stream(99), 1)).to_string()), TicketInvalid),
        (Message::binary(header(MediaKind::Init, PICTURE, 0, 0, 0).message(b"x")), InvalidRequest),
        (Message::text(" ".repeat(CONTROL_BYTES_MAX + 1)), TooLarge),
        (Message::binary(vec![0; MESSAGE_BYTES_MAX + 1]), TooLarge),
        (Message::text(register((0..9).map(|number| track(number, "vp8")).collect())), TooManyTracks),
        (Message::text(register(json!([]))), InvalidRequest),
        (Message::text(register(json!([track(1, "vp8"), track(1, "vp8")]))), InvalidRequest),
        (Message::text(register(json!([track(1, "<script>")]))), InvalidRequest),
        (Message::text(register(json!([track(70_000, "vp8")]))), InvalidRequest),
    ];
    for (message, code) in cases {
        let what: String = message.to_text().unwrap_or("binary").chars().take(60).collect();
        println!("{what} -> {code}");
        let mut peer = relay.connect().await;
        peer.throw(message).await;
        peer.ends_with(code).await;
        bystanders.are_unharmed().await;
    }
    relay.metrics_say("relay_connections 2").await;
}

#[tokio::test]
async fn tickets_that_let_nobody_in() {
    let relay = TestRelay::start().await;
    let _bystanders = Bystanders::new(&relay).await;
    let good = grant(Action::Watch, stream(99), 1);
    let issued = |at_s| Grant { issued_at_s: at_s, expires_at_s: at_s + 600, ..good.clone() };
    let elsewhere = Grant { relays: vec![relay_name("relay-2")], ..good.clone() };
    let cases = [
        (new_key().sign(&good).unwrap(), ErrorCode::TicketInvalid),
        (relay.signer.sign(&elsewhere).unwrap(), ErrorCode::TicketInvalid),
        (relay.signer.sign(&issued(now_s() - 600 - 3600)).unwrap(), ErrorCode::TicketExpired),
        (relay.signer.sign(&issued(now_s() + 600)).unwrap(), ErrorCode::TicketInvalid),
    ];
    for (ticket, code) in cases {
        let mut peer = relay.connect().await;
        peer.say(json!({"type": "watch_stream", "protocol": 1, "ticket": ticket})).await;
        peer.ends_with(code).await;
    }
    relay.metrics_say("relay_connections_refused_total{reason=\"ticket_invalid\"} 3").await;
}

#[tokio::test]
async fn media_that_is_none_or_out_of_order() {
    use ErrorCode::*;
    let relay = TestRelay::start().await;
    let mut bystanders = Bystanders::new(&relay).await;
    let chunk = |track: TrackNumber, segment, chunk| header(MediaKind::Chunk, track, segment, chunk, 0).message(b"x");
    let init = |track: TrackNumber, bytes| header(MediaKind::Init, track, 0, 0, 0).message(&vec![0; bytes]);
    let cases = [
        (vec![vec![]], InvalidRequest),
        (vec![vec![2; 19]], InvalidRequest),
        (vec![vec![9; 40]], InvalidRequest),
        (vec![header(MediaKind::Chunk, PICTURE, 0, 0, 0).message(b"")], InvalidRequest),
        (vec![init(TrackNumber(5), 10)], UnknownTrack),
        (vec![chunk(PICTURE, 0, 0)], WrongOrder),
        (vec![init(PICTURE, 10), chunk(PICTURE, 0, 1)], WrongOrder),
        (vec![init(PICTURE, 10), chunk(PICTURE, 3, 0), chunk(PICTURE, 2, 0)], WrongOrder),
        (vec![init(PICTURE, 10), chunk(PICTURE, 3, 0), chunk(PICTURE, 3, 2)], WrongOrder),
        (vec![init(PICTURE, 100_000)], TooLarge),
        (vec![vec![2; MESSAGE_BYTES_MAX + 1]], TooLarge),
    ];
    for (number, (messages, code)) in cases.into_iter().enumerate() {
        println!("case {number} -> {code}");
        let mut peer = relay.publisher(stream(number as u64), 1).await;
        for message in messages {
            peer.throw(Message::binary(message)).await;
        }
        peer.ends_with(code).await;
        bystanders.are_unharmed().await;
    }
    relay.metrics_say("relay_publishers_dropped_total{reason=\"wrong_order\"} 4").await;
    relay.metrics_say("relay_publishers 1").await;
}

#[tokio::test]
async fn control_messages_that_are_none() {
    use ErrorCode::*;
    let relay = TestRelay::start().await;
    let mut bystanders = Bystanders::new(&relay).await;
    for (number, (message, code)) in [
        (Message::text(r#"{"type":"select_track","track":1}"#), InvalidRequest),
        (Message::text("x".repeat(CONTROL_BYTES_MAX + 1)), TooLarge),
    ]
    .into_iter()
    .enumerate()
    {
        let mut peer = relay.publisher(stream(number as u64), 1).await;
        peer.throw(message).await;
        peer.ends_with(code).await;
        bystanders.are_unharmed().await;
    }
    for (message, code) in [
        (Message::text(r#"{"type":"end_stream"}"#), InvalidRequest),
        (Message::text("x".repeat(CONTROL_BYTES_MAX * 2)), TooLarge),
        (Message::binary(header(MediaKind::Init, PICTURE, 0, 0, 0).message(b"x")), InvalidRequest),
    ] {
        let mut peer = relay.viewer(stream(99)).await;
        peer.throw(message).await;
        peer.ends_with(code).await;
        bystanders.are_unharmed().await;
    }
}

#[tokio::test]
async fn bytes_that_are_no_websocket_frames() {
    use ErrorCode::*;
    let relay = TestRelay::start().await;
    let mut bystanders = Bystanders::new(&relay).await;
    let cases: [(&[u8], ErrorCode); 6] = [
        (b"\x81\x02{}", InvalidRequest),                                 // not masked
        (b"\x83\x80\0\0\0\0", InvalidRequest),                           // a reserved opcode
        (b"\xf1\x80\0\0\0\0", InvalidRequest),                           // reserved bits
        (b"\x81\x81\0\0\0\0\xff", InvalidRequest),                       // text that is not UTF-8
        (b"\x80\x80\0\0\0\0", InvalidRequest),                           // a continuation of nothing
        (b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", TooLarge), // 8 EiB are announced
    ];
    for (bytes, code) in cases {
        println!("{bytes:?} -> {code}");
        let mut peer = relay.connect().await;
        peer.socket.get_mut().write_all(bytes).await.unwrap();
        peer.ends_with(code).await;
        bystanders.are_unharmed().await;
    }
}

#[tokio::test]
async fn first_message_that_is_late() {
    let relay =
        TestRelay::start_with(|config| config.first_message_time_max = std::time::Duration::from_millis(100)).await;
    relay.connect().await.ends_with(ErrorCode::FirstMessageLate).await;
}

#[tokio::test]
async fn requests_that_are_no_websocket_get_an_answer_in_json() {
    let relay = TestRelay::start().await;
    for (path, status, code) in [("/", 404, "not_found"), ("/ws/x", 404, "not_found"), ("/ws", 426, "invalid_request")]
    {
        let (got, body) = relay.get(relay.address, path).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((got, body["code"].as_str()), (status, Some(code)), "{path}");
    }
    let posted = reqwest::Client::new().post(format!("http://{}/ws", relay.address)).send().await.unwrap();
    assert_eq!(posted.status(), 405);
    assert_eq!(posted.json::<Value>().await.unwrap()["code"], "method_not_allowed");
}

#[tokio::test]
async fn error_repeats_nothing_of_what_was_sent() {
    let relay = TestRelay::start().await;
    let mut peer = relay.connect().await;
    peer.say(json!({"type": "eyJ-something-secret"})).await;
    let crate::driver::Got::Text(error) = peer.next().await else { panic!("no error") };
    assert_eq!(error["code"], "invalid_request");
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test]
async fn relay_full_of_connections_says_so_and_serves_on() {
    let relay = TestRelay::start_with(|config| {
        (config.capacity.streams_max, config.capacity.viewers_max) = (1, 1);
        config.door.connections_per_address = 0;
    })
    .await;
    let mut strangers = vec![];
    for _ in 0..relay::listener::places(1, 1).available_permits() {
        strangers.push(tokio::net::TcpStream::connect(relay.address).await.unwrap());
    }
    // Each is counted when it is accepted, and they are accepted in turn.
    let refused = tokio_tungstenite::connect_async(format!("ws://{}/ws", relay.address)).await.unwrap_err();
    let tokio_tungstenite::tungstenite::Error::Http(answer) = refused else { panic!("{refused}") };
    assert_eq!(answer.status(), 503);
    drop(strangers);
    relay.metrics_say("relay_connections_refused_total{reason=\"too_many_viewers\"} 1").await;
    // A place is free as soon as the relay has seen one of them go.
    while tokio_tungstenite::connect_async(format!("ws://{}/ws", relay.address)).await.is_err() {}
}
