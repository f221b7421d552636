//! One span and one count per request. Neither holds what only the client and the directory may know: no query, header or
//! address.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request, State},
    http::Method,
    middleware::Next,
    response::Response,
};
use tracing::{Instrument as _, debug, info_span};

use crate::{
    app::App,
    failure::Refused,
    metrics::{self, Reason},
};

/// The route of everything that no route matches: pages, their assets, and paths that don't exist.
const PAGE: &str = "page";

pub(super) async fn observe(State(app): State<App>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map_or(PAGE, MatchedPath::as_str).to_owned();
    let method = named(request.method());
    let span = info_span!("request", method, route);
    let response = next.run(request).instrument(span.clone()).await;
    let code = response.status().as_u16();
    let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    span.in_scope(|| debug!(code, duration_ms, "answered"));
    if let Some(Refused(code)) = response.extensions().get() {
        app.metrics().refused.get_or_create(&Reason { reason: code.as_str() }).inc();
    }
    app.metrics().requests.get_or_create(&metrics::Request { route, method, code }).inc();
    response
}

/// The method, unless a client made it up: labels of metrics must be few.
fn named(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
