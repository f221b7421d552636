//! The public listener: HTTP/1.1 connections, plain or within TLS, of which only `/ws` becomes anything.

use std::{convert::Infallible, net::IpAddr, sync::Arc, time::Duration};

use anyhow::Result;
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::Incoming as Body,
    header::{self, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use protocol::{ErrorCode, http::ApiError};
use service::{Door, Lifecycle, door::Place, tls::Stream};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tracing::{Instrument as _, debug, info_span, warn};

use crate::{connection::Incoming, house::House, transport::websocket::Socket};

/// Bytes the kernel holds unsent for one peer (it doubles the number for its own book-keeping). A viewer's backlog belongs into the
/// window, where it can still be skipped: this is 100 ms at 10 Mbit/s, the round trip that has to be filled.
const SEND_BUFFER_BYTES: usize = 128 * 1024;

/// Bytes the kernel holds for one peer without having sent any of them (tcp(7), TCP_NOTSENT_LOWAT): 100 ms at 2.5 Mbit/s. Beside what is
/// on its way, no more than this is out of reach when a newer key frame comes.
const UNSENT_BYTES_MAX: u32 = 32 * 1024;

/// What decides how fast a peer is sent to, where the kernel has it: by what arrives, and not by what is lost. Behind a line that loses 2 % of its
/// packets a live stream is watched with it, and falls seconds behind with CUBIC (`docs/decisions/0014-a-lossy-link-in-one-machine.md`).
#[cfg(any(target_os = "linux", target_os = "android"))]
const CONGESTION_CONTROL: &[u8] = b"bbr";

/// How long the head of an HTTP request may take: as long as a first message.
const HEAD_TIME_MAX: Duration = protocol::limits::FIRST_MESSAGE_TIME_MAX;

/// Bytes of the head of an HTTP request: the handshake of a browser with its cookies has less.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Pause after the system refused a connection, as it does while it is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections beyond all streams and viewers: those that are being let in, refused or sent away.
const CONNECTIONS_SPARE: usize = 256;

/// Connections beyond all places that are told so at a time. More are closed without a word: an answer would cost more than the
/// question.
const REFUSALS_MAX: usize = 256;

/// Places for the connections of a relay that carries this much, whatever carries them.
#[must_use]
pub fn places(streams_max: u32, viewers_max: u32) -> Arc<Semaphore> {
    let most = (streams_max as usize).saturating_add(viewers_max as usize).saturating_add(CONNECTIONS_SPARE);
    Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)))
}

/// Accepts connections until the stop, as many as there are `places` and as `door` lets in from one address.
pub async fn serve(listener: TcpListener, house: Arc<House>, door: Arc<Door>, places: Arc<Semaphore>, life: Lifecycle) {
    let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
    let stopping = life.stopping();
    let mut accepted_total = 0_u64;
    loop {
        let accepted = tokio::select! {
            () = stopping.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((connection, peer)) => {
                let Ok(own) = door.admit_peer(peer.ip()) else { continue };
                let place = Arc::clone(&places).try_acquire_owned().ok();
                let has_place = place.is_some();
                let Some(place) = place.or_else(|| Arc::clone(&refusals).try_acquire_owned().ok()) else { continue };
                if let Err(error) = prepare(&connection) {
                    debug!(%error, "a connection was gone before it was served");
                    continue;
                }
                accepted_total += 1;
                let span = info_span!("connection", id = accepted_total, stream.id = tracing::field::Empty);
                let house = Arc::clone(&house);
                let visitor = Visitor {
                    house,
                    door: Arc::clone(&door),
                    peer: peer.ip(),
                    places: Arc::new((place, own)),
                    has_place,
                    life: life.clone(),
                };
                span.in_scope(|| life.spawn(enter(connection, visitor)));
                // A crowd that comes at once waits for itself, and not the streams for all of it.
                tokio::task::yield_now().await;
            }
            Err(error) => {
                house.metrics.accept_failures.inc();
                warn!(%error, "a connection can't be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn prepare(connection: &TcpStream) -> std::io::Result<()> {
    connection.set_nodelay(true)?;
    let socket = socket2::SockRef::from(connection);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        socket.set_tcp_notsent_lowat(UNSENT_BYTES_MAX)?;
        // Not every kernel has it, or lets everybody have it.
        let _ = socket.set_tcp_congestion(CONGESTION_CONTROL);
    }
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)
}

/// One connection before its upgrade.
#[derive(Clone)]
struct Visitor {
    house: Arc<House>,
    door: Arc<Door>,
    peer: IpAddr,
    /// Its places among the relay's connections and among those of its address. Kept until the connection ends.
    places: Arc<(OwnedSemaphorePermit, Place)>,
    /// Whether it has a place, or is only told that there is none.
    has_place: bool,
    life: Lifecycle,
}

/// The TLS handshake, where there is one, and then HTTP.
async fn enter(connection: TcpStream, visitor: Visitor) {
    let (door, stopping) = (Arc::clone(&visitor.door), visitor.life.stopping());
    if let Some(Some(stream)) = stopping.run_until_cancelled(door.enter(connection)).await {
        serve_http(stream, visitor).await;
    }
}

async fn serve_http(connection: Stream, visitor: Visitor) {
    let stopping = visitor.life.stopping();
    let service = service_fn(move |request| {
        let answer = answer(request, &visitor);
        async move { Ok::<_, Infallible>(answer) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(connection), service)
        .with_upgrades();
    tokio::pin!(serving);
    let served = tokio::select! {
        served = serving.as_mut() => served,
        () = stopping.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        debug!(%error, "not HTTP, or cut short");
    }
}

fn answer(mut request: Request<Body>, visitor: &Visitor) -> Response<Full<Bytes>> {
    let refuse = |status, code: ErrorCode, message: &str| {
        visitor.house.metrics.refused(code);
        json(status, code, message)
    };
    let status_of = |code: ErrorCode| StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::BAD_REQUEST);
    if request.uri().path() != "/ws" {
        let message = "there is only /ws here, a WebSocket";
        return refuse(StatusCode::NOT_FOUND, ErrorCode::NotFound, message);
    }
    if request.method() != Method::GET {
        let code = ErrorCode::MethodNotAllowed;
        let mut response = refuse(status_of(code), code, "/ws takes GET only");
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET"));
        return response;
    }
    let Some(accept) = accept_key(request.headers()) else {
        let message = "/ws is a WebSocket: connect with version 13 of its protocol (RFC 6455)";
        let mut response = refuse(StatusCode::UPGRADE_REQUIRED, ErrorCode::InvalidRequest, message);
        response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade, close"));
        response.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return response;
    };
    if visitor.house.stopping.is_cancelled() {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::ShuttingDown, "this relay is shutting down");
    }
    if !visitor.has_place {
        let code = ErrorCode::TooManyViewers;
        return refuse(status_of(code), code, "this relay serves as many connections as it may");
    }
    let client = visitor.door.client(visitor.peer, request.headers());
    let Ok(place) = visitor.door.admit_request(client) else {
        let code = ErrorCode::TooManyRequests;
        return refuse(status_of(code), code, "there are too many connections from this address");
    };
    let places = (Arc::clone(&visitor.places), place);
    let upgrading = hyper::upgrade::on(&mut request);
    let house = Arc::clone(&visitor.house);
    let serving = async move {
        let _places = places;
        let Ok(upgraded) = upgrading.await else { return };
        let Ok(parts) = upgraded.downcast::<TokioIo<Stream>>() else { return };
        let _open = Open::new(&house);
        let socket = Socket::new(parts.io.into_inner(), parts.read_buf.to_vec()).await;
        Box::pin(Incoming::new(socket, client.network(), Arc::clone(&house)).serve()).await;
    };
    visitor.life.spawn(serving.in_current_span());
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    response.headers_mut().insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    response
}

/// What `Sec-WebSocket-Accept` is to say, when this is a handshake (RFC 6455 4.2.1).
fn accept_key(headers: &HeaderMap) -> Option<HeaderValue> {
    let has = |name, word: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(word)))
    };
    let wanted = has(header::CONNECTION, "upgrade") && has(header::UPGRADE, "websocket");
    if !wanted || headers.get(header::SEC_WEBSOCKET_VERSION)? != "13" {
        return None;
    }
    HeaderValue::from_str(&derive_accept_key(headers.get(header::SEC_WEBSOCKET_KEY)?.as_bytes())).ok()
}

fn json(status: StatusCode, code: ErrorCode, message: &str) -> Response<Full<Bytes>> {
    let body = serde_json::to_vec(&ApiError { code, message: message.to_owned() }).unwrap_or_default();
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // Nothing else is to be had here; a connection kept would only occupy a place.
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Counts an open connection.
pub(crate) struct Open(Arc<House>);

impl Open {
    pub(crate) fn new(house: &Arc<House>) -> Self {
        house.metrics.connections.inc();
        Self(Arc::clone(house))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.metrics.connections.dec();
    }
}

/// Opens the public listener.
///
/// # Errors
/// As [`service::listener::listen`].
pub async fn listen(address: std::net::SocketAddr) -> Result<TcpListener> {
    service::listener::listen(address, "--listen").await
}
