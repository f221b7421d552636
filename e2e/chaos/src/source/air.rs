//! How a source stays on air: makes chunks in step with the clock, sends them over one line or two, and goes on elsewhere when a
//! relay dies, falls silent, or has to be left.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::BoxFuture;
use protocol::{MediaHeader, MediaKind, PROTOCOL_VERSION, StreamId, TrackNumber};
use serde_json::{Value, json};
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
    directory::{Assignment, Directory, Refusal, Relay},
    feed::{LinkId, Place},
    now_us,
};

/// A relay that confirms nothing for this long may be dead: another one is opened beside it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Both relays of a move get everything for this long at most.
const OVERLAP_TIME_MAX: Duration = Duration::from_secs(3);

/// Pauses between rounds in which nothing helped.
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// How often the clocks are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(25);

/// How long the goodbye may take to get out.
const GOODBYE_TIME: Duration = Duration::from_millis(200);

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

/// The numbers of a track.
#[derive(Debug)]
struct Track {
    number: TrackNumber,
    place: Place,
    chunks: u32,
    key_wanted: bool,
}

impl Track {
    const fn new(number: TrackNumber, chunks: u32) -> Self {
        // The first chunk begins segment 1.
        Self { number, place: Place { segment: 0, chunk: chunks - 1 }, chunks, key_wanted: true }
    }

    fn next(&mut self) -> MediaHeader {
        if self.key_wanted || self.place.chunk + 1 >= self.chunks {
            self.place = Place { segment: self.place.segment + 1, chunk: 0 };
            self.key_wanted = false;
        } else {
            self.place.chunk += 1;
        }
        MediaHeader {
            kind: MediaKind::Chunk,
            key: self.place.chunk == 0,
            sealed: false,
            track: self.number,
            segment: self.place.segment,
            chunk: self.place.chunk,
            captured_at_us: now_us(),
        }
    }
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
            payload: vec![0xa5; programme.chunk_bytes],
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
        tokio::time::sleep(GOODBYE_TIME).await;
        self.log
    }

    /// Makes the next chunk of a track and sends it wherever it can be decoded.
    fn make(&mut self, number: TrackNumber) {
        let track = if number == PICTURE { Some(&mut self.picture) } else { self.sound.as_mut() };
        let Some(track) = track else { return };
        let header = track.next();
        self.log.made.push(Made { track: number, place: Place::of(&header), at_us: header.captured_at_us });
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

    fn open_beside_silent(&mut self) {
        let silent = self.lines.last().map(|line| line.relay.name.clone()).unwrap_or_default();
        self.failed = Some(silent.clone());
        match self.untried() {
            Some(relay) => {
                self.write(format!("{silent} is silent"));
                // The first is kept, in case it speaks again; others were opened beside it and are silent too.
                self.lines.truncate(1);
                let kept: Vec<_> = self.lines.iter().map(|line| line.id).collect();
                self.health.retain(|id, _| kept.contains(id));
                self.open(relay);
            }
            None if self.asking.is_none() => self.ask(),
            None => {}
        }
    }

    fn go_on(&mut self) {
        match self.untried() {
            Some(relay) => self.open(relay),
            None => self.ask(),
        }
    }

    fn untried(&self) -> Option<Relay> {
        let here = |name: &str| self.lines.iter().any(|line| line.relay.name == name);
        let mut relays = self.assignment.relays.iter();
        relays.find(|relay| !self.tried.contains(&relay.name) && !here(&relay.name)).cloned()
    }

    fn open(&mut self, relay: Relay) {
        self.lines_made += 1;
        let id = LinkId(self.lines_made);
        let mut tracks = vec![json!({
            "track": PICTURE.0, "kind": "video", "codec": "avc1.4D401F", "width": 640, "height": 360,
            "frame_rate": self.programme.rate,
        })];
        if self.sound.is_some() {
            tracks.push(json!({
                "track": SOUND.0, "kind": "sound", "codec": "opus", "sample_rate": 48000, "channels": 2,
            }));
        }
        let hello = json!({
            "type": "register_new_stream", "protocol": PROTOCOL_VERSION, "ticket": self.assignment.ticket, "tracks": tracks,
        });
        self.write(format!("opens {} in epoch {}", relay.name, self.assignment.epoch));
        self.tried.insert(relay.name.clone());
        let health = Health {
            registered: false,
            received: 0,
            grew_at: Instant::now(),
            needs_key: HashSet::new(),
            left_at: None,
        };
        self.health.insert(id, health);
        self.lines.push(Line::begin(id, relay, self.assignment.epoch, hello, self.tell.clone()));
    }

    fn ask(&mut self) {
        self.write(format!("asks where to go ({} failed)", self.failed.as_deref().unwrap_or("none")));
        let asking = self.directory.clone().assignment(self.id, self.key.clone(), self.failed.clone());
        self.asking = Some(Box::pin(async { Answer::Assignment(asking.await) }));
    }

    fn restore(&mut self) {
        let Some(record) = self.record.clone() else { return };
        self.write("gives its record back".into());
        self.restore_wanted = false;
        let restoring = self.directory.clone().restore(self.key.clone(), record);
        self.asking = Some(Box::pin(async { Answer::Restored(restoring.await) }));
    }

    fn answered(&mut self, answer: Answer) {
        match answer {
            Answer::Assignment(Ok(assignment)) => {
                let names: Vec<_> = assignment.relays.iter().map(|relay| relay.name.as_str()).collect();
                self.write(format!("is sent to {} in epoch {}", names.join(", "), assignment.epoch));
                self.tried.clear();
                if self.rounds > 1 {
                    self.pause();
                }
                self.rounds += 1;
                self.assigned(assignment);
            }
            Answer::Assignment(Err(refusal)) => {
                self.write(format!("the directory: {refusal:?}"));
                if matches!(&refusal, Refusal::Code(code) if code == "stream_not_found") {
                    self.restore_wanted = true;
                    self.restore();
                }
                self.tried.clear();
                self.pause();
            }
            Answer::Restored(Ok(())) => self.write("is known again".into()),
            Answer::Restored(Err(refusal)) => {
                self.write(format!("is not restored: {refusal:?}"));
                self.pause();
            }
        }
    }

    fn pause(&mut self) {
        self.rounds += 1;
        let whole = PAUSE_MIN.saturating_mul(1 << self.rounds.saturating_sub(2).min(8)).min(PAUSE_MAX);
        self.paused_until = Instant::now() + whole.mul_f64(0.5 + 0.5 * rand::random::<f64>());
    }

    /// Goes where an assignment says. One of a higher epoch is a move: the new relay is opened before the old one is left.
    fn assigned(&mut self, assignment: Assignment) {
        if let Some(record) = &assignment.record {
            self.record = Some(record.clone());
        }
        let renewed = json!({ "type": "renew_ticket", "ticket": assignment.ticket });
        let moves = assignment.epoch > self.assignment.epoch;
        if assignment.epoch < self.assignment.epoch {
            return;
        }
        let same = |line: &&Line| {
            line.epoch == assignment.epoch && assignment.relays.iter().any(|relay| relay.name == line.relay.name)
        };
        for line in self.lines.iter().filter(same) {
            line.say(&renewed);
        }
        self.assignment = assignment;
        if !moves && !self.lines.is_empty() {
            return;
        }
        let now = Instant::now();
        if self.lines.is_empty() && now < self.paused_until {
            return;
        }
        if moves {
            self.tried.clear();
        }
        match self.assignment.relays.first().cloned() {
            Some(relay) if self.lines.iter().any(|line| line.relay.name == relay.name) => {
                // The same relay in a new epoch: two connections there would be in each other's way.
                let ids: Vec<_> = self.lines.iter().map(|line| line.id).collect();
                ids.into_iter().for_each(|id| self.forget(id));
                self.open(relay);
            }
            Some(relay) => self.open(relay),
            None => {}
        }
    }

    fn obey(&mut self, ordered: Ordered) {
        match ordered {
            Ordered::Unknown => self.restore_wanted = true,
            Ordered::Order(order) => match order["type"].as_str().unwrap_or_default() {
                "assignment" => {
                    if let Some(assignment) = Assignment::read(&order["assignment"]) {
                        if assignment.epoch != self.assignment.epoch {
                            let names: Vec<_> = assignment.relays.iter().map(|relay| relay.name.as_str()).collect();
                            self.write(format!("is ordered to {} in epoch {}", names.join(", "), assignment.epoch));
                        }
                        self.assigned(assignment);
                    }
                }
                "end" => self.give_up("ended by the directory"),
                _ => {}
            },
        }
    }

    fn hear(&mut self, id: LinkId, told: Told) {
        let Some(name) = self.lines.iter().find(|line| line.id == id).map(|line| line.relay.name.clone()) else {
            return;
        };
        match told {
            Told::Closed => {
                self.write(format!("{name} has closed"));
                if self.lines.last().is_some_and(|line| line.id == id) {
                    self.failed = Some(name);
                }
                self.drop_line(id);
            }
            Told::Message(message) => self.message(id, &name, &message),
        }
    }

    fn message(&mut self, id: LinkId, name: &str, message: &Value) {
        match message["type"].as_str().unwrap_or_default() {
            "stream_registered" => self.registered(id),
            "received" => {
                let Some(health) = self.health.get_mut(&id) else { return };
                let chunks = message["chunks"].as_u64().unwrap_or_default();
                if chunks > health.received {
                    (health.received, health.grew_at) = (chunks, Instant::now());
                    self.keep(id);
                }
            }
            "key_frame_wanted" => {
                let wanted = message["track"].as_u64();
                for track in std::iter::once(&mut self.picture).chain(&mut self.sound) {
                    track.key_wanted |= Some(u64::from(track.number.0)) == wanted;
                }
            }
            "move" => {
                let relays = Relay::list(&message["relays"]);
                let ticket = message["ticket"].as_str().unwrap_or_default().to_owned();
                self.write(format!("is told by {name} to move"));
                let epoch = self.assignment.epoch + 1;
                self.assigned(Assignment { relays, ticket, epoch, record: None });
            }
            "error" => self.write(format!("is told {} by {name}", message["code"].as_str().unwrap_or_default())),
            _ => {}
        }
    }

    /// A line may be sent to: it begins with init segments and, at once, key frames.
    fn registered(&mut self, id: LinkId) {
        let Some(line) = self.lines.iter().find(|line| line.id == id) else { return };
        let tracks = std::iter::once(&mut self.picture).chain(&mut self.sound);
        let Some(health) = self.health.get_mut(&id) else { return };
        (health.registered, health.grew_at) = (true, Instant::now());
        for track in tracks {
            track.key_wanted = true;
            health.needs_key.insert(track.number);
            let header = MediaHeader {
                kind: MediaKind::Init,
                key: false,
                sealed: false,
                track: track.number,
                segment: 0,
                chunk: 0,
                captured_at_us: now_us(),
            };
            line.send(Message::binary(header.message(&self.payload)));
        }
        // The relay that is left tells its viewers where the stream goes on.
        let (epoch, now) = (line.epoch, Instant::now());
        let relays: Vec<_> =
            self.assignment.relays.iter().map(|relay| json!({ "name": relay.name, "url": relay.url })).collect();
        let moving = json!({ "type": "moving", "relays": relays, "epoch": epoch });
        for old in self.lines.iter().filter(|old| old.epoch < epoch) {
            if let Some(health) = self.health.get_mut(&old.id).filter(|health| health.left_at.is_none()) {
                health.left_at = Some(now + OVERLAP_TIME_MAX);
                if health.registered {
                    old.say(&moving);
                }
            }
        }
        // Pictures come at once, not with the next of their own accord.
        self.make(PICTURE);
        self.make(SOUND);
    }

    /// A line confirms media: those that were opened beside it in the same epoch are not needed.
    fn keep(&mut self, id: LinkId) {
        (self.rounds, self.failed) = (0, None);
        let Some(epoch) = self.lines.iter().find(|line| line.id == id).map(|line| line.epoch) else { return };
        let others: Vec<_> =
            self.lines.iter().filter(|line| line.id != id && line.epoch == epoch).map(|line| line.id).collect();
        others.into_iter().for_each(|other| self.forget(other));
        let here: Vec<_> = self.lines.iter().map(|line| line.relay.name.clone()).collect();
        self.tried.retain(|name| here.contains(name));
    }

    /// Whether no line goes, or is about to go, where the stream belongs.
    fn has_no_home(&self) -> bool {
        !self.lines.iter().any(|line| line.epoch == self.assignment.epoch)
    }

    fn forget(&mut self, id: LinkId) {
        self.lines.retain(|line| line.id != id);
        self.health.remove(&id);
    }

    fn drop_line(&mut self, id: LinkId) {
        self.forget(id);
        if self.has_no_home() && self.asking.is_none() && Instant::now() >= self.paused_until {
            self.go_on();
        }
    }
}

fn paced(every: Duration) -> Interval {
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    ticks
}
