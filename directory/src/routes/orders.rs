//! What the directory wants of one broadcaster, pushed: fresh tickets, other relays, an end.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    response::{
        IntoResponse,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{Stream, stream};
use protocol::{
    BroadcastKey, ErrorCode, StreamId,
    http::{ApiError, Order, RelayAddress},
    limits::TICKET_RENEWED_AFTER,
};
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::sleep,
};

use super::events::NOT_TO_BE_HELD_BACK;
use crate::{
    app::App,
    extract::{Bearer, Client, Id},
    failure::Failure,
    rates::Holding,
    registry::{EndReason, Orders},
};

/// How often a quiet broadcaster hears a comment: it takes the connection for dead a few of them later.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// How exactly the time of a ticket's renewal is kept.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// One broadcaster that listens.
struct Listener {
    app: App,
    stream: StreamId,
    key: BroadcastKey,
    news: watch::Receiver<()>,
    told: Option<Told>,
    ended: bool,
    _permit: OwnedSemaphorePermit,
    _holding: Holding,
}

/// What it was told last.
struct Told {
    epoch: u32,
    list: u32,
    relays: Vec<RelayAddress>,
    at_s: u64,
}

impl Told {
    /// Whether it is to be told again: something is new, or its ticket gets old.
    fn is_outdated(&self, orders: &Orders, now_s: u64) -> bool {
        let news = orders.moved_in_epoch > self.epoch || orders.list != self.list || self.is_short_of(orders);
        news || now_s >= self.at_s.saturating_add(TICKET_RENEWED_AFTER.as_secs())
    }

    /// Whether a relay of the stream was left out that works now, as while relays come back to a directory that was gone. Where that
    /// one dies before the ticket gets old, its broadcaster would have nowhere to go.
    fn is_short_of(&self, orders: &Orders) -> bool {
        let named =
            |relay: &RelayAddress| self.relays.iter().any(|told| told.name == relay.name && told.url == relay.url);
        orders.place.iter().flat_map(|place| &place.relays).any(|relay| !named(relay))
    }
}

/// Pushes what the directory wants of a stream's broadcaster.
#[utoipa::path(
    get,
    path = "/api/streams/{id}/orders",
    tag = "streams",
    operation_id = "orders",
    params(("id" = String, Path, description = "The stream: 32 hexadecimal digits")),
    security(("broadcast_key" = [])),
    responses(
        (
            status = 200,
            description = "Server-sent events, each an `Order` as JSON: the current assignment with a fresh ticket at once, \
                           again in time for each renewal and when more of its relays work, another of a higher epoch when \
                           the stream has to move, and the end when an operator wants it",
            body = Order,
            content_type = "text/event-stream"
        ),
        (status = 400, description = "`invalid_request`: the id is malformed", body = ApiError),
        (status = 401, description = "`unauthorized`: the key is missing or another stream's", body = ApiError),
        (status = 404, description = "`stream_not_found`: it has ended or never was", body = ApiError),
        (status = 429, description = "`too_many_requests`", body = ApiError),
        (status = 503, description = "`too_many_viewers`: as many event streams are open as may be", body = ApiError),
    )
)]
pub(super) async fn orders(
    State(app): State<App>,
    Id(stream): Id,
    Client(client): Client,
    bearer: Bearer,
) -> Result<impl IntoResponse, Failure> {
    let key = super::streams::broadcast_key(&app, stream, &bearer)?;
    let news = app.news_for_broadcasters();
    let holding = app.allowances().open_events(client)?;
    let permit = Arc::clone(app.readers()).try_acquire_owned().map_err(|_| {
        Failure::new(
            ErrorCode::TooManyViewers,
            "as many event streams are open as the directory serves; try again later",
        )
    })?;
    let listener = Listener { app, stream, key, news, told: None, ended: false, _permit: permit, _holding: holding };
    Ok((NOT_TO_BE_HELD_BACK, Sse::new(listen(listener)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE_INTERVAL))))
}

/// The orders of one broadcaster, until its stream ends or the directory stops.
fn listen(listener: Listener) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(listener, async |mut listener| {
        let stopping = listener.app.life().stopping();
        let order = stopping.run_until_cancelled(listener.next()).await??;
        let event = Event::default().json_data(order).ok()?;
        Some((Ok(event), listener))
    })
}

impl Listener {
    async fn next(&mut self) -> Option<Order> {
        while !self.ended {
            if let Some(order) = self.look() {
                return Some(order);
            }
            tokio::select! {
                changed = self.news.changed() => changed.ok()?,
                () = sleep(LOOK_INTERVAL) => {}
            }
        }
        None
    }

    /// What it is to be told now, if anything.
    fn look(&mut self) -> Option<Order> {
        let Ok(orders) = self.app.orders(self.stream, &self.key) else {
            self.ended = true;
            return self.farewell();
        };
        let now_s = self.app.clock().now_s();
        let due = self.told.as_ref().is_none_or(|told| told.is_outdated(&orders, now_s));
        // Without a relay that has room there is nothing to tell; there will be.
        let place = orders.place.filter(|_| due)?;
        let assignment = self.app.publish(self.stream, place).ok()?;
        let (epoch, relays) = (assignment.epoch, assignment.relays.clone());
        self.told = Some(Told { epoch, list: orders.list, relays, at_s: now_s });
        Some(Order::Assignment { assignment })
    }

    fn farewell(&self) -> Option<Order> {
        let message = match self.app.registry(|registry, _| registry.end_reason(&self.stream))? {
            EndReason::Operator => "an operator of the directory has ended the stream",
            EndReason::PassRevoked => "the stream has ended, because its pass was revoked",
            EndReason::Broadcaster | EndReason::Expired => return None,
        };
        Some(Order::End { message: message.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Place;

    const NOW_S: u64 = 1_763_000_000;

    fn relay(name: &str, port: u16) -> RelayAddress {
        RelayAddress::new(name.parse().unwrap(), format!("ws://localhost:{port}/ws").parse().unwrap())
    }

    fn orders(relays: Vec<RelayAddress>) -> Orders {
        let place = Place { relays, away: vec![], upstream: vec![], epoch: 3 };
        Orders { moved_in_epoch: 1, list: 0, place: Some(place) }
    }

    fn told(relays: Vec<RelayAddress>) -> Told {
        Told { epoch: 3, list: 0, relays, at_s: NOW_S }
    }

    fn is_told_again(told_of: Vec<RelayAddress>, work: Vec<RelayAddress>) -> bool {
        told(told_of).is_outdated(&orders(work), NOW_S)
    }

    #[test]
    fn broadcaster_is_told_of_relays_that_come_back_or_are_elsewhere() {
        let (a, b) = (relay("a", 1), relay("b", 2));
        assert!(is_told_again(vec![a.clone()], vec![a.clone(), b.clone()]));
        assert!(is_told_again(vec![a.clone(), b.clone()], vec![a, relay("b", 3)]));
    }

    #[test]
    fn broadcaster_keeps_a_list_that_nothing_is_missing_in() {
        let (a, b) = (relay("a", 1), relay("b", 2));
        assert!(!is_told_again(vec![a.clone(), b.clone()], vec![b, a.clone()]), "another order");
        assert!(!is_told_again(vec![a.clone(), relay("b", 2)], vec![a.clone()]), "one of them is away");
        let nowhere = Orders { place: None, ..orders(vec![]) };
        assert!(!told(vec![a]).is_outdated(&nowhere, NOW_S));
    }

    #[test]
    fn broadcaster_is_told_of_moves_of_longer_lists_and_in_time_for_its_ticket() {
        let (a, now) = (vec![relay("a", 1)], orders(vec![relay("a", 1)]));
        let told = told(a);
        assert!(told.is_outdated(&Orders { moved_in_epoch: 4, ..now.clone() }, NOW_S));
        assert!(told.is_outdated(&Orders { list: 1, ..now.clone() }, NOW_S));
        let renewed_s = NOW_S + TICKET_RENEWED_AFTER.as_secs();
        assert!(!told.is_outdated(&now, renewed_s - 1) && told.is_outdated(&now, renewed_s));
    }
}
