//! How sessions end, in this relay's terms.

use protocol::{ErrorCode, framing::InvalidFrame};
use webtransport::{Control, ControlError, InboxError, Session, SessionLost};

use crate::{
    connection::{End, LastWords},
    transport::FAREWELL_TIME_MAX,
};

/// Ends a session as `end` asks for; `words` come before its own.
pub(super) async fn farewell(session: &Session, control: Control, end: &End, words: Vec<String>) {
    if let Some(last) = LastWords::of(end, words) {
        control.say_last(&last.words, FAREWELL_TIME_MAX).await;
    }
    close(session, end);
}

/// Ends a session without a word.
pub(super) fn close(session: &Session, end: &End) {
    let code = LastWords::of(end, vec![]).map_or(0, |last| last.code);
    session.close(code, end.reason());
}

/// How a connection ends on whose control stream this happened.
pub(super) fn end_of_control(error: ControlError) -> End {
    match error {
        ControlError::Closed | ControlError::Lost => End::Left,
        ControlError::Full => End::TooSlow,
        ControlError::Frame(error) => end_of_frame(&error),
        ControlError::NotText => End::error(ErrorCode::InvalidRequest, error),
    }
}

/// How a broadcaster's connection ends whose media is like this.
pub(super) fn end_of_media(error: InboxError) -> End {
    match &error {
        InboxError::Lost(_) => End::Left,
        InboxError::Frame(frame) => end_of_frame(frame),
        InboxError::Media(_) => End::error(ErrorCode::InvalidRequest, error),
        InboxError::InitMissing(_) | InboxError::Mixed(_) => End::error(ErrorCode::WrongOrder, error),
        InboxError::TooManyTracks => End::error(ErrorCode::TooManyTracks, error),
    }
}

fn end_of_frame(error: &InvalidFrame) -> End {
    match error {
        InvalidFrame::TooLarge { .. } => End::error(ErrorCode::TooLarge, error),
        InvalidFrame::Empty | InvalidFrame::Cut => End::error(ErrorCode::InvalidRequest, error),
    }
}

/// How it ends when the session is lost.
pub(super) fn end_of_session(_: SessionLost) -> End {
    End::Left
}
