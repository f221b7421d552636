use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::time::sleep;

use super::*;
use crate::{stream::window::Delivery, transport::MediaFrame};

/// After this much the guests are to be looked at again.
const LOOK: Duration = Duration::from_millis(50);

/// What sends may wait for one another.
const MERGED: Duration = Duration::from_millis(20);

/// What each guest is sent in each turn.
fn delivery(arrived: Instant) -> Delivery {
    Delivery { skipped: None, init: None, chunk: MediaFrame::of(&[7; 10]), arrived }
}

#[derive(Debug, Default)]
struct Counting(AtomicUsize);

impl Guest for Counting {
    fn serve(&self, turn: &mut Turn) -> Option<Instant> {
        self.0.fetch_add(1, Ordering::Relaxed);
        turn.sent.note(&delivery(turn.now), turn.now);
        Some(turn.now + LOOK)
    }
}

struct Scene {
    fan_out: FanOut,
    news: watch::Sender<()>,
    metrics: Arc<Metrics>,
}

impl Scene {
    fn new() -> Self {
        Self {
            fan_out: FanOut::new(Arc::new(Merging::new(MERGED))),
            news: watch::Sender::new(()),
            metrics: Arc::default(),
        }
    }

    fn join(&self) -> (Arc<Counting>, Place) {
        let guest = Arc::new(Counting::default());
        let place = self.fan_out.join(Arc::clone(&guest) as _, &self.news.subscribe(), &self.metrics);
        (guest, place)
    }

    async fn tell(&self) {
        self.news.send_replace(());
        // The rows' tasks run while this one sleeps, for less than until they look by themselves.
        sleep(Duration::from_millis(1)).await;
    }

    fn rows(&self) -> usize {
        self.fan_out.rows.lock().unwrap().iter().filter(|row| !row.members().over).count()
    }
}

#[tokio::test(start_paused = true)]
async fn every_guest_is_served_once_for_each_piece_of_news() {
    let scene = Scene::new();
    let guests: Vec<_> = (0..3 * ROW_GUESTS_MAX / 2).map(|_| scene.join()).collect();
    assert_eq!(scene.rows(), 2);
    scene.tell().await;
    let before: Vec<_> = guests.iter().map(|(guest, _)| guest.0.load(Ordering::Relaxed)).collect();
    scene.tell().await;
    for ((guest, _), before) in guests.iter().zip(before) {
        assert_eq!(guest.0.load(Ordering::Relaxed), before + 1);
    }
    let chunks: usize = guests.iter().map(|(guest, _)| guest.0.load(Ordering::Relaxed)).sum();
    assert_eq!(scene.metrics.chunks_out.get(), chunks as u64);
    assert_eq!(scene.metrics.bytes_out.get(), 10 * chunks as u64);
}

#[tokio::test(start_paused = true)]
async fn guests_are_looked_at_while_nothing_is_new() {
    let scene = Scene::new();
    let (guest, _place) = scene.join();
    scene.tell().await;
    let before = guest.0.load(Ordering::Relaxed);
    sleep(LOOK * 4).await;
    assert_eq!(guest.0.load(Ordering::Relaxed), before + 4);
}

#[tokio::test(start_paused = true)]
async fn who_has_left_is_served_no_more_and_its_place_is_free() {
    let scene = Scene::new();
    let mut guests: Vec<_> = (0..ROW_GUESTS_MAX).map(|_| scene.join()).collect();
    scene.tell().await;
    let (left, place) = guests.swap_remove(7);
    let before = left.0.load(Ordering::Relaxed);
    drop(place);
    scene.tell().await;
    assert_eq!(left.0.load(Ordering::Relaxed), before);
    let _newcomer = scene.join();
    assert_eq!(scene.rows(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_row_ends_with_its_last_guest_and_the_next_one_gets_another() {
    let scene = Scene::new();
    let (_, place) = scene.join();
    scene.tell().await;
    drop(place);
    scene.tell().await;
    assert_eq!(scene.rows(), 0);
    let (guest, _place) = scene.join();
    scene.tell().await;
    assert!(guest.0.load(Ordering::Relaxed) > 0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_has_gone_keeps_no_row_busy() {
    let scene = Scene::new();
    let (guest, _place) = scene.join();
    drop(scene.news);
    sleep(LOOK * 10).await;
    assert!(guest.0.load(Ordering::Relaxed) <= 12);
}

#[tokio::test(start_paused = true)]
async fn news_of_a_few_milliseconds_are_one_turn_while_the_relay_has_no_time_left() {
    let scene = Scene::new();
    let (guest, _place) = scene.join();
    scene.tell().await;
    let turns = async || {
        let before = guest.0.load(Ordering::Relaxed);
        for _ in 0..40 {
            scene.tell().await;
        }
        guest.0.load(Ordering::Relaxed) - before
    };
    assert_eq!(turns().await, 40);
    scene.fan_out.merging.load_is(100);
    // The first of them comes at once.
    assert!((2..=3).contains(&turns().await));
    scene.fan_out.merging.load_is(10);
    sleep(MERGED).await;
    assert_eq!(turns().await, 40);
}
