//! Accepts connections and serves the routes on them, with the bounds that a public HTTP server needs.

use std::{convert::Infallible, net::IpAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use http_body_util::BodyExt as _;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use protocol::ErrorCode;
use service::{Door, Lifecycle, door::Place};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tower::ServiceExt as _;
use tracing::{debug, warn};

use crate::failure::Failure;

/// Most open connections; more wait in the system's queue.
const CONNECTIONS_MAX: usize = 8192;

/// How long a client may take to send the head of a request, and how long an idle connection is kept.
const HEAD_TIME_MAX: Duration = Duration::from_secs(15);

/// Most header fields of a request: browsers send some twenty.
const HEADERS_MAX: usize = 64;

/// Most bytes of a request's head.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// How long to wait after a failure to accept: the system is out of file descriptors, and some will be given back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// For how long a browser that came encrypted comes back encrypted, at this host: a year (RFC 6797).
const STRICT_TRANSPORT: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Serves `router` to those whom `door` lets in until `life` is asked to stop; requests that are begun then are finished.
pub(crate) async fn serve(listener: TcpListener, router: Router, door: Arc<Door>, life: Lifecycle) {
    let stopping = life.stopping();
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    while let Some(accepted) = stopping.run_until_cancelled(accept(&listener, &room, &door)).await {
        let Some((socket, visit)) = accepted else { return };
        life.spawn(connection(socket, visit, router.clone(), Arc::clone(&door), life.clone()));
    }
}

/// What a connection holds while it lasts.
struct Visit {
    peer: IpAddr,
    _place: Place,
    _permit: OwnedSemaphorePermit,
}

/// The next connection, once there is room for it. Those beyond what an address may have are closed without a word: an answer
/// would cost more than the question.
async fn accept(listener: &TcpListener, room: &Arc<Semaphore>, door: &Door) -> Option<(TcpStream, Visit)> {
    let permit = Arc::clone(room).acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => {
                if let Ok(place) = door.admit_peer(peer.ip()) {
                    return Some((socket, Visit { peer: peer.ip(), _place: place, _permit: permit }));
                }
            }
            Err(error) => {
                warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(socket: TcpStream, visit: Visit, router: Router, door: Arc<Door>, life: Lifecycle) {
    // Small answers and events leave at once.
    if let Err(error) = socket.set_nodelay(true) {
        debug!(%error, "a socket keeps its delay");
    }
    let stopping = life.stopping();
    let Some(Some(stream)) = stopping.run_until_cancelled(door.enter(socket)).await else { return };
    // HTTP/1 alone: telling the versions apart has no deadline, and HTTP/2 is for the proxy that ends TLS.
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    let answers = service_fn(move |request| answer(request, router.clone(), visit.peer, Arc::clone(&door)));
    let serving = builder.serve_connection(TokioIo::new(stream), answers);
    tokio::pin!(serving);
    let ended = tokio::select! {
        ended = &mut serving => ended,
        () = stopping.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a connection broke");
    }
}

/// Answers one request, with the client's address among its extensions. Behind a proxy, whose connections carry everybody's
/// requests, a request holds its client's place until its answer was sent: an open list of events counts as a connection.
async fn answer(
    request: hyper::Request<Incoming>,
    router: Router,
    peer: IpAddr,
    door: Arc<Door>,
) -> Result<Response, Infallible> {
    let client = door.client(peer, request.headers());
    let Ok(place) = door.admit_request(client) else {
        let words = "too many requests from this address are under way";
        return Ok(Failure::new(ErrorCode::TooManyRequests, words).into_response());
    };
    let mut request: Request = request.map(Body::new);
    request.extensions_mut().insert(client);
    let mut response = router.oneshot(request).await?;
    if door.is_to_stay_encrypted(client) {
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT);
    }
    if !door.is_behind_proxy() {
        return Ok(response);
    }
    Ok(response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            let _until_sent = &place;
            frame
        }))
    }))
}
