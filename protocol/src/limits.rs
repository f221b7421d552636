//! Every bound that both ends of a wire must agree on, each with its reason.

use std::time::Duration;

/// Longest title, in characters: fits two lines of a list on a phone.
pub const TITLE_CHARS_MAX: usize = 120;

/// Longest relay name, in characters: one DNS label (RFC 1035 2.3.4), so that a name can be a host name.
pub const RELAY_NAME_CHARS_MAX: usize = 63;

/// Longest public URL of a relay, in bytes.
pub const RELAY_URL_BYTES_MAX: usize = 512;

/// Most certificates a relay may show at a time over WebTransport: the one in use and the next, and as many again while several
/// of its processes share an address.
pub const CERTIFICATE_HASHES_MAX: usize = 4;

/// Largest HTTP request body the directory reads: a heartbeat of a relay with every stream it may carry fits.
pub const HTTP_BODY_BYTES_MAX: usize = 1024 * 1024;

/// Largest WebSocket message: a 4K key frame at high quality stays below 2 MiB.
pub const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How far behind the live edge a viewer over WebTransport may be before the segment it is in is given up for a newer key frame. A
/// quarter of [`VIEWER_BEHIND_TIME_MAX`]: what was lost costs here one segment, and not all that waits behind it.
pub const SEGMENT_BEHIND_TIME_MAX: Duration = Duration::from_millis(400);

/// How long a reader waits for the rest of a segment whose successor is there before it gives the segment up.
pub const SEGMENT_STALL_TIME_MAX: Duration = Duration::from_millis(400);

/// Most segments of one track under way at a time on one session: the one that is read, its successor, and some more that a
/// burst or the end of short segments brings.
pub const SEGMENTS_UNDER_WAY_MAX: usize = 4;

/// Largest control (text) message: tickets and track lists are far below.
pub const CONTROL_BYTES_MAX: usize = 64 * 1024;

/// Most tracks of one stream: a screen, a camera, sounds and a few renditions.
pub const TRACKS_MAX: usize = 8;

/// Longest codec string of a track (RFC 6381), in bytes.
pub const CODEC_BYTES_MAX: usize = 64;

/// How long a fresh connection may take to say who it is: a slow mobile round trip with a retransmission or two.
pub const FIRST_MESSAGE_TIME_MAX: Duration = Duration::from_secs(5);

/// How long a relay is silent towards a client at most: it says something (`viewers`, `received`) when nothing else was to be said,
/// because a browser page can't see WebSocket pings. A quarter of [`CLIENT_PATIENCE`].
pub const KEEP_ALIVE_INTERVAL: Duration = Duration::from_millis(250);

/// How long a client bears a relay's silence before it opens the next one beside it. Whichever speaks first stays.
pub const CLIENT_PATIENCE: Duration = Duration::from_secs(1);

/// How often a relay pings a client, which has nothing to say by itself.
pub const PING_INTERVAL: Duration = Duration::from_secs(2);

/// A client that was silent for this long is taken for dead by its relay: three lost pongs.
pub const SILENCE_TIME_MAX: Duration = Duration::from_secs(8);

/// Most relays that an assignment or a watch answer names: the first, and where to go when it fails.
pub const RELAYS_NAMED_MAX: usize = 4;

/// How long a broadcaster that moves sends to the old relay and to the new one: viewers have this long to follow without a gap.
pub const MOVE_OVERLAP_TIME_MAX: Duration = Duration::from_secs(3);

/// How many relays a stream may pass through behind its origin.
pub const EDGE_DEPTH_MAX: u8 = 3;

/// How many relays pull a stream from one relay: past it the tree gets deeper, as each is a whole copy of the stream. Directories
/// count to this; relays let some more in, because directories may be late.
pub const EDGES_PER_RELAY_MAX: usize = 16;

/// How long an edge keeps a stream that nobody watches there.
pub const EDGE_IDLE_TIME_MAX: Duration = Duration::from_secs(5);

/// How old a [`crate::stream_record::StreamRecord`] may be that brings a stream back.
pub const RECORD_TIME_MAX: Duration = Duration::from_secs(24 * 3600);

/// Longest name of a region, in bytes.
pub const REGION_BYTES_MAX: usize = 32;

/// Default bytes of media a relay holds for one stream: 10 s at 12 Mbit/s.
pub const WINDOW_BYTES_DEFAULT: usize = 16 * 1024 * 1024;

/// A viewer further behind the live edge than this jumps to the newest key frame as soon as there is one ahead of it.
pub const VIEWER_BEHIND_TIME_MAX: Duration = Duration::from_millis(1500);

/// How long a stream outlives its broadcaster's connection: a Wi-Fi change or a failover, not a coffee break.
pub const BROADCASTER_AWAY_TIME_MAX: Duration = Duration::from_secs(10);

/// How long a created stream may stay without media before the directory forgets it.
pub const STREAM_START_TIME_MAX: Duration = Duration::from_secs(60);

/// How often a relay reports to the directory.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);

/// A relay that was not heard of for this long holds its name no longer and gets no work.
pub const RELAY_SILENCE_TIME_MAX: Duration = Duration::from_secs(5);

/// How long a ticket is good for: a viewer's page that retries for some minutes needs no new one.
pub const TICKET_TIME: Duration = Duration::from_secs(600);

/// How far ahead or behind a ticket's issuer's clock may be.
pub const TICKET_CLOCK_SKEW_MAX: Duration = Duration::from_secs(30);

/// Most relays named by a ticket or an assignment.
pub const TICKET_RELAYS_MAX: usize = 8;

/// Longest time between key frames of a picture track: what a late joiner waits for at most, and what a relay must hold.
pub const KEY_FRAME_INTERVAL: Duration = Duration::from_secs(2);

/// From how much of [`TICKET_TIME`] on a ticket is renewed: half, so that a directory may be away for minutes.
pub const TICKET_RENEWED_AFTER: Duration = Duration::from_secs(TICKET_TIME.as_secs() / 2);

/// How long an expired ticket still counts at a relay that can't reach the directory that would renew it. Longer than an outage
/// that people sit out; a stream that nobody can be removed from does not go on for ever.
pub const DIRECTORY_AWAY_TIME_MAX: Duration = Duration::from_secs(3600);

/// How far a relay's clock and the directory's may be apart, and how long a request of a relay may be under way.
pub const RELAY_ASSERTION_TIME: Duration = Duration::from_secs(30);

/// For how long a relay that was shut out is named to the others: as long as a ticket that it holds may count.
pub const REVOKED_TOLD_TIME: Duration = TICKET_TIME.saturating_add(DIRECTORY_AWAY_TIME_MAX);

/// Most of them that the answer to a heartbeat names, the newest: some 50 KiB.
pub const REVOKED_TOLD_MAX: usize = 512;

/// Longest challenge that a directory puts to a relay, in bytes.
pub const CHALLENGE_BYTES_MAX: usize = 128;

/// Shortest password of a stream, in characters: guessing is slowed down to a few attempts a minute.
pub const PASSWORD_CHARS_MIN: usize = 4;

/// Longest password of a stream, in characters.
pub const PASSWORD_CHARS_MAX: usize = 128;

/// Most viewers that a broadcaster is told of one by one: more is a crowd, of which nobody is picked out by hand.
pub const AUDIENCE_MAX: usize = 100;
