//! A TCP proxy in front of a server, with weather: it can cut, refuse, delay, throttle and black-hole. Within a connection bytes
//! stay in order, as TCP keeps them.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, tcp::ReadHalf, tcp::WriteHalf},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    task::AbortHandle,
    time::{Instant, sleep, sleep_until},
};

/// Bytes under way in each direction of a connection: what a path with a delay holds, and little enough that a throttled one
/// pushes back.
const UNDER_WAY_BYTES_MAX: usize = 256 * 1024;

/// Bytes read at once: small, so that a throttled connection trickles instead of coming in blows.
const PIECE_BYTES: usize = 4096;

/// What the way is like.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    /// How long each byte takes.
    pub delay: Duration,
    /// Most bytes a second, in each direction of each connection.
    pub bytes_per_second: Option<u64>,
    /// Nothing arrives any more, and nobody is told; what was under way arrives when it is over.
    pub black_hole: bool,
    /// New connections are reset.
    pub refusing: bool,
    cuts: u64,
}

/// The proxy. Its connections end when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    accepting: AbortHandle,
}

impl Proxy {
    /// A proxy on a free port of loopback in front of `target`, which need not listen yet.
    pub async fn before(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (weather, seen) = watch::channel(Weather::default());
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(join(client, target, seen.clone()));
            }
        });
        Self { address, weather, accepting: accepting.abort_handle() }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the weather, for the connections that are open and those to come.
    pub fn change(&self, change: impl FnOnce(&mut Weather)) {
        self.weather.send_modify(change);
    }

    /// Lets nothing through in either direction, silently, or everything again.
    pub fn black_hole(&self, black_hole: bool) {
        self.change(|weather| weather.black_hole = black_hole);
    }

    /// Resets every connection that is open.
    pub fn cut(&self) {
        self.change(|weather| weather.cuts += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn join(mut client: TcpStream, target: SocketAddr, mut weather: watch::Receiver<Weather>) {
    let Weather { cuts, refusing, .. } = *weather.borrow();
    if refusing {
        let _ = SockRef::from(&client).set_linger(Some(Duration::ZERO));
        return;
    }
    let mut to_be_cut = weather.clone();
    let cut = async move { drop(to_be_cut.wait_for(|weather| weather.cuts != cuts).await) };
    let carry = async {
        // A server behind a cable that is out hears of no connection.
        weather.wait_for(|weather| !weather.black_hole).await.map_err(io::Error::other)?;
        let mut server = TcpStream::connect(target).await?;
        for socket in [&client, &server] {
            socket.set_nodelay(true)?;
        }
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::try_join!(pump(from_client, to_server, weather.clone()), pump(from_server, to_client, weather.clone()))?;
        io::Result::Ok(())
    };
    let ended_well = tokio::select! {
        carried = carry => carried.is_ok(),
        () = cut => false,
    };
    if !ended_well {
        let _ = SockRef::from(&client).set_linger(Some(Duration::ZERO));
    }
}

struct Piece {
    bytes: Vec<u8>,
    due: Instant,
    _room: OwnedSemaphorePermit,
}

async fn pump(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, weather: watch::Receiver<Weather>) -> io::Result<()> {
    let room = Arc::new(Semaphore::new(UNDER_WAY_BYTES_MAX));
    let (send, mut receive) = mpsc::unbounded_channel::<Piece>();
    let mut at_begin = weather.clone();
    let mut at_end = weather;
    let begin = async move {
        let mut buffer = [0; PIECE_BYTES];
        loop {
            at_begin.wait_for(|weather| !weather.black_hole).await.map_err(io::Error::other)?;
            let count = tokio::select! {
                count = from.read(&mut buffer) => count?,
                _ = at_begin.changed() => continue,
            };
            if count == 0 {
                return io::Result::Ok(());
            }
            let due = Instant::now() + at_begin.borrow().delay;
            let permits = Arc::clone(&room).acquire_many_owned(count as u32).await.map_err(io::Error::other)?;
            let bytes = buffer.get(..count).unwrap_or_default().to_vec();
            if send.send(Piece { bytes, due, _room: permits }).is_err() {
                return Ok(());
            }
        }
    };
    let end = async {
        while let Some(piece) = receive.recv().await {
            sleep_until(piece.due).await;
            let now = *at_end.wait_for(|weather| !weather.black_hole).await.map_err(io::Error::other)?;
            to.write_all(&piece.bytes).await?;
            if let Some(rate) = now.bytes_per_second {
                sleep(Duration::from_secs_f64(piece.bytes.len() as f64 / rate as f64)).await;
            }
        }
        to.shutdown().await
    };
    tokio::try_join!(begin, end).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A proxy in front of an echo, and a connection through it.
    async fn echo() -> (Proxy, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::before(listener.local_addr().unwrap()).await;
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = socket.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        let client = TcpStream::connect(proxy.address()).await.unwrap();
        (proxy, client)
    }

    async fn round(client: &mut TcpStream, bytes: usize) -> io::Result<Duration> {
        let begun = Instant::now();
        let sent: Vec<u8> = (0..bytes).map(|n| n as u8).collect();
        client.write_all(&sent).await?;
        let mut got = vec![0; bytes];
        client.read_exact(&mut got).await?;
        assert_eq!(got, sent);
        Ok(begun.elapsed())
    }

    #[tokio::test]
    async fn bytes_pass_late_and_slowly_as_told() {
        let (proxy, mut client) = echo().await;
        assert!(round(&mut client, 10_000).await.unwrap() < Duration::from_millis(100));
        proxy.change(|weather| weather.delay = Duration::from_millis(60));
        assert!(round(&mut client, 1).await.unwrap() >= Duration::from_millis(120));
        proxy.change(|weather| (weather.delay, weather.bytes_per_second) = (Duration::ZERO, Some(100_000)));
        // Both ways overlap, so once is the least.
        assert!(round(&mut client, 20_000).await.unwrap() >= Duration::from_millis(150));
    }

    #[tokio::test]
    async fn black_hole_is_silent_and_gives_back_what_it_held() {
        let (proxy, mut client) = echo().await;
        round(&mut client, 1).await.unwrap();
        proxy.black_hole(true);
        let held = tokio::time::timeout(Duration::from_millis(200), round(&mut client, 5)).await;
        assert!(held.is_err(), "something came through");
        proxy.black_hole(false);
        let mut got = [0; 5];
        client.read_exact(&mut got).await.unwrap();
        assert_eq!(got, [0, 1, 2, 3, 4]);
    }

    #[tokio::test]
    async fn cut_resets_and_refusal_keeps_out() {
        let (proxy, mut client) = echo().await;
        round(&mut client, 1).await.unwrap();
        proxy.cut();
        assert!(round(&mut client, 1).await.is_err());
        let mut again = TcpStream::connect(proxy.address()).await.unwrap();
        round(&mut again, 1).await.unwrap();
        proxy.change(|weather| weather.refusing = true);
        round(&mut again, 1).await.unwrap();
        let mut refused = TcpStream::connect(proxy.address()).await.unwrap();
        assert!(round(&mut refused, 1).await.is_err());
    }
}
