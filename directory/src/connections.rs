//! Accepts connections and serves the routes on them, with the bounds that a public HTTP server needs.

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use service::Lifecycle;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tracing::{debug, warn};

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

/// Serves `router` until `life` is asked to stop; requests that are begun then are finished.
pub(crate) async fn serve(listener: TcpListener, router: Router, life: Lifecycle) {
    let stopping = life.stopping();
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    while let Some(accepted) = stopping.run_until_cancelled(accept(&listener, &room)).await {
        let Some((socket, permit)) = accepted else { return };
        life.spawn(connection(socket, permit, router.clone(), life.clone()));
    }
}

/// The next connection, once there is room for it.
async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((socket, _)) => return Some((socket, permit)),
            Err(error) => {
                warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(socket: TcpStream, _permit: OwnedSemaphorePermit, router: Router, life: Lifecycle) {
    // Small answers and events leave at once.
    if let Err(error) = socket.set_nodelay(true) {
        debug!(%error, "a socket keeps its delay");
    }
    // HTTP/1 alone: telling the versions apart has no deadline, and HTTP/2 is for the proxy that ends TLS.
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    let serving = builder.serve_connection(TokioIo::new(socket), TowerToHyperService::new(router));
    tokio::pin!(serving);
    let stopping = life.stopping();
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
