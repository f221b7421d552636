//! The answers to calls that don't exist.

use axum::http::Method;
use protocol::ErrorCode;

use crate::failure::Failure;

/// An unknown path of the API.
pub(super) async fn no_such_call() -> Failure {
    Failure::new(ErrorCode::NotFound, "there is no such call; /openapi.json lists them all")
}

/// A known path with a method it has not; the router says in `Allow` which it has.
pub(super) async fn wrong_method(method: Method) -> Failure {
    Failure::new(ErrorCode::MethodNotAllowed, format!("this call exists, but not with {method}"))
}
