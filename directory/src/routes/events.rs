//! The list, pushed: server-sent events (WHATWG HTML 9.2).

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderName, header},
    response::{
        IntoResponse,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{Stream, stream};
use protocol::{
    ErrorCode,
    http::{ApiError, ListEvent},
};
use tokio::sync::{
    OwnedSemaphorePermit,
    broadcast::{Receiver, error::RecvError},
};

use crate::{app::App, extract::Client, failure::Failure, rates::Holding};

/// How often a quiet reader hears a comment: below the 30 s and more after which proxies cut quiet connections.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// How soon a browser connects again: a restarted directory is back by then.
const RECONNECT_TIME: Duration = Duration::from_secs(1);

/// Tells caches, and proxies of the nginx kind, not to hold events back.
pub(super) const NOT_TO_BE_HELD_BACK: [(HeaderName, &str); 2] =
    [(header::CACHE_CONTROL, "no-store"), (HeaderName::from_static("x-accel-buffering"), "no")];

/// One open list.
struct Reader {
    app: App,
    changes: Option<Receiver<Arc<str>>>,
    _permit: OwnedSemaphorePermit,
    _holding: Holding,
}

/// Pushes the list: whole at first, then what changes in it.
#[utoipa::path(
    get,
    path = "/api/events",
    tag = "streams",
    operation_id = "events",
    responses(
        (
            status = 200,
            description = "Server-sent events, each a `ListEvent` as JSON: the list first, and again for a reader that was \
                           too slow for the changes",
            body = ListEvent,
            content_type = "text/event-stream"
        ),
        (status = 429, description = "`too_many_requests`", body = ApiError),
        (status = 503, description = "`too_many_viewers`: as many lists are open as may be", body = ApiError),
    )
)]
pub(super) async fn events(State(app): State<App>, Client(client): Client) -> Result<impl IntoResponse, Failure> {
    let holding = app.allowances().open_events(client)?;
    let permit = Arc::clone(app.readers()).try_acquire_owned().map_err(|_| {
        Failure::new(ErrorCode::TooManyViewers, "as many lists are open as the directory serves; try again later")
    })?;
    let reader = Reader { app, changes: None, _permit: permit, _holding: holding };
    Ok((NOT_TO_BE_HELD_BACK, Sse::new(read(reader)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE_INTERVAL))))
}

/// The events of one open list, until the directory stops.
fn read(reader: Reader) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(reader, async |mut reader| {
        let stopping = reader.app.life().stopping();
        let event = stopping.run_until_cancelled(reader.next()).await??;
        Some((Ok(event), reader))
    })
}

impl Reader {
    async fn next(&mut self) -> Option<Event> {
        let change = match &mut self.changes {
            None => return self.whole_list(),
            Some(changes) => changes.recv().await,
        };
        match change {
            Ok(text) => Some(Event::default().data(text.as_ref())),
            Err(RecvError::Lagged(_)) => self.whole_list(),
            Err(RecvError::Closed) => None,
        }
    }

    fn whole_list(&mut self) -> Option<Event> {
        let (list, changes) = self.app.follow();
        self.changes = Some(changes);
        Event::default().retry(RECONNECT_TIME).json_data(list).ok()
    }
}

#[cfg(test)]
mod tests {
    use axum::response::Response;
    use futures_util::StreamExt as _;
    use protocol::{
        BroadcastKey,
        http::{CarriedStream, Heartbeat, RelayAddress, Visibility},
        signing::PublicKey,
    };
    use service::{ClientAddress, Clock};

    use super::*;
    use crate::{
        app::{CHANGES_BEHIND_MAX, EVENT_READERS_MAX},
        registry::{Joining, NewStream},
    };

    async fn open(app: &App) -> Response {
        open_from(app, 1).await
    }

    /// From one of many addresses.
    async fn open_from(app: &App, address: u32) -> Response {
        let client = ClientAddress::of_peer(std::net::Ipv4Addr::from_bits(address).into(), false);
        events(State(app.clone()), Client(client)).await.into_response()
    }

    /// The next event's data.
    async fn next(body: &mut axum::body::BodyDataStream) -> ListEvent {
        let bytes = body.next().await.unwrap().unwrap();
        let text = std::str::from_utf8(&bytes).unwrap();
        serde_json::from_str(text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap()).unwrap()
    }

    /// A relay on which one stream goes on and off, once per call.
    fn flapping(app: &App) -> impl FnMut() {
        let relay: protocol::RelayName = "relay-1".parse().unwrap();
        let address = RelayAddress::new(relay.clone(), "ws://relay-1/ws".parse().unwrap());
        let relay_key: PublicKey = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".parse().unwrap();
        let joining = Joining {
            address,
            streams_max: 9,
            viewers_max: 9,
            egress_bytes_per_s_max: None,
            region: None,
            public_key: relay_key,
            from_afar: false,
        };
        let key = BroadcastKey::new([0; 32]).hash();
        let id = app.registry(|registry, now_us| {
            registry.register(now_us, joining, 0).unwrap();
            let due = registry.due_checks(now_us).remove(0);
            registry.checked(now_us, &due, Ok(()));
            let title = "demo".parse().unwrap();
            let about = NewStream {
                title,
                visibility: Visibility::Public,
                sealed: false,
                key_hash: key,
                password: None,
                pass: None,
            };
            registry.create(now_us, about).unwrap().0
        });
        let (app, mut live, mut said_at_ms) = (app.clone(), false, 0);
        move || {
            live = !live;
            said_at_ms += 1;
            let streams = vec![CarriedStream { stream: id, epoch: 1, live, viewers: 0, depth: 0 }];
            let heartbeat =
                Heartbeat { viewers: 0, streams, load: Default::default(), draining: false, webtransport: None };
            app.registry(|registry, now_us| registry.heartbeat(now_us, &relay, &relay_key, said_at_ms, heartbeat))
                .unwrap();
        }
    }

    #[tokio::test]
    async fn reader_that_was_too_slow_gets_the_whole_list_anew() {
        let app = App::for_tests(Clock::by_hand(1_000_000));
        let mut flap = flapping(&app);
        let mut body = open(&app).await.into_body().into_data_stream();
        assert!(matches!(next(&mut body).await, ListEvent::Streams { streams } if streams.is_empty()));
        for _ in 0..=CHANGES_BEHIND_MAX {
            flap();
        }
        assert!(matches!(next(&mut body).await, ListEvent::Streams { streams } if streams.len() == 1));
        flap();
        assert!(matches!(next(&mut body).await, ListEvent::StreamChanged { .. }), "and then changes again");
    }

    #[tokio::test(start_paused = true)]
    async fn quiet_reader_hears_comments() {
        let app = App::for_tests(Clock::by_hand(1_000_000));
        let mut body = open(&app).await.into_body().into_data_stream();
        next(&mut body).await;
        let begun = tokio::time::Instant::now();
        let comment = body.next().await.unwrap().unwrap();
        assert_eq!((&comment[..1], begun.elapsed()), (&b":"[..], KEEP_ALIVE_INTERVAL));
    }

    #[tokio::test]
    async fn as_many_lists_as_may_be_and_no_more() {
        let app = App::for_tests(Clock::by_hand(1_000_000));
        let mut lists = Vec::new();
        for number in 0..EVENT_READERS_MAX as u32 {
            lists.push(open_from(&app, number).await);
        }
        assert_eq!(open_from(&app, u32::MAX).await.status(), 503);
        lists.pop();
        assert_eq!(open_from(&app, u32::MAX).await.status(), 200);
    }

    #[tokio::test]
    async fn one_address_has_so_many_lists_open() {
        let app = App::for_tests(Clock::by_hand(1_000_000));
        let mut lists = Vec::new();
        for _ in 0..64 {
            lists.push(open(&app).await);
        }
        let refused = open(&app).await;
        assert_eq!((refused.status().as_u16(), refused.headers().contains_key("retry-after")), (429, true));
        assert_eq!(open_from(&app, 2).await.status(), 200);
        lists.pop();
        assert_eq!(open(&app).await.status(), 200);
    }
}
