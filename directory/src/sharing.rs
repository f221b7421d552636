//! One directory among several that share a store: what changes here is told to the others, what changes there is taken over, and
//! without the store each goes on from what it knows. The registry says what is merged how; this is the shell around it.

mod key;
mod link;
mod present;

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use protocol::{
    RelayName, StreamId,
    limits::{RECORD_TIME_MAX, RELAY_SILENCE_TIME_MAX},
    signing::PublicKey,
};
use thiserror::Error;
use tokio::time::{MissedTickBehavior, interval, interval_at, sleep, timeout};
use tracing::{error, info, warn};

pub(crate) use self::link::Link;
use self::{
    key::Key,
    link::{Standing, Told},
    present::{BEAT_INTERVAL, Present},
};
use crate::{
    app::{self, App},
    registry::{SharedRelay, SharedStream},
    state_file::{Kept, State},
    store::{Away, Change, Changes, Entry, Put, Store},
};

/// First pause before the store is asked again that was away; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// Longest pause: how much later than the store a directory is back at most.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How often all is read anew. It finds what nobody heard of, because somebody else changed the store by hand.
const READ_ANEW_INTERVAL: Duration = Duration::from_secs(60);

/// How long a stream stays in the store that no directory speaks of: as long as its broadcaster could bring it back.
const STREAM_KEPT: Duration = RECORD_TIME_MAX;

/// How often streams are written though nothing has changed, so that they stay.
const REFRESH_INTERVAL: Duration = Duration::from_secs(STREAM_KEPT.as_secs() / 4);

/// How long it stays there that a stream has ended: relays and directories that were cut off are back by then.
const ENDED_KEPT: Duration = Duration::from_secs(3600);

/// How long it stays there that a directory is there.
const PRESENT_KEPT: Duration = Duration::from_secs(5);

/// Writes under way at a time.
const WRITES_MAX: usize = 64;

/// How often something is told anew at once that another directory was faster with.
const TRIES_MAX: usize = 8;

/// How long a directory that ends takes for saying so.
const FAREWELL_TIME_MAX: Duration = Duration::from_millis(500);

/// Why a directory is not one of several.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Problem {
    /// The store can't be asked.
    #[error(transparent)]
    Away(#[from] Away),
    /// It is that of other directories.
    #[error(
        "the directories that share it sign with another ticket key; give this one their ticket-key.der, or another store"
    )]
    Stranger,
}

/// Whether a directory with this ticket key belongs to those that share the store. The first one says which key it is.
pub(crate) async fn check(store: &dyn Store, ticket_key: PublicKey) -> Result<(), Problem> {
    let own = ticket_key.to_string();
    match store.put(key::TICKET_KEY, None, Some(&own), None).await? {
        Put::Other(Some(there)) if there.text != own => Err(Problem::Stranger),
        _ => Ok(()),
    }
}

/// Shares until the directory stops.
pub(crate) async fn share(app: App, link: Arc<Link>) {
    let Ok(name) = app::random().map(u64::from_le_bytes) else { return };
    let name = format!("{name:016x}");
    let stopping = app.life().stopping();
    let mut pause = PAUSE_MIN;
    while !stopping.is_cancelled() {
        let Err(problem) = Session::run(&app, &link, &name).await else { break };
        app.registry(|registry, now_us| {
            registry.set_alone(now_us, true);
            registry.set_leads(true);
        });
        pause = if link.is_joined() { PAUSE_MIN } else { (pause * 2).min(PAUSE_MAX) };
        apart(&app, &link, &problem);
        stopping.run_until_cancelled(sleep(pause)).await;
    }
}

fn apart(app: &App, link: &Link, problem: &Problem) {
    let first = link.stand_apart(problem.to_string());
    if first {
        app.metrics().store_lost.inc();
        warn!(store = link.shown(), "the store is away: this directory goes on from memory ({problem})");
    }
}

/// While the store is there.
struct Session<'a> {
    app: &'a App,
    link: &'a Link,
    present: Present,
}

impl Session<'_> {
    /// Until the directory stops, or the store goes away.
    async fn run(app: &App, link: &Link, name: &str) -> Result<(), Problem> {
        // First, so that nothing is missed of what changes while all is read.
        let mut changes = link.follow().await?;
        check(link.store(), app.ticket_key()).await?;
        let present = Present::new(name.to_owned(), Instant::now());
        let mut session = Session { app, link, present };
        session.join().await?;
        session.go_on(&mut changes).await
    }

    /// Takes over all that the others know, and tells what they do not.
    async fn join(&mut self) -> Result<(), Problem> {
        let (app, link) = (self.app, self.link);
        link.stand(Standing::Reading);
        app.registry(|registry, _| registry.forget_what_was_told());
        let there = self.read_all().await?;
        app.registry(|registry, now_us| {
            registry.set_alone(now_us, false);
            registry.touch_missing(|id| there.contains(id), true);
        });
        app.members().tell_all().await;
        app.passes().tell_all().await;
        app.ended_streams().tell_all().await;
        self.flush().await?;
        link.stand(Standing::Joined { directories: self.present.count() });
        info!(store = link.shown(), "what this directory knows is shared");
        Ok(())
    }

    async fn go_on(&mut self, changes: &mut Changes) -> Result<(), Problem> {
        let stopping = self.app.life().stopping();
        let mut beats = interval(BEAT_INTERVAL);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let now = tokio::time::Instant::now();
        let mut anew = interval_at(now + READ_ANEW_INTERVAL, READ_ANEW_INTERVAL);
        let mut refresh = interval_at(now + REFRESH_INTERVAL, REFRESH_INTERVAL);
        loop {
            tokio::select! {
                change = changes.next() => {
                    let change = change.ok_or_else(|| Away("its connection was closed".to_owned()))?;
                    self.hear(change).await;
                }
                () = self.link.woken() => self.flush().await?,
                _ = beats.tick() => self.beat().await?,
                () = stopping.cancelled() => return self.leave().await,
                _ = anew.tick() => {
                    let there = self.read_all().await?;
                    self.app.registry(|registry, _| registry.touch_missing(|id| there.contains(id), false));
                }
                _ = refresh.tick() => self.app.registry(|registry, _| registry.touch_missing(|_| false, false)),
            }
        }
    }

    /// Says what there is left to say. What is asked for in the time that requests have to finish is not waited for any more.
    async fn leave(&mut self) -> Result<(), Problem> {
        self.flush().await?;
        let key = Key::Directory(self.present.own().to_owned()).to_string();
        // Or it is missed in some seconds.
        let _ = timeout(FAREWELL_TIME_MAX, self.link.tell(&key, None, None)).await;
        self.link.stand_apart("the directory ends".to_owned());
        Ok(())
    }

    /// Says that this directory is there, and looks who else is.
    async fn beat(&mut self) -> Result<(), Problem> {
        let key = Key::Directory(self.present.own().to_owned()).to_string();
        self.link.tell(&key, Some("{}"), Some(PRESENT_KEPT)).await?;
        if !self.present.hears(Instant::now()) {
            return Err(Away("nothing of what it is told comes back".to_owned()).into());
        }
        self.link.stand(Standing::Joined { directories: self.present.count() });
        let leads = self.present.leads();
        self.app.registry(|registry, _| registry.set_leads(leads));
        Ok(())
    }

    /// Takes over all that is there. Tells which streams that are.
    async fn read_all(&mut self) -> Result<HashSet<StreamId>, Problem> {
        let entries = self.link.read_all().await?;
        let mut entries: Vec<_> =
            entries.into_iter().filter_map(|(key, entry)| Some((Key::of(&key)?, entry))).collect();
        // Who belongs here is known before relays are taken over, and the epochs of streams before relays tell of them.
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut streams = HashSet::new();
        for (key, entry) in entries {
            if let Key::Stream(id) = key {
                streams.insert(id);
            }
            self.absorb(key, Some(entry)).await;
        }
        Ok(streams)
    }

    async fn hear(&mut self, change: Change) {
        let news = self.link.hear(&change);
        match Key::of(&change.key) {
            Some(Key::Directory(name)) => self.present.heard(&name, change.entry.is_some(), Instant::now()),
            Some(key) if news => self.absorb(key, change.entry).await,
            _ => {}
        }
    }

    async fn absorb(&mut self, key: Key, entry: Option<Entry>) {
        self.app.metrics().store_absorbed.inc();
        match key {
            Key::Members => self.absorb_members(entry).await,
            Key::Passes => self.absorb_passes(entry).await,
            Key::EndedStreams => drop(absorb(self.app.ended_streams(), entry).await),
            Key::Relay(name) => self.absorb_relay(&name, entry).await,
            Key::Stream(id) => self.absorb_stream(id, entry.as_ref()),
            Key::Directory(name) => self.present.heard(&name, entry.is_some(), Instant::now()),
            Key::Signer => {}
        }
    }

    async fn absorb_members(&self, entry: Option<Entry>) {
        if let Some((_, members)) = absorb(self.app.members(), entry).await {
            self.app.registry(|registry, now_us| {
                registry.keep_those_that_belong(now_us, |name, key| members.belongs(name, key));
            });
        }
    }

    async fn absorb_passes(&self, entry: Option<Entry>) {
        let Some((before, passes)) = absorb(self.app.passes(), entry).await else { return };
        for pass in passes.revoked_since(&before) {
            self.app.registry(|registry, _| registry.end_of_pass(pass));
        }
    }

    async fn absorb_relay(&self, name: &RelayName, entry: Option<Entry>) {
        // One that is gone was shut out, or is silent: both are noticed here, too.
        let Some(relay) = entry.as_ref().and_then(read::<SharedRelay>) else { return };
        let key = relay.public_key();
        if relay.name() != name || !self.app.members().get().await.belongs(name, &key) {
            return;
        }
        let known = self.app.registry(|registry, now_us| {
            let known = registry.key_of(name) == Some(key);
            registry.absorb_relay(now_us, relay);
            known
        });
        if !known {
            self.app.relay_joined();
        }
    }

    fn absorb_stream(&self, id: StreamId, entry: Option<&Entry>) {
        match entry {
            Some(entry) => {
                if let Some(theirs) = read::<SharedStream>(entry) {
                    self.app.registry(|registry, now_us| registry.absorb_stream(now_us, id, theirs));
                }
            }
            None => self.app.registry(|registry, _| registry.absorb_no_stream(id)),
        }
    }

    /// Tells the others what has changed here.
    async fn flush(&self) -> Result<(), Problem> {
        let wanted = self.link.wanted();
        let touched = self.app.registry(|registry, _| registry.take_touched());
        let streams = stream::iter(touched.streams).map(Ok::<_, Problem>);
        streams.try_for_each_concurrent(WRITES_MAX, |id| self.tell_stream(id)).await?;
        let relays = stream::iter(touched.relays).map(Ok::<_, Problem>);
        relays.try_for_each_concurrent(WRITES_MAX, async |name| self.tell_relay(&name).await).await?;
        self.link.told_up_to(wanted);
        Ok(())
    }

    async fn tell_stream(&self, id: StreamId) -> Result<(), Problem> {
        let key = Key::Stream(id).to_string();
        for _ in 0..TRIES_MAX {
            let own = self.app.registry(|registry, _| registry.shared_stream(id));
            let kept = if matches!(own, Some(SharedStream::On(_))) { STREAM_KEPT } else { ENDED_KEPT };
            let text = own.as_ref().and_then(|own| serde_json::to_string(own).ok());
            let Told::Other(there) = self.link.tell(&key, text.as_deref(), Some(kept)).await? else { return Ok(()) };
            let Some(theirs) = there.as_ref().and_then(read::<SharedStream>) else { continue };
            let same = self.app.registry(|registry, now_us| {
                registry.yield_to(now_us, id, theirs.clone());
                registry.shared_stream(id) == Some(theirs)
            });
            if same {
                return Ok(());
            }
        }
        self.app.registry(|registry, _| registry.tell_again(id));
        Ok(())
    }

    async fn tell_relay(&self, name: &RelayName) -> Result<(), Problem> {
        let key = Key::Relay(name.clone()).to_string();
        for _ in 0..TRIES_MAX {
            let own = self.app.registry(|registry, _| registry.shared_relay(name));
            let text = own.as_ref().and_then(|own| serde_json::to_string(own).ok());
            let told = self.link.tell(&key, text.as_deref(), Some(RELAY_SILENCE_TIME_MAX)).await?;
            let Told::Other(there) = told else { return Ok(()) };
            let Some(theirs) = there.as_ref().and_then(read::<SharedRelay>) else { continue };
            self.absorb_relay(name, there).await;
            let own = self.app.registry(|registry, _| registry.shared_relay(name));
            if own.is_none_or(|own| own.says_nothing_more_than(&theirs)) {
                return Ok(());
            }
        }
        Ok(())
    }
}

async fn absorb<T: State + Sync>(kept: &Kept<T>, entry: Option<Entry>) -> Option<(Arc<T>, Arc<T>)> {
    kept.absorb(&entry?).await
}

fn read<T: serde::de::DeserializeOwned>(entry: &Entry) -> Option<T> {
    serde_json::from_str(&entry.text)
        .inspect_err(|error| {
            // Not the text, which may hold hashes of secrets.
            error!(
                line = error.line(),
                column = error.column(),
                "an entry of the store can't be read; is it of another release?"
            );
        })
        .ok()
}
