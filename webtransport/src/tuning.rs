//! How QUIC is set for live media, each number with its reason. Both ends of every session are set here.

use std::{io, net::SocketAddr, net::UdpSocket, sync::Arc, time::Duration};

use protocol::limits::{PING_INTERVAL, SEGMENTS_UNDER_WAY_MAX, SILENCE_TIME_MAX, TRACKS_MAX};
use quinn::{IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt, congestion::BbrConfig};
use socket2::{Domain, Protocol, Socket, Type};

/// Unidirectional streams of a session that carry no media: HTTP/3's control stream and QPACK's two stay open for good, and browsers
/// open one of no known type now and then, so that others stay tolerant.
pub const SERVICE_STREAMS_MAX: u32 = 8;

/// Streams of one who may send media: all tracks, as many segments of each as may be under way.
pub const MEDIA_STREAMS_MAX: u32 = SERVICE_STREAMS_MAX + (TRACKS_MAX * SEGMENTS_UNDER_WAY_MAX) as u32;

/// Bidirectional streams: the session's own, the control stream, and two that are in error.
pub const BIDI_STREAMS_MAX: u32 = 4;

/// Bytes of one stream under way to a reader: 80 Mbit/s at 100 ms of round trip. A larger message comes in parts.
pub const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;

/// Bytes of a whole session under way to one who takes media: the segment that is read of each of a few tracks, and their successors.
pub const MEDIA_WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// The same while nothing but control messages may come. Of a stranger a server holds no more than this.
pub const CONTROL_WINDOW_BYTES: u32 = 128 * 1024;

/// Bytes in flight before the first answer: 32 packets, what Chrome's own servers begin with, so that most first key frames take two round
/// trips and not five.
pub const FIRST_FLIGHT_BYTES: u64 = 32 * 1200;

/// Bytes that may wait in a session for their turn beyond those in flight. What is written is as good as sent then: a tenth of a second
/// at 2.5 Mbit/s.
pub const SEND_SLACK_BYTES: u64 = 32 * 1024;

/// Most of a session's bytes that QUIC counts with being in flight: 80 Mbit/s at 100 ms. Its estimate may be of a line that nobody has
/// filled yet.
pub const SEND_WINDOW_BYTES_MAX: u64 = 1024 * 1024;

/// Largest UDP payload that is tried: what an Ethernet frame holds behind an IPv6 head. Less is found out by itself.
const UDP_PAYLOAD_BYTES_MAX: u16 = 1452;

/// Bytes of the socket that all sessions of an endpoint share, each way: a burst of a key frame to some hundred viewers. The system may
/// grant less.
const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// QUIC for a server: strangers get little, [`crate::Session::allow_media`] more.
#[must_use]
pub(crate) fn server() -> Arc<TransportConfig> {
    let mut transport = shared();
    transport
        .max_concurrent_uni_streams(VarInt::from_u32(SERVICE_STREAMS_MAX))
        .receive_window(VarInt::from_u32(CONTROL_WINDOW_BYTES));
    Arc::new(transport)
}

/// QUIC for a client, which knows whom it called.
#[must_use]
pub(crate) fn client() -> Arc<TransportConfig> {
    let mut transport = shared();
    transport
        .max_concurrent_uni_streams(VarInt::from_u32(MEDIA_STREAMS_MAX))
        .receive_window(VarInt::from_u32(MEDIA_WINDOW_BYTES));
    Arc::new(transport)
}

fn shared() -> TransportConfig {
    let mut transport = TransportConfig::default();
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.upper_bound(UDP_PAYLOAD_BYTES_MAX);
    // On a line of 40 ms that loses 2 % of its packets at random, CUBIC falls below what a stream of 2.5 Mbit/s needs, and this does not
    // (docs/decisions/0011-webtransport.md).
    let mut congestion = BbrConfig::default();
    congestion.initial_window(FIRST_FLIGHT_BYTES);
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(BIDI_STREAMS_MAX))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .send_window(FIRST_FLIGHT_BYTES + SEND_SLACK_BYTES)
        // One who is heard of no more is gone as early as over a WebSocket.
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(SILENCE_TIME_MAX.as_millis() as u32))))
        .keep_alive_interval(Some(PING_INTERVAL))
        .mtu_discovery_config(Some(mtu))
        // Without it a stream that has begun is not interrupted for one of higher priority.
        .send_fairness(true)
        // Nothing is sent as datagrams: QUIC's own would only take memory.
        .datagram_receive_buffer_size(None)
        .enable_segmentation_offload(true)
        .congestion_controller_factory(Arc::new(congestion));
    transport
}

/// How long the handshakes of QUIC and HTTP/3 may take together: two slow mobile round trips with a retransmission or two.
pub const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(5);

/// A UDP socket at `address` with room for bursts.
///
/// # Errors
/// When the system won't give it.
pub fn socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        // One that listens everywhere listens for IPv4 too, as the TCP listener does.
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_nonblocking(true)?;
    // Smaller buffers lose packets in bursts, which QUIC sends again.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    socket.bind(&address.into())?;
    Ok(socket.into())
}
