//! A connection from its first message on: [`Incoming`] until it has said who it is, then [`Publishing`] or [`Viewing`], which
//! serves relays as well.

use std::sync::Arc;

use protocol::{
    ErrorCode,
    control::{ClientHello, ToBroadcaster, ToViewer},
    limits::SILENCE_TIME_MAX,
};
use serde::Serialize;
use service::client_address::Network;

use crate::{
    admission::{Admission, Admitted},
    house::House,
    publisher::Publishing,
    rate::Chatter,
    transport::{Message, ReceiveError, SendError, websocket::Socket},
    viewer::Viewing,
};

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The peer has gone.
    Left,
    /// The peer is told why, and the connection is closed.
    Error(ErrorCode, String),
    /// The peer takes nothing.
    TooSlow,
    /// The stream is over.
    StreamEnded,
    /// The peer has been told what it asked for.
    Answered,
    /// The relay stops.
    Stopping,
    /// An operator has shut this relay out.
    Revoked,
}

impl End {
    /// The fixed word for it.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Error(code, _) => code.as_str(),
            Self::TooSlow => "too_slow",
            Self::StreamEnded => "stream_ended",
            Self::Answered => "answered",
            Self::Stopping => "stopping",
            Self::Revoked => "relay_revoked",
        }
    }

    /// The peer has given no sign of life for too long.
    #[must_use]
    pub fn silent() -> Self {
        Self::Error(ErrorCode::Silent, format!("nothing was heard for {} s", SILENCE_TIME_MAX.as_secs()))
    }

    /// An error with `error`'s own words.
    pub fn error(code: ErrorCode, error: impl ToString) -> Self {
        Self::Error(code, error.to_string())
    }
}

impl From<SendError> for End {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Lost => Self::Left,
            SendError::TooSlow => Self::TooSlow,
        }
    }
}

impl From<ReceiveError> for End {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::Closed | ReceiveError::Lost => Self::Left,
            ReceiveError::TooLarge => Self::error(ErrorCode::TooLarge, error),
            ReceiveError::Malformed(text) => Self::Error(ErrorCode::InvalidRequest, text),
        }
    }
}

/// A connection that has not said who it is.
#[derive(Debug)]
pub struct Incoming {
    socket: Socket,
    admission: Admission,
}

impl Incoming {
    /// A connection whose handshake is done.
    #[must_use]
    pub const fn new(socket: Socket, from: Network, house: Arc<House>) -> Self {
        Self { socket, admission: Admission::new(from, house) }
    }

    /// Serves the connection until it ends.
    pub async fn serve(mut self) {
        let house = Arc::clone(self.admission.house());
        let admitted = Box::pin(self.hello()).await.and_then(|hello| self.admission.admit(hello));
        let (end, words) = match admitted {
            Ok(Admitted::Publisher(seat, session)) => {
                // Viewers are many, and have no room for what publishers need.
                return Box::pin(Publishing::new(self.socket, seat, session, house).serve()).await;
            }
            Ok(Admitted::Viewer(seat, session)) => {
                return Viewing::new(self.socket, seat, session, house).serve().await;
            }
            Ok(Admitted::Asked(identity)) => (End::Answered, vec![text_of(&identity)]),
            Err(end) => (end, vec![]),
        };
        self.admission.note(&end);
        farewell(self.socket, &end, &words).await;
    }

    async fn hello(&mut self) -> Result<ClientHello, End> {
        let chatter = Chatter::default();
        let socket = &mut self.socket;
        let first = async {
            loop {
                match socket.receive().await? {
                    Message::Alive => chatter.heard()?,
                    Message::Text(text) => return parse(&text),
                    Message::Media(_) => {
                        return Err(End::error(
                            ErrorCode::InvalidRequest,
                            "the first message has to say who speaks, in JSON",
                        ));
                    }
                }
            }
        };
        self.admission.in_time(first).await
    }
}

/// Reads a control message.
pub(crate) fn parse<'text, T: serde::Deserialize<'text>>(text: &'text str) -> Result<T, End> {
    serde_json::from_str(text).map_err(|error| {
        // Not the library's own words: they repeat what was sent, of any length, and a ticket may be in it.
        let what = if error.is_data() { "not one of the documented messages" } else { "not JSON" };
        let message = format!("the message is {what} (line {}, column {})", error.line(), error.column());
        End::Error(ErrorCode::InvalidRequest, message)
    })
}

/// Asks the peer for a sign of life, unless it has given none for too long.
pub(crate) async fn keep_alive(socket: &mut Socket) -> Result<(), End> {
    if socket.is_silent() {
        return Err(End::silent());
    }
    Ok(socket.ping().await?)
}

/// Writes a control message.
pub(crate) fn text_of(message: &impl Serialize) -> String {
    // Maps with string keys and finite numbers only: there is nothing that JSON can't say.
    serde_json::to_string(message).unwrap_or_default()
}

/// What a peer is told last.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LastWords {
    /// Messages.
    pub(crate) words: Vec<String>,
    /// The code that the connection closes with.
    pub(crate) code: u16,
    /// The same as a fixed word.
    pub(crate) reason: &'static str,
}

impl LastWords {
    /// What `end` asks for; `words` come before its own. None when nobody would hear it.
    pub(crate) fn of(end: &End, mut words: Vec<String>) -> Option<Self> {
        let (code, reason) = match end {
            End::Left | End::TooSlow => return None,
            End::StreamEnded => (1000, "stream_ended"),
            End::Answered => (1000, "answered"),
            // Whoever hears it asks the directory where to go on.
            End::Revoked => {
                let message = "this relay is no longer one of its directory's".to_owned();
                words.push(text_of(&ToViewer::Error { code: ErrorCode::ShuttingDown, message }));
                (ErrorCode::ShuttingDown.close_code(), ErrorCode::RelayRevoked.as_str())
            }
            End::Stopping => {
                let message = "this relay is shutting down".to_owned();
                words.push(text_of(&ToViewer::Error { code: ErrorCode::ShuttingDown, message }));
                (ErrorCode::ShuttingDown.close_code(), ErrorCode::ShuttingDown.as_str())
            }
            End::Error(code, message) => {
                // Both directions write an error alike.
                words.push(text_of(&ToBroadcaster::Error { code: *code, message: message.clone() }));
                (code.close_code(), code.as_str())
            }
        };
        Some(Self { words, code, reason })
    }
}

/// Ends a connection as `end` asks for; `words` come before its own.
pub(crate) async fn farewell(socket: Socket, end: &End, words: &[String]) {
    match LastWords::of(end, words.to_vec()) {
        Some(LastWords { words, code, reason }) => Box::pin(socket.close(words, code, reason)).await,
        None if *end == End::TooSlow => socket.cut(),
        None => {}
    }
}

#[cfg(test)]
mod tests;
