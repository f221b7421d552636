//! A line by UDP that carries only so many bytes per second towards the relay, and drops what it has no room for.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::UdpSocket,
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::throttle::Speed;

/// How much may wait at the line's entrance: what a household's router holds.
const QUEUE_TIME_MAX: Duration = Duration::from_millis(200);

/// Passes on between one client and `relay`, as long as the test runs; where the client finds it.
pub(super) async fn lay(relay: SocketAddr, speed: Speed) -> SocketAddr {
    let front = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let back = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    back.connect(relay).await.unwrap();
    let (queue, mut queued) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let (entrance, exit) = (front.local_addr().unwrap(), Arc::clone(&back));
    tokio::spawn(async move {
        while let Some((at, datagram)) = queued.recv().await {
            sleep_until(at).await;
            let _ = exit.send(&datagram).await;
        }
    });
    tokio::spawn(async move {
        let (mut there, mut here) = ([0; 65_536], [0; 65_536]);
        let (mut client, mut free_at) = (None, Instant::now());
        loop {
            tokio::select! {
                Ok((length, from)) = front.recv_from(&mut there) => {
                    client = Some(from);
                    let from = free_at.max(Instant::now());
                    if from.duration_since(Instant::now()) <= QUEUE_TIME_MAX {
                        free_at = from + speed.takes(length);
                        queue.send((free_at, there[..length].to_vec())).unwrap();
                    }
                }
                Ok(length) = back.recv(&mut here) => {
                    if let Some(client) = client {
                        let _ = front.send_to(&here[..length], client).await;
                    }
                }
            }
        }
    });
    entrance
}
