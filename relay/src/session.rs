//! What a ticket permits, for as long as a connection lasts: it expires, and it is renewed over the open socket.

use std::sync::{Arc, PoisonError};

use protocol::{
    ErrorCode, RelayName, Secret, ViewerId,
    limits::DIRECTORY_AWAY_TIME_MAX,
    relay_proof::Membership,
    ticket::{Action, Grant, TicketError},
};

use crate::{connection::End, edge::proof::check_belongs, house::House};

/// One connection's permission.
#[derive(Debug)]
pub struct Session {
    grant: Grant,
    /// The relay that pulls the stream, where none of its viewers watches here.
    edge: Option<Box<Membership>>,
    house: Arc<House>,
}

impl Session {
    /// What `ticket` permits to somebody who comes now and wants `action`.
    ///
    /// # Errors
    /// With what the peer is to be told.
    pub fn begin(ticket: &Secret, action: Action, house: Arc<House>) -> Result<Self, End> {
        let grant = verify(ticket, action, &house.name, &house)?;
        Ok(Self { grant, edge: None, house })
    }

    /// What `ticket` permits to the relay `edge`, whose viewer it is: to pull the stream from here.
    ///
    /// # Errors
    /// With what the relay is to be told.
    pub fn begin_pull(ticket: &Secret, edge: Membership, house: Arc<House>) -> Result<Self, End> {
        let grant = verify_pull(ticket, &edge.relay, &house)?;
        Ok(Self { grant, edge: Some(Box::new(edge)), house })
    }

    /// The relay that pulls the stream; none for a viewer or a broadcaster.
    #[must_use]
    pub fn edge(&self) -> Option<&RelayName> {
        self.edge.as_ref().map(|edge| &edge.relay)
    }

    /// What it permits.
    #[must_use]
    pub const fn grant(&self) -> &Grant {
        &self.grant
    }

    /// The viewer; none for one who publishes.
    #[must_use]
    pub const fn viewer(&self) -> Option<ViewerId> {
        self.grant.viewer
    }

    /// Whether the permission still holds.
    ///
    /// # Errors
    /// With what the peer is to be told.
    pub fn check(&self) -> Result<(), End> {
        if let Some(edge) = &self.edge {
            check_belongs(edge, &self.house)?;
        }
        let now_s = self.house.clock.now_s();
        let holds =
            now_s < self.grant.expires_at_s || now_s < self.house.standing.counts_until_s(self.grant.expires_at_s);
        if holds { Ok(()) } else { Err(refused(&TicketError::Expired)) }
    }

    /// Goes on with another ticket. One that ends earlier than the present one shortens nothing.
    ///
    /// # Errors
    /// When it does not permit the same; with what the peer is to be told.
    pub fn renew(&mut self, ticket: &Secret) -> Result<(), End> {
        let renewed = match &self.edge {
            None => verify(ticket, self.grant.action, &self.house.name, &self.house)?,
            // Whichever of its viewers the ticket is of.
            Some(edge) => Grant { viewer: self.grant.viewer, ..verify_pull(ticket, &edge.relay, &self.house)? },
        };
        if !continues(&self.grant, &renewed) {
            let message = "the renewed ticket is for another stream, viewer or time of the stream";
            return Err(End::error(ErrorCode::TicketInvalid, message));
        }
        let expires_at_s = renewed.expires_at_s.max(self.grant.expires_at_s);
        self.grant = Grant { expires_at_s, ..renewed };
        self.house.metrics.tickets_renewed.inc();
        Ok(())
    }
}

/// Whether `renewed` permits to go on with what `grant` has permitted. A publisher of another epoch is another publisher, which
/// comes with a connection of its own.
fn continues(grant: &Grant, renewed: &Grant) -> bool {
    let epoch_fits = match grant.action {
        Action::Publish => renewed.epoch == grant.epoch,
        Action::Watch => renewed.epoch >= grant.epoch,
    };
    (renewed.stream, renewed.action, renewed.viewer) == (grant.stream, grant.action, grant.viewer) && epoch_fits
}

/// Verifies that `edge` may serve a viewer, and get what it needs for it from here.
fn verify_pull(ticket: &Secret, edge: &RelayName, house: &House) -> Result<Grant, End> {
    let grant = verify(ticket, Action::Watch, edge, house)?;
    if *edge == house.name || grant.upstream.iter().all(|upstream| upstream.name != house.name) {
        return Err(End::error(ErrorCode::TicketInvalid, "the ticket does not name this relay as an upstream"));
    }
    Ok(grant)
}

fn verify(ticket: &Secret, action: Action, relay: &RelayName, house: &House) -> Result<Grant, End> {
    let key = *house.ticket_key.read().unwrap_or_else(PoisonError::into_inner);
    let Some(key) = key else {
        let message = "this relay has not joined its directory yet; try again in a moment";
        return Err(End::error(ErrorCode::NoRelay, message));
    };
    let now_s = house.clock.now_s();
    let grant = Grant::verify(&key, ticket.expose(), action, relay, now_s, DIRECTORY_AWAY_TIME_MAX);
    let grant = grant.map_err(|error| refused(&error))?;
    if now_s >= grant.expires_at_s && now_s >= house.standing.counts_until_s(grant.expires_at_s) {
        return Err(refused(&TicketError::Expired));
    }
    Ok(grant)
}

fn refused(error: &TicketError) -> End {
    End::error(error.code(), error)
}
