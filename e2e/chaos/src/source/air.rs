//! How a source stays on air: makes chunks in step with the clock, sends them over one line or two, and goes on elsewhere when a
//! relay dies, falls silent, or has to be left.

mod going;
mod hearing;
mod track;

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::{BoxFuture, join_all};
use protocol::{StreamId, TrackNumber};
use serde_json::json;
use tokio::{
    sync::mpsc,
    time::{Instant, Interval, MissedTickBehavior, interval, interval_at},
};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

use super::{
    Log, Made, PICTURE, Programme, SOUND, SOUND_CHUNKS, SOUND_INTERVAL, Standing,
    line::{Line, Told},
    orders::{self, Ordered},
};
use crate::{
    directory::{Assignment, Directory, Refusal},
    feed::{LinkId, Place},
    now_us,
};
use track::Track;

/// A relay that confirms nothing for this long may be dead: another one is opened beside it.
const PATIENCE: Duration = Duration::from_secs(1);

/// What payloads are made of.
const PAYLOAD_BYTE: u8 = 0xa5;

/// How often the clocks are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(25);

/// What is known of a line.
#[derive(Debug)]
struct Health {
    registered: bool,
    received: u64,
    grew_at: Instant,
    /// Tracks that go on with a key frame here.
    needs_key: HashSet<TrackNumber>,
    /// When a line that is left is closed.
    left_at: Option<Instant>,
}

/// What the directory is asked.
enum Answer {
    Assignment(Result<Assignment, Refusal>),
    Restored(Result<(), Refusal>),
}

pub(super) struct Air {
    directory: Directory,
    id: StreamId,
    key: String,
    assignment: Assignment,
    record: Option<String>,
    programme: Programme,
    standing: Arc<Mutex<Standing>>,
    lines: Vec<Line>,
    health: HashMap<LinkId, Health>,
    tell: mpsc::UnboundedSender<(LinkId, Told)>,
    told: mpsc::UnboundedReceiver<(LinkId, Told)>,
    ordered: mpsc::UnboundedReceiver<Ordered>,
    asking: Option<BoxFuture<'static, Answer>>,
    restore_wanted: bool,
    tried: HashSet<String>,
    failed: Option<String>,
    rounds: u32,
    paused_until: Instant,
    lines_made: u32,
    picture: Track,
    sound: Option<Track>,
    /// Bytes of each payload, which may change.
    chunk_bytes: Arc<AtomicUsize>,
    payload: Vec<u8>,
    log: Log,
}

impl Air {
    pub(super) fn new(
        directory: Directory,
        id: StreamId,
        key: String,
        assignment: Assignment,
        programme: Programme,
        standing: Arc<Mutex<Standing>>,
        chunk_bytes: Arc<AtomicUsize>,
    ) -> Self {
        let (tell, told) = mpsc::unbounded_channel();
        let (tell_orders, ordered) = mpsc::unbounded_channel();
        tokio::spawn(orders::hold(directory.clone(), id, key.clone(), tell_orders));
        Self {
            directory,
            id,
            key,
            record: assignment.record.clone(),
            assignment,
            standing,
            lines: vec![],
            health: HashMap::new(),
            tell,
            told,
            ordered,
            asking: None,
            restore_wanted: false,
            tried: HashSet::new(),
            failed: None,
            rounds: 0,
            paused_until: Instant::now(),
            lines_made: 0,
            picture: Track::new(PICTURE, programme.key_interval),
            sound: programme.sound.then(|| Track::new(SOUND, SOUND_CHUNKS)),
            payload: vec![PAYLOAD_BYTE; programme.chunk_bytes],
            chunk_bytes,
            programme,
            log: Log::default(),
        }
    }

    pub(super) async fn run(mut self, stop: CancellationToken) -> Log {
        let mut frames = paced(Duration::from_secs(1) / self.programme.rate);
        let mut sounds = paced(SOUND_INTERVAL);
        let mut looks = interval(LOOK_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.standing.lock().unwrap_or_else(PoisonError::into_inner).over.is_none() {
            let asked = async {
                match &mut self.asking {
                    Some(asking) => asking.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                _ = frames.tick() => self.make(PICTURE),
                _ = sounds.tick(), if self.sound.is_some() => self.make(SOUND),
                Some((line, told)) = self.told.recv() => self.hear(line, told),
                Some(ordered) = self.ordered.recv() => self.obey(ordered),
                answer = asked => {
                    self.asking = None;
                    self.answered(answer);
                }
                _ = looks.tick() => self.look(),
            }
            self.show();
        }
        for line in &self.lines {
            line.say(&json!({ "type": "end_stream" }));
        }
        join_all(self.lines.into_iter().map(Line::finish)).await;
        self.log
    }

    /// Makes the next chunk of a track and sends it wherever it can be decoded.
    fn make(&mut self, number: TrackNumber) {
        let track = if number == PICTURE { Some(&mut self.picture) } else { self.sound.as_mut() };
        let Some(track) = track else { return };
        let header = track.next();
        self.log.made.push(Made { track: number, place: Place::of(&header), at_us: header.captured_at_us });
        self.payload.resize(self.chunk_bytes.load(Ordering::Relaxed), PAYLOAD_BYTE);
        let message = Message::binary(header.message(&self.payload));
        for line in &self.lines {
            let Some(health) = self.health.get_mut(&line.id).filter(|health| health.registered) else { continue };
            if header.key {
                health.needs_key.remove(&number);
            }
            if !health.needs_key.contains(&number) && !line.send(message.clone()) {
                health.needs_key.insert(number);
            }
        }
    }

    fn show(&self) {
        // A line that is left is not where the stream is.
        let here = self.lines.iter().rev().find(|line| {
            self.health.get(&line.id).is_some_and(|health| health.received > 0 && health.left_at.is_none())
        });
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        if standing.relay.as_deref() != here.map(|line| line.relay.name.as_str()) {
            standing.relay = here.map(|line| line.relay.name.clone());
        }
        standing.epoch = self.assignment.epoch;
    }

    fn write(&mut self, what: String) {
        self.log.diary.push((now_us(), what));
    }

    fn give_up(&mut self, why: &str) {
        self.write(format!("gave up: {why}"));
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).over = Some(why.to_owned());
    }

    fn look(&mut self) {
        let now = Instant::now();
        let over: Vec<_> = self.lines.iter().map(|line| line.id).filter(|id| self.is_left(*id, now)).collect();
        for id in over {
            self.drop_line(id);
        }
        if self.has_no_home() {
            if self.asking.is_none() && now >= self.paused_until {
                self.go_on();
            }
            return;
        }
        if self.restore_wanted && self.asking.is_none() {
            self.restore();
        }
        let newest_is_silent = self
            .lines
            .last()
            .and_then(|line| self.health.get(&line.id))
            .is_some_and(|health| now - health.grew_at > PATIENCE);
        if newest_is_silent && now >= self.paused_until {
            self.open_beside_silent();
        }
    }

    fn is_left(&self, id: LinkId, now: Instant) -> bool {
        self.health.get(&id).and_then(|health| health.left_at).is_some_and(|at| now >= at)
    }
}

fn paced(every: Duration) -> Interval {
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    ticks
}
