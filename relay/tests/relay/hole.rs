//! A proxy that can fall silent without closing anything, for connections and for datagrams.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use protocol::http::RelayAddress;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
};

use crate::driver::TestRelay;

/// The proxy before one relay.
pub(crate) struct Hole {
    tcp: Mouth,
    udp: Mouth,
    /// Every so many datagrams one is lost, each way; 0: none.
    loses_every: Arc<AtomicUsize>,
    accepting: tokio::task::AbortHandle,
}

/// Where it listens for one of them.
struct Mouth {
    address: SocketAddr,
    swallows: Arc<AtomicBool>,
}

impl Hole {
    /// One before this relay.
    pub(crate) async fn before(relay: &TestRelay) -> Self {
        let target = relay.address;
        let (tcp, swallowing, listener) = {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let swallows = Arc::new(AtomicBool::new(false));
            (Mouth { address: listener.local_addr().unwrap(), swallows: Arc::clone(&swallows) }, swallows, listener)
        };
        let accepting = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if swallowing.load(Ordering::SeqCst) {
                    // Kept open: whoever dialled hears nothing.
                    tokio::spawn(async move {
                        let _near = near;
                        std::future::pending::<()>().await;
                    });
                    continue;
                }
                let far = TcpStream::connect(target).await.unwrap();
                let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                tokio::spawn(pass(near_in, far_out, Arc::clone(&swallowing)));
                tokio::spawn(pass(far_in, near_out, Arc::clone(&swallowing)));
            }
        });
        let front = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let udp = Mouth { address: front.local_addr().unwrap(), swallows: Arc::default() };
        let port = relay.webtransport.as_ref().and_then(|address| address.url.port()).unwrap_or(target.port());
        let target = SocketAddr::new(target.ip(), port);
        let loses_every = Arc::default();
        let fate = Fate { swallows: Arc::clone(&udp.swallows), loses_every: Arc::clone(&loses_every) };
        tokio::spawn(pass_datagrams(Arc::new(front), target, fate));
        let accepting = accepting.abort_handle();
        Self { tcp, udp, loses_every, accepting }
    }

    /// The same relay behind it.
    pub(crate) fn to(&self, relay: RelayAddress) -> RelayAddress {
        let webtransport = relay.webtransport.map(|mut address| {
            address.url.set_port(Some(self.udp.address.port())).unwrap();
            address
        });
        let url = format!("ws://{}/ws", self.tcp.address).parse().unwrap();
        RelayAddress { url, webtransport, ..relay }
    }

    /// From now on nothing comes through, and nothing is closed; or everything again.
    pub(crate) fn swallow(&self, swallows: bool) {
        self.swallow_connections(swallows);
        self.swallow_datagrams(swallows);
    }

    /// From now on connections are refused.
    pub(crate) fn close(&self) {
        self.accepting.abort();
    }

    /// From now on every `count`th datagram is lost, each way.
    pub(crate) fn loses_every(&self, count: usize) {
        self.loses_every.store(count, Ordering::SeqCst);
    }

    /// From now on connections are taken and nothing comes through them, or through new ones again. What is asked of WebTransport alone does
    /// not depend on which of the two is open first then.
    pub(crate) fn swallow_connections(&self, swallows: bool) {
        self.tcp.swallows.store(swallows, Ordering::SeqCst);
    }

    /// From now on no datagram comes through, or each of them again.
    pub(crate) fn swallow_datagrams(&self, swallows: bool) {
        self.udp.swallows.store(swallows, Ordering::SeqCst);
    }
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    swallows: Arc<AtomicBool>,
) {
    let mut bytes = [0; 16 * 1024];
    loop {
        let Ok(read @ 1..) = from.read(&mut bytes).await else { return };
        if !swallows.load(Ordering::SeqCst) && to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

/// What becomes of datagrams.
#[derive(Clone)]
struct Fate {
    swallows: Arc<AtomicBool>,
    loses_every: Arc<AtomicUsize>,
}

impl Fate {
    /// Whether the datagram of this number gets through.
    fn spares(&self, number: usize) -> bool {
        let every = self.loses_every.load(Ordering::SeqCst);
        !self.swallows.load(Ordering::SeqCst) && (every == 0 || !number.is_multiple_of(every))
    }
}

/// Each client has a socket of its own towards `target`.
async fn pass_datagrams(front: Arc<UdpSocket>, target: SocketAddr, fate: Fate) {
    let mut backs = HashMap::new();
    let mut bytes = [0; 65_536];
    for number in 1.. {
        let Ok((length, client)) = front.recv_from(&mut bytes).await else { continue };
        if !fate.spares(number) {
            continue;
        }
        if let std::collections::hash_map::Entry::Vacant(place) = backs.entry(client) {
            let back = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
            back.connect(target).await.unwrap();
            place.insert(Arc::clone(&back));
            let (front, fate) = (Arc::clone(&front), fate.clone());
            tokio::spawn(async move {
                let mut bytes = [0; 65_536];
                for number in 1.. {
                    let Ok(length) = back.recv(&mut bytes).await else { continue };
                    if fate.spares(number) {
                        let _ = front.send_to(&bytes[..length], client).await;
                    }
                }
            });
        }
        let _ = backs[&client].send(&bytes[..length]).await;
    }
}
