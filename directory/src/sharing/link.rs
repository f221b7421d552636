//! One directory's way to the store: what state of each entry it knows, and how things stand.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use service::Clock;
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

use crate::{
    metrics::{Metrics, Reason},
    store::{Away, Change, Changes, Entry, Put, Store, Tag},
};

/// How long an answer waits for the store at most, so that whoever reads it finds the same at any directory. A store that is slower makes
/// nobody else slow.
const SETTLE_TIME_MAX: Duration = Duration::from_millis(250);

/// What came of telling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    /// The others hear it.
    Done,
    /// Another directory was faster: this is there.
    Other(Option<Entry>),
}

/// How a directory stands to the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// It hears them and they hear it. So many there are, itself included.
    Joined { directories: usize },
    /// It reads what they know.
    Reading,
    /// It does not, and why.
    Apart { since_us: u64, why: String },
}

/// See the module.
pub(crate) struct Link {
    store: Arc<dyn Store>,
    clock: Clock,
    metrics: Metrics,
    tags: Mutex<HashMap<String, Tag>>,
    standing: Mutex<Standing>,
    /// Whether it has joined, or could not.
    has_looked: AtomicBool,
    /// Counts what was to be told, and up to where it was.
    wanted: AtomicU64,
    told: watch::Sender<u64>,
    woken: Notify,
}

impl Link {
    pub(crate) fn new(store: Arc<dyn Store>, clock: Clock, metrics: Metrics) -> Self {
        let standing = Standing::Apart { since_us: clock.now_us(), why: String::new() };
        Self {
            store,
            clock,
            metrics,
            tags: Mutex::default(),
            standing: Mutex::new(standing),
            has_looked: AtomicBool::new(false),
            wanted: AtomicU64::new(0),
            told: watch::Sender::new(0),
            woken: Notify::new(),
        }
    }

    pub(crate) fn now_s(&self) -> u64 {
        self.clock.now_s()
    }

    pub(crate) fn is_joined(&self) -> bool {
        matches!(*lock(&self.standing), Standing::Joined { .. })
    }

    /// Whether the store is there.
    pub(crate) fn is_there(&self) -> bool {
        !matches!(*lock(&self.standing), Standing::Apart { .. })
    }

    /// Whether this directory has looked for what the others know: until then it would send away whom they know.
    pub(crate) fn ready(&self) -> Result<(), String> {
        let has_looked = self.has_looked.load(Ordering::SeqCst);
        if has_looked { Ok(()) } else { Err("it is being read what other directories know".to_owned()) }
    }

    /// Takes note of how things stand.
    pub(super) fn stand(&self, standing: Standing) {
        let directories = if let Standing::Joined { directories } = standing { directories } else { 0 };
        self.metrics.store_joined.set((directories > 0).into());
        self.metrics.directories.set(i64::try_from(directories).unwrap_or(i64::MAX));
        if standing != Standing::Reading {
            self.has_looked.store(true, Ordering::SeqCst);
        }
        *lock(&self.standing) = standing;
    }

    /// The store is away; whether it was there until now, or is asked for the first time.
    pub(super) fn stand_apart(&self, why: String) -> bool {
        let (first, since_us) = match &*lock(&self.standing) {
            Standing::Apart { since_us, why } => (why.is_empty(), *since_us),
            Standing::Joined { .. } | Standing::Reading => (true, self.clock.now_us()),
        };
        self.stand(Standing::Apart { since_us, why });
        first
    }

    /// How things stand, for people.
    pub(crate) fn words(&self) -> String {
        let store = self.store.shown();
        match &*lock(&self.standing) {
            Standing::Joined { directories: 1 } => format!("1 directory shares {store}"),
            Standing::Joined { directories } => format!("{directories} directories share {store}"),
            Standing::Reading => format!("what other directories know is read from {store}"),
            Standing::Apart { since_us, why } => {
                let seconds = self.clock.now_us().saturating_sub(*since_us) / 1_000_000;
                format!(
                    "the store {store} is away for {seconds} s ({why}): this directory goes on from memory, and shares \
                     nothing meanwhile"
                )
            }
        }
    }

    /// Something is to be told.
    pub(crate) fn wake(&self) {
        self.wanted.fetch_add(1, Ordering::SeqCst);
        self.woken.notify_one();
    }

    pub(super) async fn woken(&self) {
        self.woken.notified().await;
    }

    /// Up to where things are to be told by now.
    pub(super) fn wanted(&self) -> u64 {
        self.wanted.load(Ordering::SeqCst)
    }

    pub(super) fn told_up_to(&self, wanted: u64) {
        self.told.send_replace(wanted);
    }

    /// Waits until what was to be told is told, as far as that takes no longer than a moment.
    pub(crate) async fn settled(&self) {
        if self.is_joined() {
            let wanted = self.wanted();
            let mut told = self.told.subscribe();
            // Past that it is told later.
            let _ = timeout(SETTLE_TIME_MAX, told.wait_for(|told| *told >= wanted)).await;
        }
    }

    /// Makes the entry of a key say this, if nobody else has changed it meanwhile.
    pub(super) async fn tell(&self, key: &str, text: Option<&str>, kept: Option<Duration>) -> Result<Told, Away> {
        let before = lock(&self.tags).get(key).copied();
        if before.is_none() && text.is_none() {
            return Ok(Told::Done);
        }
        Ok(match self.put(key, before, text, kept).await? {
            Put::Done(tag) => {
                self.know(key, tag);
                Told::Done
            }
            Put::Other(there) => {
                self.know(key, there.as_ref().map(|entry| entry.tag));
                Told::Other(there)
            }
        })
    }

    /// Makes the entry of a key say this, if it is in this state. For who keeps account of states.
    pub(crate) async fn put(
        &self,
        key: &str,
        before: Option<Tag>,
        text: Option<&str>,
        kept: Option<Duration>,
    ) -> Result<Put, Away> {
        let put = self.store.put(key, before, text, kept).await;
        let reason = match &put {
            Ok(Put::Done(_)) => "done",
            Ok(Put::Other(_)) => "other_was_faster",
            Err(_) => "away",
        };
        self.metrics.store_writes.get_or_create(&Reason { reason }).inc();
        put
    }

    /// Takes note of a change; whether it is news.
    pub(super) fn hear(&self, change: &Change) -> bool {
        let tag = change.entry.as_ref().map(|entry| entry.tag);
        let news = lock(&self.tags).get(&change.key).copied() != tag;
        self.know(&change.key, tag);
        news
    }

    /// All entries, whose states are known from then on.
    pub(super) async fn read_all(&self) -> Result<Vec<(String, Entry)>, Away> {
        let entries = self.store.all().await?;
        let tags = entries.iter().map(|(key, entry)| (key.clone(), entry.tag)).collect();
        *lock(&self.tags) = tags;
        Ok(entries)
    }

    /// All changes from now on. Nothing is known of what is there.
    pub(super) async fn follow(&self) -> Result<Changes, Away> {
        lock(&self.tags).clear();
        self.store.follow().await
    }

    pub(super) fn store(&self) -> &dyn Store {
        &*self.store
    }

    pub(super) fn shown(&self) -> &str {
        self.store.shown()
    }

    fn know(&self, key: &str, tag: Option<Tag>) {
        let mut tags = lock(&self.tags);
        match tag {
            Some(tag) => drop(tags.insert(key.to_owned(), tag)),
            None => drop(tags.remove(key)),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
