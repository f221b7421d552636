//! Whether another upstream is needed beside the one there is, and whether what another one has is of use. Pure.

use protocol::limits::{CLIENT_PATIENCE, KEEP_ALIVE_INTERVAL};
use tokio::time::{Duration, Instant};
use webtransport::Transport;

/// How long the silence of a session is borne before another upstream is looked for beside it: some times as long as one is silent at most,
/// and half of what a WebSocket may be, whose end the system tells where a machine is there at all.
const SESSION_PATIENCE: Duration = KEEP_ALIVE_INTERVAL.saturating_mul(2);

/// Why another upstream is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// There is none.
    Lost,
    /// The one there is says nothing, or has no broadcaster: whichever brings media first stays.
    Race,
    /// The one there is sends the stream, but not for long.
    Handover,
}

/// What is to be seen of the upstream that sends the stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight {
    /// When it said something last.
    pub(super) heard_at: Instant,
    /// What carries it.
    pub(super) transport: Option<Transport>,
    /// Whether it says that the broadcaster is connected.
    pub(super) present: bool,
    /// Whether it says that the stream goes on elsewhere.
    pub(super) moving: bool,
    /// Whether others may have a newer publisher's stream.
    pub(super) newer_elsewhere: bool,
}

impl Sight {
    /// What is needed beside it.
    pub(super) fn need(&self, now: Instant) -> Option<Need> {
        if now.duration_since(self.heard_at) >= self.patience() || !self.present {
            return Some(Need::Race);
        }
        (self.moving || self.newer_elsewhere).then_some(Need::Handover)
    }

    /// Whether it is silent for so long that it is taken for dead: another one had as long to show itself.
    pub(super) fn is_dead(&self, now: Instant) -> bool {
        now.duration_since(self.heard_at) >= 2 * self.patience()
    }

    const fn patience(&self) -> Duration {
        match self.transport {
            Some(Transport::Webtransport) => SESSION_PATIENCE,
            _ => CLIENT_PATIENCE,
        }
    }
}

/// Whether the stream of the publisher `epoch` is of no use beside that of the publisher `sent`, while the newest ticket knows of
/// `known`: it is an older one's, or again the one's that is to be left. Where a stream moves it is the same publisher's for a while.
pub(super) const fn is_outdated(epoch: u32, sent: u32, known: u32, moving: bool) -> bool {
    epoch < sent || (epoch == sent && known > sent && !moving)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good(heard_at: Instant) -> Sight {
        Sight { heard_at, transport: Some(Transport::Websocket), present: true, moving: false, newer_elsewhere: false }
    }

    #[test]
    fn silent_upstream_and_one_without_a_broadcaster_are_raced() {
        let now = Instant::now();
        let (almost, late) = (now + CLIENT_PATIENCE - Duration::from_millis(1), now + CLIENT_PATIENCE);
        assert_eq!((good(now).need(almost), good(now).need(late)), (None, Some(Need::Race)));
        let session = Sight { transport: Some(Transport::Webtransport), ..good(now) };
        let (almost, late) = (now + SESSION_PATIENCE - Duration::from_millis(1), now + SESSION_PATIENCE);
        assert_eq!((session.need(almost), session.need(late)), (None, Some(Need::Race)));
        assert!(
            !session.is_dead(now + CLIENT_PATIENCE - Duration::from_millis(1))
                && session.is_dead(now + CLIENT_PATIENCE)
        );
        assert!(!good(now).is_dead(now + CLIENT_PATIENCE) && good(now).is_dead(now + 2 * CLIENT_PATIENCE));
        assert_eq!(Sight { present: false, ..good(now) }.need(now), Some(Need::Race));
        let leaving = Sight { present: false, moving: true, newer_elsewhere: true, ..good(now) };
        assert_eq!(leaving.need(now), Some(Need::Race), "who sends nothing can't hand over");
    }

    #[test]
    fn upstream_that_sends_but_not_for_long_hands_over() {
        let now = Instant::now();
        assert_eq!(Sight { moving: true, ..good(now) }.need(now), Some(Need::Handover));
        assert_eq!(Sight { newer_elsewhere: true, ..good(now) }.need(now), Some(Need::Handover));
    }

    #[test]
    fn older_publishers_stream_is_of_no_use_nor_the_same_once_more() {
        assert!(is_outdated(1, 2, 2, false) && is_outdated(1, 2, 2, true));
        assert!(!is_outdated(2, 2, 2, false) && !is_outdated(3, 2, 2, false));
        assert!(is_outdated(2, 2, 3, false), "a newer one is known of");
        assert!(!is_outdated(2, 2, 3, true), "and it is where the stream goes on");
    }
}
