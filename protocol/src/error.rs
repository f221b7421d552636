//! The stable error codes that HTTP bodies (`{ code, message }`) and WebSocket `error` messages share.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

macro_rules! error_codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal, $http:literal, $close:literal;)*) => {
        /// What went wrong, for programs: a stable word that never changes its meaning. The message beside it is for people.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(rename_all = "snake_case")]
        #[ts(export)]
        pub enum ErrorCode { $($(#[$doc])* $variant,)* }

        impl ErrorCode {
            /// Every code, in the order of the documentation.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)*];

            /// The word on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(ErrorCode::$variant => $text,)* }
            }

            /// The HTTP status (RFC 9110) that goes with the code.
            #[must_use]
            pub const fn http_status(self) -> u16 {
                match self { $(ErrorCode::$variant => $http,)* }
            }

            /// The WebSocket close code (RFC 6455 7.4.1) that goes with the code.
            #[must_use]
            pub const fn close_code(self) -> u16 {
                match self { $(ErrorCode::$variant => $close,)* }
            }
        }
    };
}

error_codes! {
    /// A message or body that is not of its documented form.
    InvalidRequest = "invalid_request", 400, 1002;
    /// A title that is empty, too long, or holds control characters.
    InvalidTitle = "invalid_title", 422, 1008;
    /// A body or message over its limit.
    TooLarge = "too_large", 413, 1009;
    /// A body that does not say it is JSON.
    UnsupportedMediaType = "unsupported_media_type", 415, 1003;
    /// No such page or call.
    NotFound = "not_found", 404, 1008;
    /// The call exists, but not with this method.
    MethodNotAllowed = "method_not_allowed", 405, 1008;
    /// The secret, key or token is missing or wrong.
    Unauthorized = "unauthorized", 401, 1008;
    /// The stream has ended or never was.
    StreamNotFound = "stream_not_found", 404, 1008;
    /// No healthy relay has room for the stream.
    NoRelay = "no_relay", 503, 1013;
    /// Another relay holds the name.
    RelayNameTaken = "relay_name_taken", 409, 1008;
    /// The directory does not know the relay (any more): it must register again.
    RelayUnknown = "relay_unknown", 404, 1008;
    /// The server carries as many streams as it may.
    TooManyStreams = "too_many_streams", 503, 1013;
    /// The directory has as many relays as it takes.
    TooManyRelays = "too_many_relays", 503, 1013;
    /// The relay serves as many viewers as it may.
    TooManyViewers = "too_many_viewers", 503, 1013;
    /// The stream has more tracks than it may.
    TooManyTracks = "too_many_tracks", 422, 1008;
    /// The first message names a protocol version that this server does not speak.
    UnsupportedProtocol = "unsupported_protocol", 400, 1002;
    /// The first message took too long.
    FirstMessageLate = "first_message_late", 408, 1008;
    /// The ticket is forged, malformed, or for something else.
    TicketInvalid = "ticket_invalid", 403, 1008;
    /// The ticket's time is over: ask the directory for a new one.
    TicketExpired = "ticket_expired", 403, 1008;
    /// The stream is not (yet) sent to this relay.
    StreamNotLive = "stream_not_live", 404, 1013;
    /// Somebody is already sending this stream with the same epoch.
    PublisherPresent = "publisher_present", 409, 1008;
    /// A publisher with a higher epoch has taken over.
    Superseded = "superseded", 409, 1008;
    /// The ticket's epoch is lower than one this relay has seen.
    StaleEpoch = "stale_epoch", 409, 1008;
    /// A media message for a track that was not registered.
    UnknownTrack = "unknown_track", 422, 1008;
    /// A media message out of order: a chunk before its init segment or key frame, or a number that went back.
    WrongOrder = "wrong_order", 422, 1008;
    /// The peer was silent for too long.
    Silent = "silent", 408, 1008;
    /// The server is going away.
    ShuttingDown = "shutting_down", 503, 1001;
    /// The directory lets only those go live who have a pass.
    PassRequired = "pass_required", 401, 1008;
    /// The pass is not one of this directory, or was revoked.
    PassInvalid = "pass_invalid", 403, 1008;
    /// The stream is only for those who know its password.
    PasswordRequired = "password_required", 401, 1008;
    /// Not the stream's password.
    PasswordWrong = "password_wrong", 403, 1008;
    /// A password that is missing, too short or too long, or one for a stream that needs none.
    InvalidPassword = "invalid_password", 422, 1008;
    /// Too much from one address or with one ticket; `Retry-After` says when to try again.
    TooManyRequests = "too_many_requests", 429, 1013;
    /// The broadcaster has removed this viewer.
    ViewerRemoved = "viewer_removed", 403, 1008;
    /// An operator has shut this relay out.
    RelayRevoked = "relay_revoked", 403, 1008;
    /// The server failed; its log says why.
    Internal = "internal", 500, 1011;
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_word_is_what_serde_writes() {
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }
}
