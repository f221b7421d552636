//! What lies in the store, by key.

use std::fmt;

use protocol::{RelayName, StreamId};

use crate::{ended_streams::EndedStreams, members::Members, passes::Passes, state_file::State as _};

/// The public half of the key that all directories sign with.
pub(super) const TICKET_KEY: &str = "ticket-key";

/// One key. In this order they are taken over.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// See [`TICKET_KEY`].
    Signer,
    /// Which relays belong here.
    Members,
    /// Who may go live.
    Passes,
    /// The streams that operators ended.
    EndedStreams,
    /// One stream.
    Stream(StreamId),
    /// One relay: gone with its lease.
    Relay(RelayName),
    /// One directory that is there.
    Directory(String),
}

impl Key {
    /// The key of this text, if it is one of this release.
    pub(super) fn of(text: &str) -> Option<Self> {
        Some(match text {
            TICKET_KEY => Self::Signer,
            Members::KEY => Self::Members,
            Passes::KEY => Self::Passes,
            EndedStreams::KEY => Self::EndedStreams,
            _ => match text.split_once(':')? {
                ("relay", name) => Self::Relay(name.parse().ok()?),
                ("stream", id) => Self::Stream(id.parse().ok()?),
                ("directory", name) => Self::Directory(name.to_owned()),
                _ => return None,
            },
        })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signer => f.write_str(TICKET_KEY),
            Self::Members => f.write_str(Members::KEY),
            Self::Passes => f.write_str(Passes::KEY),
            Self::EndedStreams => f.write_str(EndedStreams::KEY),
            Self::Relay(name) => write!(f, "relay:{name}"),
            Self::Stream(id) => write!(f, "stream:{id}"),
            Self::Directory(name) => write!(f, "directory:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_read_as_it_is_written_and_others_are_left_alone() {
        let stream = StreamId::of(&"demo".parse().unwrap(), 5);
        let relay = Key::Relay("relay-1".parse().unwrap());
        let keys = [Key::Signer, Key::Members, Key::Passes, Key::EndedStreams, relay, Key::Stream(stream)];
        for key in keys.into_iter().chain([Key::Directory("1f".to_owned())]) {
            assert_eq!(Key::of(&key.to_string()), Some(key));
        }
        for text in ["", "relay", "relay:no good name", "stream:xyz", "of:tomorrow"] {
            assert_eq!(Key::of(text), None, "{text}");
        }
    }
}
