//! One stream, its servers and its viewers: what scenes are played with.

use std::time::Duration;

use protocol::StreamId;
use stage::{Plan, Program, System};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    directory::{Assignment, Directory},
    now_us,
    player::{Player, Report, Tempo},
    progress::say,
    source::{Log, Programme, Source},
    tape::Tape,
};

/// Whoever showed something this recently shows.
const FRESH: Duration = Duration::from_millis(500);

/// For this long everybody must show before the next thing is broken.
const CALM: Duration = Duration::from_secs(1);

/// Longest wait for calm: viewers that need longer are lost, and the scene goes on without them.
const CALM_TIME_MAX: Duration = Duration::from_secs(30);

/// How often players are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Players that are opened at once.
const OPENED_AT_ONCE: usize = 50;

/// Who sends.
#[derive(Debug, Clone)]
pub enum Sender {
    /// A source of made-up bytes.
    Source(Programme),
    /// The product's own `broadcast`, with ffmpeg's test picture.
    Broadcast(Broadcast),
}

/// How `broadcast` is told to send.
#[derive(Debug, Clone)]
pub struct Broadcast {
    /// Its `--bitrate`.
    pub kbit: u32,
    /// More flags.
    pub flags: Vec<&'static str>,
}

impl Default for Broadcast {
    fn default() -> Self {
        Self { kbit: 300, flags: vec![] }
    }
}

enum Running {
    Source(Source),
    Broadcast(Program, StreamId),
}

/// A show that is on.
pub struct Show {
    /// The servers.
    pub system: System,
    sender: Running,
    players: Vec<Player>,
    left: Vec<Report>,
}

impl Show {
    /// Starts servers, goes live, and opens players, which all show something when this returns.
    pub async fn begin(plan: &Plan, sender: Sender, viewers: usize, tempo: Tempo) -> Self {
        let system = System::start_plan(plan).await;
        let directory = Directory::at(system.at(""));
        let sender = match sender {
            Sender::Source(programme) => Running::Source(began(directory.clone(), programme).await),
            Sender::Broadcast(how) => broadcast(&system, &how).await,
        };
        let mut show = Self { system, sender, players: vec![], left: vec![] };
        show.admit(viewers, tempo).await;
        show
    }

    /// Opens more players, which all show something when this returns.
    pub async fn admit(&mut self, viewers: usize, tempo: Tempo) {
        let directory = self.directory();
        for opened in (0..viewers).step_by(OPENED_AT_ONCE) {
            for _ in opened..viewers.min(opened + OPENED_AT_ONCE) {
                self.players.push(Player::open(directory.clone(), self.id(), tempo));
            }
            let shown = self.all_show_since(0, CALM_TIME_MAX).await;
            assert!(shown, "some players never showed anything: {:?}", self.first_silent());
        }
        say(&format!("{} viewers watch", self.players.len()));
    }

    /// Opens a player that is told where to watch.
    pub async fn admit_at(&mut self, assignment: Assignment, tempo: Tempo) {
        self.players.push(Player::sent(self.directory(), self.id(), tempo, Some(assignment)));
        let shown = self.all_show_since(0, CALM_TIME_MAX).await;
        assert!(shown, "it never showed anything: {:?}", self.first_silent());
    }

    /// Lets so many players go, the last ones first.
    pub async fn dismiss(&mut self, count: usize) {
        for player in self.players.split_off(self.players.len() - count) {
            self.left.push(Report { left: true, ..player.close().await });
        }
    }

    /// The players.
    #[must_use]
    pub fn players(&self) -> &[Player] {
        &self.players
    }

    /// The stream.
    #[must_use]
    pub fn id(&self) -> StreamId {
        match &self.sender {
            Running::Source(source) => source.id(),
            Running::Broadcast(_, id) => *id,
        }
    }

    /// The source, where it is one.
    #[must_use]
    pub fn source(&self) -> Option<&Source> {
        match &self.sender {
            Running::Source(source) => Some(source),
            Running::Broadcast(..) => None,
        }
    }

    /// Its link, as it is given to people.
    #[must_use]
    pub fn link(&self) -> String {
        self.system.at(&format!("/view/{}", self.id()))
    }

    /// A client of the directory.
    #[must_use]
    pub fn directory(&self) -> Directory {
        Directory::at(self.system.at(""))
    }

    /// How many players there are.
    #[must_use]
    pub fn viewers(&self) -> usize {
        self.players.len()
    }

    /// The relay that takes the stream in.
    pub async fn origin(&self) -> String {
        stage::eventually("an origin", async || match &self.sender {
            Running::Source(source) => source.standing().relay,
            Running::Broadcast(..) => {
                for name in self.system.relays() {
                    if self.system.metric(&name, "relay_publishers").await > Some(0.0) {
                        return Some(name);
                    }
                }
                None
            }
        })
        .await
    }

    /// How many players watch at each relay.
    #[must_use]
    pub fn spread(&self) -> Vec<(String, usize)> {
        let at =
            |name: &str| self.players.iter().filter(|player| player.sight().relay().as_deref() == Some(name)).count();
        self.system.relays().into_iter().map(|name| (name.clone(), at(&name))).collect()
    }

    /// Waits until everybody who has not given up shows, and has for a moment.
    pub async fn calm(&self) {
        let until = Instant::now() + CALM_TIME_MAX;
        let mut calm_since = Instant::now();
        while Instant::now() < until && calm_since.elapsed() < CALM {
            let now = now_us();
            let fresh = |player: &Player| {
                player.sight().over().is_some()
                    || now.saturating_sub(player.sight().last_shown_us()) < FRESH.as_micros() as u64
            };
            if !self.players.iter().all(fresh) {
                calm_since = Instant::now();
            }
            sleep(LOOK_INTERVAL).await;
        }
    }

    /// Waits until everybody who has not given up has shown something new since `at_us`; whether they have within `patience`.
    pub async fn all_show_since(&self, at_us: u64, patience: Duration) -> bool {
        let all = async {
            while self
                .players
                .iter()
                .any(|player| player.sight().over().is_none() && player.sight().last_shown_us() <= at_us)
            {
                sleep(LOOK_INTERVAL).await;
            }
        };
        timeout(patience, all).await.is_ok()
    }

    fn first_silent(&self) -> Option<&Player> {
        self.players.iter().find(|player| player.sight().last_shown_us() == 0)
    }

    /// Ends it all; what everybody saw.
    pub async fn end(self) -> Tape {
        self.end_but_for_servers().await.0
    }

    /// Ends it all, the directory by a word, on which it ends what it has started.
    pub async fn end_all(self) -> Tape {
        let (tape, mut system) = self.end_but_for_servers().await;
        let status = system.terminate("directory", stage::PATIENCE).await;
        assert!(status.is_some_and(|status| status.success()), "the directory ended with {status:?}");
        tape
    }

    async fn end_but_for_servers(self) -> (Tape, System) {
        let ended_us = now_us();
        let mut reports = self.left;
        for player in self.players {
            reports.push(player.close().await);
        }
        let log = match self.sender {
            Running::Source(source) => Some(source.end().await),
            Running::Broadcast(program, _) => {
                program.end().await;
                None
            }
        };
        let Log { made, diary } = log.unwrap_or_default();
        (Tape::new(reports, made, diary, ended_us), self.system)
    }
}

/// A source that is live. Relays that have just joined may take a moment until they get work.
pub async fn began(directory: Directory, programme: Programme) -> Source {
    stage::eventually("a relay for the stream", async || Source::begin(directory.clone(), programme.clone()).await.ok())
        .await
}

async fn broadcast(system: &System, how: &Broadcast) -> Running {
    let (directory, kbit) = (system.at(""), how.kbit.to_string());
    let mut arguments = vec!["--directory", &directory, "--source", "test", "--title", "Chaos", "--bitrate", &kbit];
    arguments.extend(["--visibility", "public"]);
    arguments.extend(&how.flags);
    let program = Program::start("broadcast", &arguments);
    let link = program.first_line().await;
    let id = link.rsplit('/').next().and_then(|id| id.parse().ok());
    Running::Broadcast(program, id.unwrap_or_else(|| panic!("{link} is not a link to a stream")))
}
