//! A proxy that can fall silent without closing anything.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// The proxy.
pub(crate) struct Hole {
    address: SocketAddr,
    swallows: Arc<AtomicBool>,
}

impl Hole {
    /// One before this address.
    pub(crate) async fn before(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, swallows) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
        let swallowing = Arc::clone(&swallows);
        tokio::spawn(async move {
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
        Self { address, swallows }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> url::Url {
        format!("ws://{}/ws", self.address).parse().unwrap()
    }

    /// From now on nothing comes through, and nothing is closed.
    pub(crate) fn swallow(&self) {
        self.swallows.store(true, Ordering::SeqCst);
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
