//! What a viewer asks for, or a relay that pulls the stream, whatever carries it.

use std::sync::Arc;

use protocol::{
    Secret, TrackNumber,
    control::{FromRelay, FromViewer},
};

use crate::{
    connection::{End, parse},
    house::House,
    session::Session,
};

/// One wish.
#[derive(Debug)]
pub(crate) enum Asked {
    /// To go on with this ticket.
    Renew(Secret),
    /// For another track of the same kind.
    Select(TrackNumber),
    /// For a key frame of a track: somebody behind it waits for one.
    Key(TrackNumber),
}

impl Asked {
    /// What the one of `session` asks for with `text`.
    ///
    /// # Errors
    /// When it is none of the documented messages.
    pub(crate) fn of(text: &str, session: &Session) -> Result<Self, End> {
        if session.edge().is_some() {
            return Ok(match parse(text)? {
                FromRelay::RenewTicket { ticket } => Self::Renew(ticket),
                FromRelay::KeyFrameWanted { track } => Self::Key(track),
            });
        }
        Ok(match parse(text)? {
            FromViewer::RenewTicket { ticket } => Self::Renew(ticket),
            FromViewer::SelectTrack { track } => Self::Select(track),
        })
    }
}

/// Goes on with `ticket`.
///
/// # Errors
/// When it does not permit the same.
pub(crate) fn renew(session: &mut Session, ticket: &Secret, house: &Arc<House>) -> Result<(), End> {
    session.renew(ticket)?;
    if session.edge().is_none() {
        house.edges.wanted(house, session.grant(), ticket);
    }
    Ok(())
}
