//! What calls take out of a request, with every refusal as a [`Failure`].

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr},
};

use axum::{
    Json,
    body::Bytes,
    extract::{
        FromRequest, FromRequestParts, OptionalFromRequest, OptionalFromRequestParts, Path, Request,
        rejection::JsonRejection,
    },
    http::{Extensions, HeaderMap, HeaderName, StatusCode, header, request::Parts},
};
use protocol::{ErrorCode, RelayName, Secret, StreamId, ViewerId, ids::InvalidName};
use serde::de::DeserializeOwned;
use service::ClientAddress;

use crate::failure::Failure;

/// What a relay signed about its request: an [`protocol::relay_proof::Assertion`].
const ASSERTION: HeaderName = HeaderName::from_static("relay-assertion");

/// A JSON body.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        match <Json<T> as FromRequest<S>>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(refusal(&rejection)),
        }
    }
}

/// No body at all stands for none; anything else must be JSON.
impl<T: DeserializeOwned, S: Send + Sync> OptionalFromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, Failure> {
        if !request.headers().contains_key(header::CONTENT_TYPE) && !has_body(request.headers()) {
            return Ok(None);
        }
        <Self as FromRequest<S>>::from_request(request, state).await.map(Some)
    }
}

fn has_body(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH);
    length.is_some_and(|length| length != "0") || headers.contains_key(header::TRANSFER_ENCODING)
}

fn refusal(rejection: &JsonRejection) -> Failure {
    match rejection {
        JsonRejection::MissingJsonContentType(_) => not_json(),
        other if other.status() == StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        other => Failure::new(ErrorCode::InvalidRequest, other.body_text()),
    }
}

fn not_json() -> Failure {
    Failure::new(
        ErrorCode::UnsupportedMediaType,
        "the body must be JSON, and the header `Content-Type: application/json` must say so",
    )
}

fn too_large() -> Failure {
    Failure::new(ErrorCode::TooLarge, "the body has more bytes than this call takes")
}

/// Whom a request comes from.
pub(crate) struct Client(pub(crate) ClientAddress);

impl<S: Send + Sync> FromRequestParts<S> for Client {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        Ok(Self(client_of(&parts.extensions)))
    }
}

/// Whom a request comes from. One that came through no door, as in tests, is of this machine.
pub(crate) fn client_of(extensions: &Extensions) -> ClientAddress {
    let known = extensions.get::<ClientAddress>().copied();
    known.unwrap_or(ClientAddress::of_peer(IpAddr::V4(Ipv4Addr::LOCALHOST), false))
}

/// The `{id}` of a path.
pub(crate) struct Id(pub(crate) StreamId);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        segment(parts, state, InvalidName::StreamId).await.map(Self)
    }
}

/// The `{id}` and `{viewer}` of a path.
pub(crate) struct StreamAndViewer(pub(crate) StreamId, pub(crate) ViewerId);

impl<S: Send + Sync> FromRequestParts<S> for StreamAndViewer {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let invalid = |error: InvalidName| Failure::new(ErrorCode::InvalidRequest, error.to_string());
        let texts = <Path<(String, String)> as FromRequestParts<S>>::from_request_parts(parts, state).await;
        let Path((stream, viewer)) = texts.map_err(|_| invalid(InvalidName::StreamId))?;
        Ok(Self(stream.parse().map_err(invalid)?, viewer.parse().map_err(invalid)?))
    }
}

/// The `{name}` of a path.
pub(crate) struct Name(pub(crate) RelayName);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        segment(parts, state, InvalidName::RelayName).await.map(Self)
    }
}

/// The path's one variable part.
async fn segment<T, S>(parts: &mut Parts, state: &S, otherwise: InvalidName) -> Result<T, Failure>
where
    T: std::str::FromStr<Err = InvalidName>,
    S: Send + Sync,
{
    let text = <Path<String> as FromRequestParts<S>>::from_request_parts(parts, state).await;
    let parsed = text.map_err(|_| otherwise).and_then(|Path(text)| text.parse());
    parsed.map_err(|error| Failure::new(ErrorCode::InvalidRequest, error.to_string()))
}

/// A body as it was received, and what its sender signed about it.
pub(crate) struct SignedBody {
    pub(crate) assertion: Secret,
    pub(crate) bytes: Bytes,
}

impl<S: Send + Sync> FromRequest<S> for SignedBody {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let assertion = request.headers().get(ASSERTION).and_then(|value| value.to_str().ok());
        let assertion = assertion.map(Secret::from).ok_or_else(|| {
            Failure::unauthorized("this call needs the header `Relay-Assertion`, signed with the relay's key")
        })?;
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            return Err(not_json());
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => too_large(),
            _ => Failure::new(ErrorCode::InvalidRequest, rejection.body_text()),
        })?;
        Ok(Self { assertion, bytes })
    }
}

/// What a relay signed about a request that people make as well: without the header there is nothing.
pub(crate) struct Signature(pub(crate) Secret);

impl<S: Send + Sync> OptionalFromRequestParts<S> for Signature {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        // One that can't be read is there, too, and proves nothing.
        let text = parts.headers.get(ASSERTION).map(|value| value.to_str().unwrap_or_default());
        Ok(text.map(|text| Self(text.into())))
    }
}

/// What a signed body says.
pub(crate) fn json<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, Failure> {
    let invalid = |error: serde_json::Error| Failure::new(ErrorCode::InvalidRequest, error.to_string());
    serde_json::from_slice(bytes).map_err(invalid)
}

/// The secret, key or token of `Authorization: Bearer ...` (RFC 6750 2.1).
pub(crate) struct Bearer(pub(crate) Secret);

impl<S: Send + Sync> FromRequestParts<S> for Bearer {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let value = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let (scheme, secret) = value.and_then(|value| value.split_once(' ')).unwrap_or_default();
        if !scheme.eq_ignore_ascii_case("bearer") || secret.trim().is_empty() {
            return Err(Failure::unauthorized("this call needs the header `Authorization: Bearer ...`"));
        }
        Ok(Self(secret.trim().into()))
    }
}

/// Without the header there is none; anything else must be well formed.
impl<S: Send + Sync> OptionalFromRequestParts<S> for Bearer {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Failure> {
        if !parts.headers.contains_key(header::AUTHORIZATION) {
            return Ok(None);
        }
        <Self as FromRequestParts<S>>::from_request_parts(parts, state).await.map(Some)
    }
}
