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

use crate::{app::App, failure::Failure};

/// How often a quiet reader hears a comment: below the 30 s and more after which proxies cut quiet connections.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// How soon a browser connects again: a restarted directory is back by then.
const RECONNECT_TIME: Duration = Duration::from_secs(1);

/// Tells proxies of the nginx kind not to hold events back.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// One open list.
struct Reader {
    app: App,
    changes: Option<Receiver<Arc<str>>>,
    _permit: OwnedSemaphorePermit,
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
        (status = 503, description = "`too_many_viewers`: as many lists are open as may be", body = ApiError),
    )
)]
pub(super) async fn events(State(app): State<App>) -> Result<impl IntoResponse, Failure> {
    let permit = Arc::clone(app.readers()).try_acquire_owned().map_err(|_| {
        Failure::new(ErrorCode::TooManyViewers, "as many lists are open as the directory serves; try again later")
    })?;
    let reader = Reader { app, changes: None, _permit: permit };
    let headers = [(header::CACHE_CONTROL, "no-store"), (ACCEL_BUFFERING, "no")];
    Ok((headers, Sse::new(read(reader)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE_INTERVAL))))
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
