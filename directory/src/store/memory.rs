//! A store in the memory of one process, for directories that live together in it.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::StreamExt as _;
use tokio::{sync::broadcast, time::Instant};
use tokio_stream::wrappers::BroadcastStream;

use super::{Away, Change, Changes, Entry, Put, Store, Tag};

/// Changes that a slow follower may be behind; past them it has to read all anew.
const CHANGES_BEHIND_MAX: usize = 4096;

/// See the module.
#[derive(Debug)]
pub struct MemoryStore {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    entries: HashMap<String, Kept>,
    changes: broadcast::Sender<Change>,
    away: bool,
}

#[derive(Debug)]
struct Kept {
    entry: Entry,
    until: Option<Instant>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        let changes = broadcast::Sender::new(CHANGES_BEHIND_MAX);
        Self { inner: Mutex::new(Inner { entries: HashMap::new(), changes, away: false }) }
    }
}

impl MemoryStore {
    /// From now on nobody can ask it, as though its server were gone; or everybody can again.
    pub fn set_away(&self, away: bool) {
        let mut inner = self.lock();
        inner.away = away;
        // Whoever followed is cut off.
        inner.changes = broadcast::Sender::new(CHANGES_BEHIND_MAX);
    }

    /// Forgets all entries without a word, as a server that was restarted.
    pub fn forget(&self) {
        self.lock().entries.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The inside, without what is out of time.
    fn ask(&self) -> Result<MutexGuard<'_, Inner>, Away> {
        let mut inner = self.lock();
        if inner.away {
            return Err(Away("the store is away".to_owned()));
        }
        let now = Instant::now();
        inner.entries.retain(|_, kept| kept.until.is_none_or(|until| now < until));
        Ok(inner)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn put(
        &self,
        key: &str,
        before: Option<Tag>,
        text: Option<&str>,
        kept: Option<Duration>,
    ) -> Result<Put, Away> {
        let tag = Tag::random()?;
        let mut inner = self.ask()?;
        let there = inner.entries.get(key).map(|kept| &kept.entry);
        if there.map(|entry| entry.tag) != before {
            return Ok(Put::Other(there.cloned()));
        }
        let entry = text.map(|text| Entry { tag, text: text.to_owned() });
        match entry.clone() {
            Some(entry) => {
                let until = kept.map(|kept| Instant::now() + kept);
                inner.entries.insert(key.to_owned(), Kept { entry, until });
            }
            None => drop(inner.entries.remove(key)),
        }
        // Nobody follows: nobody misses it.
        let _ = inner.changes.send(Change { key: key.to_owned(), entry: entry.clone() });
        Ok(Put::Done(entry.map(|entry| entry.tag)))
    }

    async fn all(&self) -> Result<Vec<(String, Entry)>, Away> {
        Ok(self.ask()?.entries.iter().map(|(key, kept)| (key.clone(), kept.entry.clone())).collect())
    }

    async fn follow(&self) -> Result<Changes, Away> {
        let changes = BroadcastStream::new(self.ask()?.changes.subscribe());
        // Whoever was too slow has missed some.
        Ok(changes
            .take_while(|change| std::future::ready(change.is_ok()))
            .filter_map(async |change| change.ok())
            .boxed())
    }

    fn shown(&self) -> &str {
        "memory"
    }
}
