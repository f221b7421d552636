//! Segments on streams.

use std::time::Duration;

use bytes::Bytes;
use protocol::{
    MediaHeader, MediaKind, TrackNumber,
    framing::framed,
    limits::{MESSAGE_BYTES_MAX, SEGMENT_STALL_TIME_MAX},
    webtransport::{STREAM_SKIPPED, STREAM_STALLED},
};
use tokio::time::{Instant, timeout};
use webtransport::{Inbox, InboxError, Outgoing, Session, codes};

use crate::pair::Pair;

const PICTURE: TrackNumber = TrackNumber(1);

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn init(track: TrackNumber, captured_at_us: u64) -> Bytes {
    let header =
        MediaHeader { kind: MediaKind::Init, key: false, sealed: false, track, segment: 0, chunk: 0, captured_at_us };
    header.message(&captured_at_us.to_be_bytes()).into()
}

fn chunk(track: TrackNumber, segment: u32, chunk: u32, bytes: usize) -> Bytes {
    let key = chunk == 0;
    let header = MediaHeader { kind: MediaKind::Chunk, key, sealed: false, track, segment, chunk, captured_at_us: 1 };
    header.message(&vec![7; bytes]).into()
}

fn outgoing(track: TrackNumber, segment: u32, number: u32, bytes: usize) -> Outgoing {
    Outgoing {
        track,
        sound: track != PICTURE,
        segment,
        key: number == 0,
        init: (segment == 1 && number == 0).then(|| init(track, 1)),
        chunk: chunk(track, segment, number, bytes),
        arrived: Instant::now(),
    }
}

/// The next message in short: track, segment and chunk; an init segment has no chunk.
async fn next(inbox: &mut Inbox) -> (u16, u32, Option<u32>) {
    let (header, _) = timeout(PATIENCE, inbox.next()).await.unwrap().unwrap();
    (header.track.0, header.segment, (header.kind == MediaKind::Chunk).then_some(header.chunk))
}

/// A stream of the session as a sender writes it that has a mind of its own.
async fn stream(session: &Session, messages: &[Bytes]) -> quinn::SendStream {
    let mut stream = session.quic().open_uni().await.unwrap();
    stream.write_all(&[0x40, 0x54, 0x00]).await.unwrap();
    for message in messages {
        stream.write_all(&framed(message)).await.unwrap();
    }
    stream
}

#[tokio::test]
async fn segments_of_two_tracks_come_whole_in_order_and_with_one_init_segment_each() {
    let pair = Pair::new().await;
    pair.server.allow_media();
    let (mut outbox, mut inbox) = (pair.client.outbox(), pair.server.inbox());
    let sound = TrackNumber(2);
    let sending = async {
        for segment in 1..=3 {
            for number in 0..5 {
                outbox.push(outgoing(PICTURE, segment, number, 20_000));
                outbox.push(outgoing(sound, segment, number, 200));
                outbox.flush().await.unwrap();
            }
        }
        assert_eq!(outbox.take_skipped().next(), None);
        assert_eq!(outbox.take_sent().count(), 30);
    };
    let reading = async {
        let mut read = [Vec::new(), Vec::new()];
        while read.iter().any(|track| track.len() < 16) {
            let (track, segment, number) = next(&mut inbox).await;
            read[usize::from(track) - 1].push((segment, number));
        }
        read
    };
    let (read, ()) = tokio::join!(reading, sending);
    let mut expected = vec![(0, None)];
    expected.extend((1..=3).flat_map(|segment| (0..5).map(move |number| (segment, Some(number)))));
    assert_eq!(read, [expected.clone(), expected]);
}

#[tokio::test]
async fn one_who_reads_nothing_is_given_the_newest_segment_and_the_old_one_is_reset() {
    let pair = Pair::new().await;
    let mut outbox = pair.server.outbox();
    let begun = Instant::now();
    // More than the reader's window, and late already when the next key frame is there.
    for number in 0..4 {
        outbox.push(Outgoing { arrived: begun, ..outgoing(PICTURE, 1, number, 1_500_000) });
    }
    let streams = timeout(PATIENCE, async {
        let flush = timeout(Duration::from_millis(600), outbox.flush()).await;
        assert!(flush.is_err() && outbox.behind(Instant::now()) > Duration::from_millis(400));
        outbox.push(outgoing(PICTURE, 2, 0, 1000));
        outbox.flush().await.unwrap();
        let first = pair.client.accept_stream().await.unwrap();
        (first, pair.client.accept_stream().await.unwrap())
    });
    let (mut first, _second) = streams.await.unwrap();
    let skipped: Vec<_> = outbox.take_skipped().map(|skipped| skipped.chunks).collect();
    assert_eq!(skipped.len(), 1);
    assert!((1..=4).contains(&skipped[0]), "{skipped:?}");
    let reset = async {
        loop {
            match first.quic_stream_mut().read_chunk(usize::MAX, true).await {
                Ok(Some(_)) => {}
                other => return other,
            }
        }
    };
    match timeout(PATIENCE, reset).await.unwrap() {
        Err(quinn::ReadError::Reset(code)) => assert_eq!(codes::from_http3(code), Some(STREAM_SKIPPED)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn segments_that_their_sender_gives_up_are_reset_and_newer_ones_come_whole() {
    let pair = Pair::new().await;
    let (mut outbox, mut inbox) = (pair.server.outbox(), pair.client.inbox());
    // More than the reader's window, and not late by anybody's clock.
    for number in 0..4 {
        outbox.push(outgoing(PICTURE, 1, number, 1_500_000));
    }
    assert!(timeout(Duration::from_millis(100), outbox.flush()).await.is_err());
    outbox.give_up_before(1);
    assert_eq!(outbox.take_skipped().next(), None, "nothing is before the first");
    outbox.push(outgoing(PICTURE, 2, 0, 1000));
    outbox.give_up_before(2);
    timeout(PATIENCE, outbox.flush()).await.unwrap().unwrap();
    assert_eq!(outbox.take_skipped().map(|skipped| skipped.chunks).sum::<u64>(), 4);
    while next(&mut inbox).await != (1, 2, Some(0)) {}
}

#[tokio::test]
async fn newer_segment_waits_for_the_one_before_it_to_end() {
    let pair = Pair::new().await;
    pair.server.allow_media();
    let mut inbox = pair.server.inbox();
    let mut fifth = stream(&pair.client, &[init(PICTURE, 1), chunk(PICTURE, 5, 0, 10)]).await;
    assert_eq!([next(&mut inbox).await, next(&mut inbox).await], [(1, 0, None), (1, 5, Some(0))]);
    let mut sixth = stream(&pair.client, &[init(PICTURE, 1), chunk(PICTURE, 6, 0, 10)]).await;
    sixth.finish().unwrap();
    fifth.write_all(&framed(&chunk(PICTURE, 5, 1, 10))).await.unwrap();
    assert_eq!(next(&mut inbox).await, (1, 5, Some(1)));
    fifth.finish().unwrap();
    assert_eq!(next(&mut inbox).await, (1, 6, Some(0)));
}

#[tokio::test]
async fn segment_that_was_reset_makes_way_at_once() {
    let pair = Pair::new().await;
    pair.server.allow_media();
    let mut inbox = pair.server.inbox();
    let mut fifth = stream(&pair.client, &[init(PICTURE, 1), chunk(PICTURE, 5, 0, 10)]).await;
    assert_eq!([next(&mut inbox).await, next(&mut inbox).await], [(1, 0, None), (1, 5, Some(0))]);
    let _sixth = stream(&pair.client, &[init(PICTURE, 1), chunk(PICTURE, 6, 0, 10)]).await;
    fifth.reset(codes::to_http3(STREAM_SKIPPED)).unwrap();
    assert_eq!(next(&mut inbox).await, (1, 6, Some(0)));
}

#[tokio::test]
async fn stalled_segment_is_stopped_and_its_successor_goes_on() {
    let pair = Pair::new().await;
    pair.server.allow_media();
    let mut inbox = pair.server.inbox();
    let fifth = stream(&pair.client, &[init(PICTURE, 1), chunk(PICTURE, 5, 0, 10)]).await;
    assert_eq!([next(&mut inbox).await, next(&mut inbox).await], [(1, 0, None), (1, 5, Some(0))]);
    let begun = Instant::now();
    let _sixth = stream(&pair.client, &[init(PICTURE, 1), chunk(PICTURE, 6, 0, 10)]).await;
    assert_eq!(next(&mut inbox).await, (1, 6, Some(0)));
    assert!(begun.elapsed() >= SEGMENT_STALL_TIME_MAX, "not before its time");
    let code = timeout(PATIENCE, fifth.stopped()).await.unwrap().unwrap().unwrap();
    assert_eq!(codes::from_http3(code), Some(STREAM_STALLED));
}

#[tokio::test]
async fn sender_drops_the_rest_of_a_segment_that_the_reader_has_stopped() {
    let pair = Pair::new().await;
    let mut outbox = pair.server.outbox();
    outbox.push(outgoing(PICTURE, 1, 0, 1000));
    outbox.flush().await.unwrap();
    let stream = pair.client.accept_stream().await.unwrap();
    stream.stop(wtransport::VarInt::from_u32(9));
    let mut number = 1;
    timeout(PATIENCE, async {
        while outbox.take_skipped().next().is_none() {
            outbox.push(outgoing(PICTURE, 1, number, 1000));
            outbox.flush().await.unwrap();
            number += 1;
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    outbox.push(outgoing(PICTURE, 2, 0, 1000));
    outbox.flush().await.unwrap();
    pair.client.accept_stream().await.unwrap();
}

#[tokio::test]
async fn streams_that_break_the_rules_are_told_apart() {
    let two_segments = [init(PICTURE, 1), chunk(PICTURE, 5, 0, 10), chunk(PICTURE, 6, 0, 10)];
    let two_tracks = [init(PICTURE, 1), chunk(TrackNumber(2), 5, 0, 10)];
    for (messages, error) in [
        (two_segments.as_slice(), InboxError::Mixed(PICTURE)),
        (two_tracks.as_slice(), InboxError::Mixed(TrackNumber(2))),
        (&two_segments[1..], InboxError::InitMissing(PICTURE)),
    ] {
        let pair = Pair::new().await;
        pair.server.allow_media();
        let mut inbox = pair.server.inbox();
        let _stream = stream(&pair.client, messages).await;
        let told = timeout(PATIENCE, async {
            loop {
                if let Err(error) = inbox.next().await {
                    return error;
                }
            }
        });
        assert_eq!(told.await.unwrap(), error);
    }
}

#[tokio::test]
async fn media_message_over_the_limit_is_refused_before_it_has_come() {
    let pair = Pair::new().await;
    pair.server.allow_media();
    let mut inbox = pair.server.inbox();
    let mut stream = stream(&pair.client, &[init(PICTURE, 1)]).await;
    stream.write_all(&(MESSAGE_BYTES_MAX as u32 + 1).to_be_bytes()).await.unwrap();
    assert!(matches!(timeout(PATIENCE, inbox.next()).await.unwrap(), Err(InboxError::Frame(_))));
}

#[tokio::test]
async fn stranger_opens_a_few_streams_and_no_more_until_media_is_allowed() {
    let pair = Pair::new().await;
    let mut streams = Vec::new();
    // HTTP/3 has its control stream among the first.
    for (more, is_let_in) in [(7, false), (32, true)] {
        if is_let_in {
            pair.server.allow_media();
        }
        for _ in 0..more {
            streams.push(timeout(PATIENCE, pair.client.quic().open_uni()).await.unwrap().unwrap());
        }
        let one_more = timeout(Duration::from_millis(200), pair.client.quic().open_uni()).await;
        assert!(one_more.is_err(), "{}", streams.len());
    }
}
