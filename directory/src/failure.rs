//! The one error of every call: a stable code and a sentence, as JSON.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use protocol::{ErrorCode, http::ApiError, relay_proof::AssertionError};

use crate::{
    members::{JoinError, NameError},
    password::InvalidPassword,
    registry::{HeartbeatError, InvalidJoining, PlaceError, RegisterError, WatchError},
};

/// Seconds after which a client may try a call again that had no place.
const RETRY_AFTER_S: u64 = 1;

/// Goes with the answer of a refused call, for the metrics.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refused(pub(crate) ErrorCode);

/// Why a call was refused.
#[derive(Debug)]
pub(crate) struct Failure {
    code: ErrorCode,
    message: String,
    retry_after_s: u64,
}

impl Failure {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after_s: RETRY_AFTER_S }
    }

    /// Too much from one address, or of one kind.
    pub(crate) fn too_many(message: impl Into<String>, retry_after_s: u64) -> Self {
        Self { retry_after_s, ..Self::new(ErrorCode::TooManyRequests, message) }
    }

    pub(crate) fn unauthorized(message: &str) -> Self {
        Self::new(ErrorCode::Unauthorized, message)
    }

    pub(crate) fn code(&self) -> ErrorCode {
        self.code
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn internal() -> Self {
        Self::new(ErrorCode::Internal, "the directory failed; its log says why")
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(ApiError { code: self.code, message: self.message })).into_response();
        let hint = match status {
            StatusCode::UNAUTHORIZED => Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                Some((header::RETRY_AFTER, self.retry_after_s.into()))
            }
            _ => None,
        };
        if let Some((name, value)) = hint {
            response.headers_mut().insert(name, value);
        }
        response.extensions_mut().insert(Refused(self.code));
        response
    }
}

impl From<PlaceError> for Failure {
    fn from(error: PlaceError) -> Self {
        let code = match error {
            PlaceError::NoRelay => ErrorCode::NoRelay,
            PlaceError::TooManyStreams => ErrorCode::TooManyStreams,
            PlaceError::NotFound => ErrorCode::StreamNotFound,
            PlaceError::Unauthorized => ErrorCode::Unauthorized,
        };
        Self::new(code, error.to_string())
    }
}

impl From<HeartbeatError> for Failure {
    fn from(error: HeartbeatError) -> Self {
        let code = match error {
            HeartbeatError::Unknown => ErrorCode::RelayUnknown,
            HeartbeatError::Replayed => ErrorCode::Unauthorized,
        };
        Self::new(code, error.to_string())
    }
}

impl From<RegisterError> for Failure {
    fn from(error: RegisterError) -> Self {
        let code = match error {
            RegisterError::NameTaken(_) => ErrorCode::RelayNameTaken,
            RegisterError::Replayed => ErrorCode::Unauthorized,
            RegisterError::Full => ErrorCode::TooManyRelays,
        };
        Self::new(code, error.to_string())
    }
}

impl From<AssertionError> for Failure {
    fn from(error: AssertionError) -> Self {
        Self::unauthorized(&error.to_string())
    }
}

impl From<WatchError> for Failure {
    fn from(error: WatchError) -> Self {
        match error {
            WatchError::Place(error) => error.into(),
            WatchError::Removed => Self::new(ErrorCode::ViewerRemoved, error.to_string()),
        }
    }
}

impl From<JoinError> for Failure {
    fn from(error: JoinError) -> Self {
        let code = match error {
            JoinError::Revoked => ErrorCode::RelayRevoked,
            JoinError::Name(NameError::Taken(_)) => ErrorCode::RelayNameTaken,
            JoinError::Name(NameError::Full) => ErrorCode::TooManyRelays,
            JoinError::Token(_) => ErrorCode::Unauthorized,
            JoinError::NotWritten(_) => ErrorCode::Internal,
        };
        Self::new(code, error.to_string())
    }
}

impl From<InvalidPassword> for Failure {
    fn from(error: InvalidPassword) -> Self {
        Self::new(ErrorCode::InvalidPassword, error.to_string())
    }
}

impl From<InvalidJoining> for Failure {
    fn from(error: InvalidJoining) -> Self {
        Self::new(error.code(), error.to_string())
    }
}
