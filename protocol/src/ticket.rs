//! Tickets: short-lived permissions to publish or watch one stream on named relays, signed by the directory. A relay verifies
//! them with the directory's public key alone.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    ErrorCode, RelayName, StreamId, ViewerId,
    http::RelayAddress,
    limits::{TICKET_CLOCK_SKEW_MAX, TICKET_TIME},
    signing::{Claims, Forged, PublicKey},
};

/// What a ticket permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Send the stream.
    Publish,
    /// Watch the stream.
    Watch,
}

/// What a verified ticket says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The stream.
    #[serde(rename = "sub")]
    pub stream: StreamId,
    /// What is permitted.
    #[serde(rename = "act")]
    pub action: Action,
    /// The stream's epoch when the ticket was issued.
    #[serde(rename = "epo")]
    pub epoch: u32,
    /// The relays it is good on.
    #[serde(rename = "aud")]
    pub relays: Vec<RelayName>,
    /// Who watches, by a number that the directory draws; stays the same when the ticket is renewed. None for publishing.
    #[serde(rename = "vwr", default, skip_serializing_if = "Option::is_none")]
    pub viewer: Option<ViewerId>,
    /// Where a relay that lacks the stream pulls it from, best first. None of the relays above needs it while it carries the stream.
    #[serde(rename = "ups", default, skip_serializing_if = "Vec::is_empty")]
    pub upstream: Vec<RelayAddress>,
    /// When it was issued, in seconds since the Unix epoch.
    #[serde(rename = "iat")]
    pub issued_at_s: u64,
    /// When it ends, in seconds since the Unix epoch.
    #[serde(rename = "exp")]
    pub expires_at_s: u64,
}

impl Claims for Grant {
    const TYPE: &'static str = "ticket+jwt";
}

impl Grant {
    /// A permission to send, for [`TICKET_TIME`] from `now_s` (seconds since the Unix epoch) on.
    #[must_use]
    pub fn publish(stream: StreamId, epoch: u32, relays: Vec<RelayName>, now_s: u64) -> Self {
        let expires_at_s = now_s + TICKET_TIME.as_secs();
        Self {
            stream,
            action: Action::Publish,
            epoch,
            relays,
            viewer: None,
            upstream: vec![],
            issued_at_s: now_s,
            expires_at_s,
        }
    }

    /// A permission for `viewer` to watch, as long.
    #[must_use]
    pub fn watch(stream: StreamId, epoch: u32, relays: Vec<RelayName>, viewer: ViewerId, now_s: u64) -> Self {
        let publish = Self::publish(stream, epoch, relays, now_s);
        Self { action: Action::Watch, viewer: Some(viewer), ..publish }
    }

    /// What `ticket` grants to somebody who wants `action` at `relay` at `now_s` (seconds since the Unix epoch). A ticket that has
    /// expired counts for `late_max` more: zero, but for a relay that can't reach the directory which would renew it.
    ///
    /// # Errors
    /// When it is forged, expired, or for something else.
    pub fn verify(
        key: &PublicKey,
        ticket: &str,
        action: Action,
        relay: &RelayName,
        now_s: u64,
        late_max: Duration,
    ) -> Result<Self, TicketError> {
        let grant: Self = key.verify(ticket)?;
        if now_s >= grant.expires_at_s.saturating_add(late_max.as_secs()) {
            return Err(TicketError::Expired);
        }
        if grant.issued_at_s > now_s.saturating_add(TICKET_CLOCK_SKEW_MAX.as_secs()) {
            return Err(TicketError::NotYet);
        }
        if !grant.relays.contains(relay) {
            return Err(TicketError::OtherRelay);
        }
        if grant.action != action || grant.viewer.is_some() != (action == Action::Watch) {
            return Err(TicketError::OtherAction);
        }
        Ok(grant)
    }
}

/// Why a ticket lets nobody in.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TicketError {
    /// Not a ticket, or its signature is wrong.
    #[error("the ticket is not one that this relay's directory has signed")]
    Forged,
    /// Its time is over.
    #[error("the ticket has expired; ask the directory for a new one")]
    Expired,
    /// Its time has not begun: the clocks of directory and relay are too far apart.
    #[error("the ticket is from the future: the clocks of directory and relay differ")]
    NotYet,
    /// It names other relays.
    #[error("the ticket is for another relay")]
    OtherRelay,
    /// It is for publishing where watching is asked, or the other way round.
    #[error("the ticket is not for this")]
    OtherAction,
}

impl From<Forged> for TicketError {
    fn from(_: Forged) -> Self {
        Self::Forged
    }
}

impl TicketError {
    /// The code on the wire.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Expired => ErrorCode::TicketExpired,
            _ => ErrorCode::TicketInvalid,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::SigningKey;

    const NOW_S: u64 = 1_763_000_000;

    fn key() -> SigningKey {
        SigningKey::from_pkcs8(&SigningKey::generate_pkcs8().unwrap()).unwrap()
    }

    fn relay(name: &str) -> RelayName {
        name.parse().unwrap()
    }

    fn grant() -> Grant {
        let stream = StreamId::of(&"demo".parse().unwrap(), 1);
        Grant::watch(stream, 3, vec![relay("relay-1"), relay("relay-2")], ViewerId(7), NOW_S)
    }

    #[test]
    fn signed_ticket_grants_what_was_signed() {
        let key = key();
        let ticket = key.sign(&grant()).unwrap();
        let verified =
            Grant::verify(&key.public_key(), ticket.expose(), Action::Watch, &relay("relay-2"), NOW_S, Duration::ZERO);
        assert_eq!(verified, Ok(grant()));
    }

    #[test]
    fn ticket_works_nowhere_else_and_for_nothing_else() {
        let key = key();
        let ticket = key.sign(&grant()).unwrap();
        let verify = |action, name, now_s, late_s| {
            let late_max = Duration::from_secs(late_s);
            Grant::verify(&key.public_key(), ticket.expose(), action, &relay(name), now_s, late_max)
        };
        assert_eq!(verify(Action::Watch, "relay-3", NOW_S, 0), Err(TicketError::OtherRelay));
        assert_eq!(verify(Action::Publish, "relay-1", NOW_S, 0), Err(TicketError::OtherAction));
        assert_eq!(verify(Action::Watch, "relay-1", NOW_S + 600, 0), Err(TicketError::Expired));
        assert_eq!(verify(Action::Watch, "relay-1", NOW_S + 600, 1), Ok(grant()));
        assert_eq!(verify(Action::Watch, "relay-1", NOW_S + 601, 1), Err(TicketError::Expired));
        assert_eq!(verify(Action::Watch, "relay-1", NOW_S - 31, 0), Err(TicketError::NotYet));
    }

    #[test]
    fn watch_ticket_without_a_viewer_is_none() {
        let key = key();
        let ticket = key.sign(&Grant { viewer: None, ..grant() }).unwrap();
        let verified =
            Grant::verify(&key.public_key(), ticket.expose(), Action::Watch, &relay("relay-1"), NOW_S, Duration::ZERO);
        assert_eq!(verified, Err(TicketError::OtherAction));
    }

    #[test]
    fn foreign_tickets_are_forged() {
        let foreign = key().sign(&grant()).unwrap();
        let verified = Grant::verify(
            &key().public_key(),
            foreign.expose(),
            Action::Watch,
            &relay("relay-1"),
            NOW_S,
            Duration::ZERO,
        );
        assert_eq!(verified, Err(TicketError::Forged));
    }
}
