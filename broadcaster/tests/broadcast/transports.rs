//! What a stream travels by: WebTransport where it can be had, WebSocket where it can't.

use std::net::UdpSocket;

use broadcaster::{Broadcast, BroadcastOptions, BroadcastState, SoundChoice, SourceChoice, Transport, TransportChoice};
use protocol::{
    CertificateHash, ErrorCode, MediaKind, WebTransportAddress,
    http::{Assignment, Order},
};

use super::{
    Folder, assert_well_formed, chunks, decoded_frames,
    fake::{FakeDirectory, FakeRelay, Publisher, track_bytes, wait_for, wait_for_state},
    until,
};

async fn broadcast_by(directory: &FakeDirectory, transport: TransportChoice) -> Broadcast {
    let options = directory.options(SourceChoice::Test, SoundChoice::None);
    Broadcast::start(BroadcastOptions { transport, ..options }).await.unwrap()
}

/// A relay that says it speaks WebTransport, in a network that swallows UDP.
async fn relay_behind_a_wall() -> (FakeRelay, UdpSocket) {
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/wt", nobody.local_addr().unwrap()).parse().unwrap();
    let webtransport = Some(WebTransportAddress { url, certificate_hashes: vec![CertificateHash([7; 32])] });
    let mut relay = FakeRelay::start().await;
    relay.webtransport = webtransport;
    (relay, nobody)
}

async fn all_of_the_rest(publisher: &mut Publisher) {
    while publisher.next().await.is_some() {}
}

#[tokio::test]
async fn stream_goes_by_webtransport_where_that_is_offered() {
    let relay = FakeRelay::start_with_webtransport().await;
    let directory = FakeDirectory::start(&[&relay]).await;
    let broadcast = broadcast_by(&directory, TransportChoice::Auto).await;
    let mut publisher = relay.publisher().await;
    assert!(publisher.is_session());
    let media = publisher.take(1, 130).await;
    assert_eq!(media.iter().filter(|media| media.header.kind == MediaKind::Init).count(), 1);
    assert_well_formed(&media, 1);
    assert_eq!(decoded_frames(&track_bytes(&media, 1), &Folder::new("webtransport")), 130);
    let status = publisher.read_until(wait_for_state(&broadcast, BroadcastState::Live)).await;
    assert_eq!((status.transport, status.dropped_frames), (Some(Transport::Webtransport), 0));
    // It ends as over a WebSocket: the relay hears so, and only then.
    let (_, ()) = tokio::join!(broadcast.stop(), all_of_the_rest(&mut publisher));
}

#[tokio::test]
async fn network_that_swallows_udp_is_found_out_once_and_a_websocket_is_taken() {
    let (relay, _nobody) = relay_behind_a_wall().await;
    let directory = FakeDirectory::start(&[&relay]).await;
    let broadcast = broadcast_by(&directory, TransportChoice::Auto).await;
    let mut publisher = relay.publisher().await;
    assert!(!publisher.is_session());
    assert_well_formed(&publisher.take(1, 10).await, 1);
    let status = publisher.read_until(wait_for_state(&broadcast, BroadcastState::Live)).await;
    assert_eq!(status.transport, Some(Transport::Websocket));
}

#[tokio::test]
async fn relay_without_a_websocket_is_reached_all_the_same_and_who_wants_one_alone_gets_it() {
    let relay = FakeRelay::start_with_webtransport().await;
    let directory = FakeDirectory::start(&[&relay]).await;
    let broadcast = broadcast_by(&directory, TransportChoice::Websocket).await;
    assert!(!relay.publisher().await.is_session());
    broadcast.stop().await;
    let _broadcast = broadcast_by(&directory, TransportChoice::Webtransport).await;
    assert!(relay.publisher().await.is_session());
}

#[tokio::test]
async fn who_wants_webtransport_alone_hears_that_it_is_not_offered() {
    let relay = FakeRelay::start().await;
    let directory = FakeDirectory::start(&[&relay]).await;
    let broadcast = broadcast_by(&directory, TransportChoice::Webtransport).await;
    let says = |status: &broadcaster::BroadcastStatus| status.sentence.contains("it offers no WebTransport");
    wait_for(&mut broadcast.status(), says).await;
}

#[tokio::test]
async fn session_that_ends_goes_on_at_the_next_relay_without_a_gap() {
    let (first, second) = (FakeRelay::start_with_webtransport().await, FakeRelay::start_with_webtransport().await);
    let directory = FakeDirectory::start(&[&first, &second]).await;
    let _broadcast = broadcast_by(&directory, TransportChoice::Auto).await;
    let mut publisher = first.publisher().await;
    let before = publisher.take(1, 70).await;
    publisher.refuse(ErrorCode::ShuttingDown).await;
    let mut publisher = second.publisher().await;
    assert!(publisher.is_session());
    let after = publisher.take(1, 70).await;
    assert_eq!((after[0].header.kind, &after[0].message), (MediaKind::Init, &before[0].message));
    assert_well_formed(&after, 1);
    let last = before.last().unwrap().header;
    let resumes = after[1].header;
    assert!((resumes.segment, resumes.chunk) <= (last.segment + 1, 0), "{last:?} {resumes:?}");
}

#[tokio::test]
async fn session_that_falls_silent_is_left_and_its_relay_then_reached_by_a_websocket() {
    let relay = FakeRelay::start_with_webtransport().await;
    let directory = FakeDirectory::start(&[&relay]).await;
    let broadcast = broadcast_by(&directory, TransportChoice::Auto).await;
    let mut silent = relay.publisher().await;
    assert!(silent.is_session());
    silent.take(1, 10).await;
    // The session stays open, and nothing comes from it any more. Beside it another one is opened, and after that has proved itself the
    // silent one is remembered.
    let mut publisher = relay.publisher().await;
    publisher.read_until(wait_for_state(&broadcast, BroadcastState::Live)).await;
    publisher.read_until(silent.left()).await;
    drop(publisher);
    assert!(!relay.publisher().await.is_session());
}

#[tokio::test]
async fn moved_stream_arrives_by_both_ways_until_the_old_relay_is_left() {
    let (first, second) = (FakeRelay::start_with_webtransport().await, FakeRelay::start().await);
    let directory = FakeDirectory::start(&[&first]).await;
    let broadcast = broadcast_by(&directory, TransportChoice::Auto).await;
    let mut old = first.publisher().await;
    old.take(1, 40).await;
    until(|| directory.orders.receiver_count() == 1).await;
    let relays = vec![second.named("relay-2"), first.named("relay-1")];
    let assignment = Assignment { relays, ticket: "moved".into(), epoch: 5, record: None };
    directory.orders.send(Some(Order::Assignment { assignment })).unwrap();
    let mut new = second.publisher().await;
    let (at_old, at_new) = tokio::join!(
        async {
            let mut media = Vec::new();
            while let Some(more) = old.next().await {
                media.push(more);
            }
            media
        },
        new.take(1, 120)
    );
    assert_eq!(old.moving.len(), 1);
    assert_well_formed(&at_new, 1);
    let number = |media: &super::fake::Media| (media.header.segment, media.header.chunk);
    let at_new: Vec<_> = chunks(&at_new, 1).into_iter().map(number).collect();
    let at_old: Vec<_> = chunks(&at_old, 1).into_iter().map(number).collect();
    let shared = at_old.iter().filter(|number| at_new.contains(number)).count();
    assert!(shared >= 2, "{at_old:?} {at_new:?}");
    let mut status = broadcast.status();
    let way = wait_for(&mut status, |status| status.transport == Some(Transport::Websocket));
    new.read_until(way).await;
}

#[tokio::test]
async fn relay_that_does_not_read_costs_segments_and_no_more_over_webtransport() {
    let relay = FakeRelay::start_with_webtransport().await;
    let directory = FakeDirectory::start(&[&relay]).await;
    let broadcast = broadcast_by(&directory, TransportChoice::Auto).await;
    let mut publisher = relay.publisher().await;
    publisher.take(1, 3).await;
    let mut status = broadcast.status();
    publisher.pretend_until(wait_for(&mut status, |status| status.dropped_segments >= 2)).await;
    let dropped_at_us = super::fake::now_us();
    let mut media = Vec::new();
    while media
        .last()
        .is_none_or(|media: &super::fake::Media| !(media.header.key && media.header.captured_at_us > dropped_at_us))
    {
        media.extend(publisher.take(1, 1).await);
    }
    let from = media.len() - 1;
    media.extend(publisher.take(1, 30).await);
    assert_well_formed(&media[from..], 1);
    publisher.read_until(wait_for_state(&broadcast, BroadcastState::Live)).await;
}
