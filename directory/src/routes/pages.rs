//! The pages and their assets, from the binary itself (a debug build reads them from `ui/dist`).

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use protocol::ErrorCode;
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::failure::Failure;

/// The page: its code shows what its path asks for.
const INDEX: &str = "index.html";

/// Where the build puts files whose names change with their content.
const HASHED: &str = "assets/";

/// Content Security Policy (level 3). Relays live anywhere, so WebSockets and WebTransport (`https:`) go anywhere; everything else
/// comes from here, and nothing is written into a page: no script, no style.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss: https:; \
    media-src 'self' blob:; img-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What a page may ask its person for.
const PERMISSIONS: &str = "display-capture=(self), microphone=(self), camera=(self), geolocation=()";

#[derive(RustEmbed)]
#[folder = "../ui/dist/"]
struct Pages;

/// Serves what no route of the API has: a page, an asset, or a page that says there is none.
pub(super) async fn page(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    let asset = Pages::get(path).filter(|_| !path.is_empty());
    let found = asset.is_some() || is_page(path);
    if method != Method::GET && method != Method::HEAD {
        return refuse_method(found);
    }
    match asset.or_else(|| is_page(path).then(|| Pages::get(INDEX)).flatten()) {
        Some(file) => serve(&file, path, &headers),
        None if wants_a_page(path, &headers) => match Pages::get(INDEX) {
            Some(index) => (StatusCode::NOT_FOUND, serve(&index, INDEX, &HeaderMap::new())).into_response(),
            None => nothing_here(),
        },
        None => nothing_here(),
    }
}

/// Puts on every answer what keeps pages safe.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (HeaderName::from_static("permissions-policy"), PERMISSIONS),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether the page has something to show for this path.
fn is_page(path: &str) -> bool {
    let parts: Vec<_> = path.trim_end_matches('/').split('/').collect();
    matches!(parts.as_slice(), [""] | ["live"] | ["view"] | ["view", _])
}

/// Whether a person asks, with a browser. A script that asks for a missing asset must not get a page for it.
fn wants_a_page(path: &str, headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    accepted.contains("text/html") && !path.starts_with(HASHED)
}

fn nothing_here() -> Response {
    Failure::new(ErrorCode::NotFound, "there is nothing at this address").into_response()
}

fn refuse_method(found: bool) -> Response {
    if !found {
        return nothing_here();
    }
    let refused = Failure::new(ErrorCode::MethodNotAllowed, "a page can only be read");
    ([(header::ALLOW, "GET,HEAD")], refused).into_response()
}

fn serve(file: &EmbeddedFile, path: &str, asked: &HeaderMap) -> Response {
    let hashed = path.starts_with(HASHED);
    let caching = if hashed { "public, max-age=31536000, immutable" } else { "no-cache" };
    let mut tag = String::from("\"");
    for byte in file.metadata.sha256_hash().iter().take(16) {
        tag.push_str(&format!("{byte:02x}"));
    }
    tag.push('"');
    let known = asked.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
    let head = [(header::CACHE_CONTROL, caching.to_owned()), (header::ETAG, tag.clone())];
    // Compression weakens a tag on its way out (RFC 9110 8.8.1), so the comparison is the weak one.
    if known.is_some_and(|tags| tags.split(',').any(|known| known.trim().trim_start_matches("W/") == tag)) {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    let mut kind = file.metadata.mimetype().to_owned();
    if kind.starts_with("text/") {
        kind.push_str("; charset=utf-8");
    }
    (head, [(header::CONTENT_TYPE, kind)], file.data.clone().into_owned()).into_response()
}
