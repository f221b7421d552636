//! A stream that goes through a chain of relays: the one in the middle dies, and whoever watches at the end goes on where they are.

use std::time::Duration;

use protocol::{ViewerId, http::RelayAddress, ticket::Grant};
use stage::now_ms;

use super::{Size, mended, show};
use crate::{
    directory::{Assignment, Relay},
    now_us,
    player::Tempo,
    progress::say,
    show::Show,
    tape::{Event, Tape},
};

/// How long an end that was left stays in the picture.
const STAY: Duration = Duration::from_secs(1);

/// What came of it.
#[derive(Debug)]
pub struct Chained {
    /// What everybody saw. The last of them watched at the end of the chain.
    pub tape: Tape,
    /// The middle was killed.
    pub event: Event,
    /// Where those at the end of the chain watched before and afterwards.
    pub end: (String, Vec<Option<String>>),
}

/// Viewers at the origin, at an edge of it, and, `size.viewers` of them, at an edge of that edge, which may also take the stream
/// from the origin.
pub async fn chain(size: &Size) -> Chained {
    let first = Size { viewers: 1, ..size.clone() };
    let mut show = show(3, false, &first).await;
    let origin = show.origin().await;
    let others: Vec<_> = show.system.relays().into_iter().filter(|name| *name != origin).collect();
    let [middle, end] = &others[..] else { panic!("three relays: {others:?}") };
    let assignment = sent(&show, middle, &[&origin], 1);
    show.admit_at(assignment, Tempo::default()).await;
    for n in 0..size.viewers {
        let assignment = sent(&show, end, &[middle, &origin], 2 + n as u64);
        show.admit_at(assignment, Tempo::default()).await;
    }
    show.calm().await;
    say(&format!("kill -9 of {middle}, between {origin} and {end}"));
    let at = now_us();
    show.system.kill(middle).await;
    let event = mended(&show, at).await;
    tokio::time::sleep(STAY).await;
    let players = show.players().iter().skip(2);
    let now = players.map(|player| player.sight().relay()).collect();
    let end = (end.clone(), now);
    Chained { tape: show.end().await, event, end }
}

/// Where the directory might send a viewer: to one relay, which has the stream from the first of these that gives it.
fn sent(show: &Show, relay: &str, upstream: &[&str], viewer: u64) -> Assignment {
    let url = |name: &str| show.system.relay_url(name);
    let address = |name: &&str| {
        let relay = name.parse().unwrap_or_else(|error| panic!("{name}: {error}"));
        RelayAddress::new(relay, url(name).parse().unwrap_or_else(|error| panic!("{name}: {error}")))
    };
    let epoch = show.source().map_or(1, |source| source.standing().epoch);
    let name = address(&relay).name;
    let grant = Grant::watch(show.id(), epoch as u32, vec![name], ViewerId(viewer), now_ms() / 1000);
    let grant = Grant { upstream: upstream.iter().map(address).collect(), ..grant };
    let ticket = show.system.directory_key().sign(&grant).unwrap_or_else(|error| panic!("a ticket: {error}"));
    let relays = vec![Relay { name: relay.to_owned(), url: url(relay) }];
    Assignment { relays, ticket: ticket.expose().to_owned(), epoch, record: None, longer_after: None }
}
