//! Relays and directories that die, fall silent, are left and come back.

use std::sync::atomic::Ordering;

use broadcaster::{BroadcastState, SoundChoice, SourceChoice};
use protocol::{
    ErrorCode, MediaKind,
    http::{Assignment, Order, RelayAddress},
};

use super::{
    Folder, assert_well_formed, chunks, decoded_frames,
    fake::{FakeDirectory, FakeRelay, Media, Publisher, track_bytes, wait_for, wait_for_state},
    signal, until,
};

fn order(relays: &[(&str, &FakeRelay)], ticket: &str, epoch: u32) -> Option<Order> {
    let relays = relays.iter().map(|(name, relay)| RelayAddress::new(name.parse().unwrap(), relay.url()));
    let assignment = Assignment { relays: relays.collect(), ticket: ticket.into(), epoch, record: None };
    Some(Order::Assignment { assignment })
}

fn numbers(media: &[Media]) -> Vec<(u32, u32)> {
    chunks(media, 1).into_iter().map(|media| (media.header.segment, media.header.chunk)).collect()
}

/// Whatever still arrives until the broadcaster has left.
async fn rest(publisher: &mut Publisher) -> Vec<Media> {
    let mut media = Vec::new();
    while let Some(more) = publisher.next().await {
        media.push(more);
    }
    media
}

#[tokio::test]
async fn closed_connection_goes_on_at_once_with_a_forced_key_frame_and_without_a_gap() {
    let (first, second) = (FakeRelay::start().await, FakeRelay::start().await);
    let directory = FakeDirectory::start(&[&first, &second]).await;
    let broadcast = directory.broadcast(SourceChoice::Test, SoundChoice::None).await;
    let mut publisher = first.publisher().await;
    let before = publisher.take(1, 70).await;
    let mut status = broadcast.status();
    drop(publisher);

    let reconnecting = wait_for(&mut status, |status| status.state == BroadcastState::Reconnecting).await;
    assert!(reconnecting.sentence.starts_with("Connecting again: "), "{}", reconnecting.sentence);
    let mut publisher = second.publisher().await;
    assert_eq!(publisher.ticket.expose(), "ticket 1", "the ticket that names both");
    let mut after = publisher.take(1, 1).await;
    assert_eq!((after[0].header.kind, &after[0].message), (MediaKind::Init, &before[0].message));
    while chunks(&after, 1).iter().filter(|media| media.header.key).count() < 2 {
        after.extend(publisher.take(1, 1).await);
    }
    assert_well_formed(&after, 1);
    assert_eq!(decoded_frames(&track_bytes(&after, 1), &Folder::new("next-relay")), chunks(&after, 1).len());
    let (before, after) = (numbers(&before), numbers(&after));
    assert!(before.contains(&after[0]) || after[0] == (before[before.len() - 1].0 + 1, 0), "{before:?} {after:?}");
    until(|| !directory.failed.lock().unwrap().is_empty()).await;
    assert_eq!(*directory.failed.lock().unwrap(), [Some("relay-1".to_owned())]);
    publisher.read_until(wait_for_state(&broadcast, BroadcastState::Live)).await;
    drop(publisher);
    // Both relays of the assignment have failed: what the directory says then counts.
    while first.publisher().await.ticket.expose() == "ticket 1" {}
}

#[tokio::test]
async fn only_relay_that_falls_silent_is_asked_about_at_once() {
    let relay = FakeRelay::start().await;
    let directory = FakeDirectory::start(&[&relay]).await;
    let _broadcast = directory.broadcast(SourceChoice::Test, SoundChoice::None).await;
    let mut silent = relay.publisher().await;
    silent.take(1, 10).await;
    let began = std::time::Instant::now();
    // Its socket stays open. Another connection to it may do what this one does not.
    let mut publisher = relay.publisher().await;
    assert!(began.elapsed() < protocol::limits::SILENCE_TIME_MAX / 2, "{:?}", began.elapsed());
    assert_eq!(directory.failed.lock().unwrap()[0], Some("relay-1".to_owned()));
    assert_well_formed(&publisher.take(1, 10).await, 1);
}

#[tokio::test]
async fn second_relay_that_registers_and_confirms_nothing_is_left_when_the_first_speaks_again() {
    let (first, second) = (FakeRelay::start().await, FakeRelay::start().await);
    let directory = FakeDirectory::start(&[&first, &second]).await;
    let broadcast = directory.broadcast(SourceChoice::Test, SoundChoice::None).await;
    let mut publisher = first.publisher().await;
    publisher.take(1, 10).await;
    let mut beside = second.publisher().await; // it takes the stream, and nothing has arrived yet
    let key_frame = async { while !publisher.next().await.expect("the first one stays").header.key {} };
    key_frame.await;
    beside.confirms = false;
    let mut left = Box::pin(rest(&mut beside));
    publisher.read_until(&mut left).await;
    publisher.read_until(wait_for_state(&broadcast, BroadcastState::Live)).await;
    assert_eq!(broadcast.status().borrow().relay.as_ref().unwrap().as_str(), "relay-1");
    assert!(directory.failed.lock().unwrap().iter().all(|failed| failed.as_deref() != Some("relay-2")));
}

#[tokio::test]
async fn silent_relay_is_left_for_the_next_one_that_confirms() {
    let (first, second) = (FakeRelay::start().await, FakeRelay::start().await);
    let directory = FakeDirectory::start(&[&first, &second]).await;
    let broadcast = directory.broadcast(SourceChoice::Test, SoundChoice::None).await;
    let mut silent = first.publisher().await;
    silent.take(1, 10).await;
    // The first one's socket stays open, and nothing comes from it any more.
    let mut publisher = second.publisher().await;
    assert_eq!(publisher.ticket.expose(), "ticket 1");
    assert!(broadcast.status().borrow().sentence.contains("relay-1 is silent"));
    let mut status = broadcast.status();
    let elsewhere = wait_for(&mut status, |status| {
        status.state == BroadcastState::Live && status.relay.as_ref().is_some_and(|name| name.as_str() == "relay-2")
    });
    publisher.read_until(elsewhere).await;
    let mut read = Box::pin(rest(&mut silent));
    publisher.read_until(&mut read).await;
}

#[tokio::test]
async fn relay_that_speaks_again_before_the_next_one_confirms_keeps_the_stream() {
    let (first, second) = (FakeRelay::start().await, FakeRelay::start().await);
    let directory = FakeDirectory::start(&[&first, &second]).await;
    let broadcast = directory.broadcast(SourceChoice::Test, SoundChoice::None).await;
    let mut publisher = first.publisher().await;
    publisher.take(1, 10).await;
    let mut beside = second.hello().await; // the next one is asked, and has not answered yet
    let mut left = Box::pin(rest(&mut beside));
    publisher.read_until(&mut left).await;
    publisher.read_until(wait_for_state(&broadcast, BroadcastState::Live)).await;
    assert_eq!(broadcast.status().borrow().relay.as_ref().unwrap().as_str(), "relay-1");
}

#[tokio::test]
async fn moved_stream_arrives_at_both_relays_until_the_old_one_is_left() {
    let (first, second) = (FakeRelay::start().await, FakeRelay::start().await);
    let directory = FakeDirectory::start(&[&first]).await;
    let broadcast = directory.broadcast(SourceChoice::Test, SoundChoice::None).await;
    let mut old = first.publisher().await;
    let mut seen = old.take(1, 40).await;
    let mut states = broadcast.status();
    let relays = [("relay-2", &second), ("relay-1", &first)];
    until(|| directory.orders.receiver_count() == 1).await;
    directory.orders.send(order(&relays, "moved", 5)).unwrap();
    let mut new = second.publisher().await;
    assert_eq!(new.ticket.expose(), "moved");
    let (mut at_old, at_new) = tokio::join!(rest(&mut old), new.take(1, 120));
    at_old.splice(0..0, seen.drain(..));
    assert_eq!(old.moving.len(), 1);
    assert_eq!(old.moving[0].iter().map(|relay| relay.name.as_str()).collect::<Vec<_>>(), ["relay-2"]);

    assert_well_formed(&at_old, 1);
    assert_well_formed(&at_new, 1);
    let (at_old, at_new) = (numbers(&at_old), numbers(&at_new));
    let shared =
        at_old.iter().position(|number| *number == at_new[0]).expect("the new relay begins in what the old has");
    assert!(at_old.len() - shared >= 2, "{at_old:?} {at_new:?}");
    assert!(at_old[shared..].iter().zip(&at_new).all(|(old, new)| old == new), "{at_old:?} {at_new:?}");
    assert_ne!(states.borrow_and_update().state, BroadcastState::Reconnecting);
    assert!(directory.failed.lock().unwrap().is_empty());
}

#[tokio::test]
async fn old_relay_is_kept_while_the_new_one_fails() {
    let (first, second, gone) = (FakeRelay::start().await, FakeRelay::start().await, FakeRelay::start().await);
    let directory = FakeDirectory::start(&[&first]).await;
    let _broadcast = directory.broadcast(SourceChoice::Test, SoundChoice::None).await;
    let mut old = first.publisher().await;
    old.take(1, 10).await;
    let to = order(&[("relay-3", &gone), ("relay-2", &second)], "moved", 5);
    drop(gone);
    until(|| directory.orders.receiver_count() == 1).await;
    directory.orders.send(to).unwrap();
    // The second one lets go as well, before anything has arrived: the old one still has the stream.
    drop(old.read_until(second.publisher()).await);
    old.take(1, 40).await;
    until(|| directory.failed.lock().unwrap().contains(&Some("relay-3".to_owned()))).await;
}

#[tokio::test]
async fn stream_is_brought_back_to_a_directory_that_has_forgotten_it() {
    let relay = FakeRelay::start().await;
    let directory = FakeDirectory::start_as(&[&relay], None, |directory| directory.record = Some("the record")).await;
    let _broadcast = directory.broadcast(SourceChoice::Test, SoundChoice::None).await;
    let mut publisher = relay.publisher().await;
    publisher.take(1, 3).await;
    until(|| directory.orders.receiver_count() == 1).await;
    directory.forgetful.store(true, Ordering::SeqCst);
    directory.orders.send(None).unwrap();
    let heard_again = || directory.orders_asked.load(Ordering::SeqCst) >= 3 && directory.orders.receiver_count() == 1;
    publisher.read_until(until(heard_again)).await;
    let key = protocol::BroadcastKey::new([7; 32]).expose();
    assert_eq!(*directory.restored.lock().unwrap(), [("the record".to_owned(), key)]);
    let assignment = Assignment { ticket: "after all that".into(), ..directory.assignment(1) };
    directory.orders.send(Some(Order::Assignment { assignment })).unwrap();
    while publisher.renewed.is_empty() {
        publisher.next().await.unwrap();
    }
}

#[tokio::test]
async fn relay_and_directory_that_die_together_cost_the_stream_nothing_but_time() {
    let relay = FakeRelay::start().await;
    let directory = FakeDirectory::start_as(&[&relay], None, |directory| directory.record = Some("the record")).await;
    let broadcast = directory.broadcast(SourceChoice::Test, SoundChoice::None).await;
    let mut publisher = relay.publisher().await;
    publisher.take(1, 3).await;
    until(|| directory.orders.receiver_count() == 1).await;
    directory.forgetful.store(true, Ordering::SeqCst);
    publisher.refuse(ErrorCode::ShuttingDown).await;
    let mut publisher = relay.publisher().await;
    publisher.read_until(wait_for_state(&broadcast, BroadcastState::Live)).await;
    assert!(!directory.restored.lock().unwrap().is_empty());
}

#[tokio::test]
async fn stream_that_may_not_come_back_ends_with_a_sentence() {
    let relay = FakeRelay::start().await;
    let relays = [&relay];
    let directory = FakeDirectory::start_as(&relays, None, |directory| {
        (directory.record, directory.restore_refusal) = (Some("the record"), Some(ErrorCode::Unauthorized));
    });
    let directory = directory.await;
    let broadcast = directory.broadcast(SourceChoice::Test, SoundChoice::None).await;
    let mut publisher = relay.publisher().await;
    publisher.take(1, 3).await;
    until(|| directory.orders.receiver_count() == 1).await;
    directory.forgetful.store(true, Ordering::SeqCst);
    directory.orders.send(None).unwrap();
    rest(&mut publisher).await;
    let status = wait_for_state(&broadcast, BroadcastState::Ended).await;
    assert!(status.failed);
    assert_eq!(status.sentence, "The broadcast has ended: refused: unauthorized.");
}

#[tokio::test]
async fn process_that_slept_goes_on_by_itself() {
    let (first, second) = (FakeRelay::start().await, FakeRelay::start().await);
    let directory = FakeDirectory::start(&[&first, &second]).await;
    let mut command = directory.command().args(["--source", "test"]).spawn().unwrap();
    let mut publisher = first.publisher().await;
    let before = publisher.take(1, 40).await;
    signal("STOP", command.id());
    drop(publisher); // a relay does not wait for ever
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    signal("CONT", command.id());
    let after = second.publisher().await.take(1, 60).await;
    assert_well_formed(&after, 1);
    assert!(numbers(&after)[0] >= numbers(&before)[0]);
    command.kill().unwrap();
    command.wait().unwrap();
}
