//! Every route of the public listener, and what wraps them all.

mod about;
mod events;
mod fallback;
mod observe;
mod openapi;
pub(crate) mod operator;
mod orders;
mod pages;
mod relays;
mod restore;
mod streams;
mod time;
mod watch;

use std::{any::Any, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderName, HeaderValue, Method, header},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse as _, Response},
    routing::any,
};
use protocol::{ErrorCode, limits::HTTP_BODY_BYTES_MAX};
use tower_http::{
    catch_panic::CatchPanicLayer, compression::CompressionLayer, cors::CorsLayer, set_header::SetResponseHeaderLayer,
};
use tracing::error;
use utoipa::OpenApi as _;
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouterExt as _},
    routes,
};

use crate::{allowances::Asked, app::App, extract::client_of, failure::Failure};

/// Longest time from a request's head to the answer's: a slow phone sends the largest body in it.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(15);

/// The origins of the desktop app's windows: on macOS and Linux, on Windows, and on Windows where the app asks for HTTPS.
const APP_ORIGINS: [&str; 3] = ["tauri://localhost", "http://tauri.localhost", "https://tauri.localhost"];

/// Content Security Policy of what is not a page: shown by itself it runs nothing and is framed by nobody.
const NOTHING_TO_SHOW: &str = "default-src 'none'; frame-ancestors 'none'";

/// Largest body of a call, but for heartbeats: titles, passwords and tickets are far below, and strangers send these.
const SMALL_BODY_BYTES_MAX: usize = 16 * 1024;

/// How long a browser may remember that the API is open to other origins.
const PREFLIGHT_TIME: Duration = Duration::from_secs(3600);

/// All of the public listener.
pub(crate) fn router(app: App) -> Router {
    let (api, document) = documented();
    let api = api
        .merge(openapi::router(document))
        .route("/api", any(fallback::no_such_call))
        .route("/api/", any(fallback::no_such_call))
        .route("/api/{*rest}", any(fallback::no_such_call))
        .method_not_allowed_fallback(fallback::wrong_method)
        .layer(DefaultBodyLimit::max(SMALL_BODY_BYTES_MAX))
        .layer(from_fn(in_time))
        .layer(from_fn_with_state(app.clone(), in_measure))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(set_if_absent(header::CACHE_CONTROL, "no-store"))
        .layer(set_if_absent(header::CONTENT_SECURITY_POLICY, NOTHING_TO_SHOW))
        .layer(cors());
    let pages =
        Router::new().fallback(pages::page).layer(CatchPanicLayer::custom(panicked)).layer(from_fn(pages::guard));
    api.merge(pages)
        .layer(CompressionLayer::new())
        .layer(set_if_absent(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(set_if_absent(header::REFERRER_POLICY, "no-referrer"))
        .layer(from_fn_with_state(app.clone(), observe::observe))
        .with_state(app)
}

/// The API's calls, and the document that is made of them.
fn documented() -> (Router<App>, utoipa::openapi::OpenApi) {
    OpenApiRouter::with_openapi(openapi::Document::openapi())
        .routes(routes!(streams::create, streams::list))
        .routes(routes!(streams::end))
        .routes(routes!(streams::reassign))
        .routes(routes!(restore::restore))
        .routes(routes!(watch::watch))
        .routes(routes!(watch::remove_viewer))
        .routes(routes!(orders::orders))
        .routes(routes!(events::events))
        .routes(routes!(relays::register))
        .routes(routes!(relays::heartbeat).layer(DefaultBodyLimit::max(HTTP_BODY_BYTES_MAX)))
        .routes(routes!(time::now))
        .routes(routes!(about::about))
        .split_for_parts()
}

fn set_if_absent(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}

/// Pages have the origin of the directory that serves them; the windows of the desktop app have these, whichever directory it uses.
/// Nobody else's pages read what the directory answers.
fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(APP_ORIGINS.map(HeaderValue::from_static))
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
        .expose_headers([header::RETRY_AFTER])
        .max_age(PREFLIGHT_TIME)
}

/// One address asks for no more than many people would.
async fn in_measure(State(app): State<App>, request: Request, next: Next) -> Response {
    match app.allowances().take(client_of(request.extensions()), Asked::Call) {
        Ok(()) => next.run(request).await,
        Err(failure) => failure.into_response(),
    }
}

async fn in_time(request: Request, next: Next) -> Response {
    let answered = tokio::time::timeout(REQUEST_TIME_MAX, next.run(request)).await;
    answered.unwrap_or_else(|_| {
        Failure::new(ErrorCode::Silent, "the request took too long to arrive or to be answered").into_response()
    })
}

fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    error!(panic = text.unwrap_or("without words"), "a call failed unexpectedly");
    Failure::internal().into_response()
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::StatusCode, routing::get};
    use tower::ServiceExt as _;

    use super::*;

    async fn answer(router: Router) -> (StatusCode, serde_json::Value) {
        let response = router.oneshot(Request::new(Body::empty())).await.unwrap();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), HTTP_BODY_BYTES_MAX).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn panic_in_a_call_is_an_internal_error_that_tells_nothing() {
        async fn fails() -> &'static str {
            panic!("a detail")
        }
        let router = Router::new().route("/", get(fails)).layer(CatchPanicLayer::custom(panicked));
        let (status, body) = answer(router).await;
        assert_eq!((status.as_u16(), body["code"].as_str()), (500, Some("internal")));
        assert!(!body.to_string().contains("a detail"));
    }

    #[tokio::test(start_paused = true)]
    async fn call_that_takes_too_long_is_given_up() {
        let router = Router::new().route("/", get(std::future::pending::<()>)).layer(from_fn(in_time));
        let (status, body) = answer(router).await;
        assert_eq!((status.as_u16(), body["code"].as_str()), (408, Some("silent")));
    }
}
