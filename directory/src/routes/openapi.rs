//! `/openapi.json`: the API for developers, made of the routes themselves.

use axum::{Json, Router, routing::get};
use protocol::http::ApiError;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme},
};

use crate::app::App;

/// What the document says beside the calls.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Dead Streaming directory",
        description = "Streams, relays and who meets where. Every failed call answers with `ApiError`: a stable code for \
                       programs, a message for people."
    ),
    components(schemas(ApiError)),
    modifiers(&Secrets)
)]
pub(super) struct Document;

struct Secrets;

impl Modify for Secrets {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        for (name, description) in [
            ("join_secret", "The secret that the directory and its relays share, where it has one"),
            ("join_token", "What an operator made with `directory relay-token`"),
            ("membership", "What a relay got when it registered"),
            ("pass", "What an operator made with `directory pass add`"),
            ("watch_ticket", "The ticket that is to be renewed"),
            ("broadcast_key", "What a broadcaster got when it made the stream"),
        ] {
            let mut bearer = Http::new(HttpAuthScheme::Bearer);
            bearer.description = Some(description.to_owned());
            components.add_security_scheme(name, SecurityScheme::Http(bearer));
        }
        let assertion = ApiKeyValue::with_description(
            "Relay-Assertion",
            "What a relay signed about the request: method, path, time and the body's SHA-256",
        );
        components.add_security_scheme("relay_assertion", SecurityScheme::ApiKey(ApiKey::Header(assertion)));
    }
}

/// Serves the finished document.
pub(super) fn router(document: utoipa::openapi::OpenApi) -> Router<App> {
    Router::new().route("/openapi.json", get(async move || Json(document)))
}
