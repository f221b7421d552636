//! Whether a relay that wants to pull a stream is one of the directory's, and itself. What it may pull is in its viewer's ticket.

use std::sync::PoisonError;

use protocol::{
    ErrorCode, Secret, StreamId,
    relay_proof::{Assertion, Membership, pull_request},
};

use crate::{connection::End, house::House};

/// The membership of the relay that shows it.
///
/// # Errors
/// With what the relay is to be told.
pub(crate) fn member(membership: &Secret, house: &House) -> Result<Membership, End> {
    let key = *house.ticket_key.read().unwrap_or_else(PoisonError::into_inner);
    let key = key.ok_or_else(|| End::error(ErrorCode::NoRelay, "this relay has not joined its directory yet"))?;
    let forged = "the membership is not one that this relay's directory has signed";
    let member: Membership =
        key.verify(membership.expose()).map_err(|_| End::error(ErrorCode::Unauthorized, forged))?;
    check_belongs(&member, house)?;
    Ok(member)
}

/// Whether the relay still is one of the directory's, as far as that has said.
///
/// # Errors
/// With what the relay is to be told.
pub(crate) fn check_belongs(member: &Membership, house: &House) -> Result<(), End> {
    if house.edges.revoked.has(&member.public_key) {
        let message = "an operator of the directory has revoked your relay; nothing is sent to it any more";
        return Err(End::error(ErrorCode::RelayRevoked, message));
    }
    Ok(())
}

/// Whether it is the member itself that asks this relay for the stream, and does so now.
///
/// # Errors
/// With what the relay is to be told.
pub(crate) fn check_assertion(
    member: &Membership,
    stream: StreamId,
    assertion: &Secret,
    house: &House,
) -> Result<(), End> {
    let unauthorized = |why: &str| End::error(ErrorCode::Unauthorized, why);
    let request = pull_request(stream, &house.name);
    let now_ms = house.clock.now_us() / 1000;
    let said = Assertion::verify(&member.public_key, assertion.expose(), &request, b"", now_ms)
        .map_err(|error| unauthorized(&error.to_string()))?;
    if said.relay != member.relay {
        return Err(unauthorized("the relay's signature is in another's name"));
    }
    if !house.edges.replays.is_news(member.public_key, stream, said.said_at_ms) {
        return Err(unauthorized("this relay has heard the same before"));
    }
    Ok(())
}
