//! The operators' listener: `/healthz` (the process is alive), `/readyz` (new work is wanted) and `/metrics` (OpenMetrics).
//! Apart from the public listener, so that it need not be reachable by strangers.

use std::sync::Arc;

use anyhow::Result;
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus_client::{encoding::text::encode, registry::Registry};
use serde_json::json;
use tokio::net::TcpListener;
use tracing::warn;

use crate::Lifecycle;

/// Content type of the exposition (OpenMetrics 1.0).
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether new work is wanted, and if not, why, in words.
pub type Readiness = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// What else there is to be said of how the process is doing, in words.
pub type Remark = Arc<dyn Fn() -> String + Send + Sync>;

struct Internals {
    metrics: Registry,
    ready: Readiness,
    remark: Option<Remark>,
    life: Lifecycle,
}

/// Serves the internal listener in `life` until it stops.
pub fn serve(listener: TcpListener, metrics: Registry, ready: Readiness, life: &Lifecycle) {
    serve_with(listener, metrics, ready, None, Router::new(), life);
}

/// Serves the internal listener with a `remark` beside the readiness, and with `more` calls that only operators make.
pub fn serve_with(
    listener: TcpListener,
    metrics: Registry,
    ready: Readiness,
    remark: Option<Remark>,
    more: Router,
    life: &Lifecycle,
) {
    let stopping = life.stopping();
    let state = Arc::new(Internals { metrics, ready, remark, life: life.clone() });
    let router = Router::new()
        .route("/healthz", get(async || axum::Json(json!({ "status": "alive" }))))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_text))
        .with_state(state)
        .merge(more);
    life.spawn(async move {
        // Probes keep asking during the stop; the grace of the whole life bounds this.
        let serving = axum::serve(listener, router).with_graceful_shutdown(async move { stopping.cancelled().await });
        if let Err(error) = serving.await {
            warn!(%error, "the internal listener ended");
        }
    });
}

async fn readyz(State(internals): State<Arc<Internals>>) -> Response {
    let judged = if internals.life.is_stopping() { Err("stopping".to_owned()) } else { (internals.ready)() };
    match judged {
        Ok(()) => {
            let mut body = json!({ "status": "ready" });
            if let Some(remark) = &internals.remark {
                body["remark"] = remark().into();
            }
            axum::Json(body).into_response()
        }
        Err(reason) => {
            let body = axum::Json(json!({ "status": "not ready", "reason": reason }));
            (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], body).into_response()
        }
    }
}

async fn metrics_text(State(internals): State<Arc<Internals>>) -> Response {
    let mut text = String::new();
    match encode(&mut text, &internals.metrics) {
        Ok(()) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::SocketAddr,
        sync::atomic::{AtomicBool, Ordering},
    };

    use prometheus_client::metrics::counter::Counter;

    use super::*;

    #[tokio::test]
    async fn health_readiness_and_metrics_are_told() {
        let listener =
            crate::listener::listen(SocketAddr::from(([127, 0, 0, 1], 0)), "--internal-listen").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut metrics = Registry::default();
        let counter: Counter = Counter::default();
        metrics.register("things", "Things counted", counter.clone());
        counter.inc();
        let ready = Arc::new(AtomicBool::new(false));
        let judge = Arc::clone(&ready);
        let life = Lifecycle::new();
        let readiness: Readiness =
            Arc::new(move || if judge.load(Ordering::SeqCst) { Ok(()) } else { Err("no key yet".into()) });
        let remark: Remark = Arc::new(|| "and well".into());
        serve_with(listener, metrics, readiness, Some(remark), Router::new(), &life);

        let get = async |path: &str| {
            let answer = reqwest::get(format!("http://{address}{path}")).await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        };
        assert_eq!(get("/healthz").await.0, 200);
        let (status, body) = get("/readyz").await;
        assert_eq!(status, 503);
        assert!(body.contains("no key yet"), "{body}");
        ready.store(true, Ordering::SeqCst);
        let (status, body) = get("/readyz").await;
        assert_eq!(status, 200);
        assert!(body.contains("and well"), "{body}");
        assert!(get("/metrics").await.1.contains("things_total 1"));
        life.stop();
        life.ended(crate::lifecycle::GRACE_DEFAULT).await;
    }
}
