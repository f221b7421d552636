use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, timeout},
};

use super::*;

const SHORT: Duration = Duration::from_millis(200);

/// An echo on a free port.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = socket.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    address
}

/// A proxy in front of an echo, and a connection through it.
async fn proxied() -> (Proxy, TcpStream) {
    let proxy = Proxy::before(echo().await).await;
    let client = TcpStream::connect(proxy.address()).await.unwrap();
    (proxy, client)
}

async fn round(client: &mut TcpStream, bytes: usize) -> io::Result<Duration> {
    let begun = Instant::now();
    let sent: Vec<u8> = (0..bytes).map(|n| n as u8).collect();
    let (mut from, mut to) = client.split();
    let mut got = vec![0; bytes];
    tokio::try_join!(to.write_all(&sent), from.read_exact(&mut got))?;
    assert_eq!(got, sent);
    Ok(begun.elapsed())
}

#[tokio::test]
async fn bytes_pass_whole_and_are_counted() {
    let (proxy, mut client) = proxied().await;
    round(&mut client, 3_000_000).await.unwrap();
    let Tally { connections, open, up_bytes, down_bytes } = proxy.tally();
    assert_eq!((connections, open, up_bytes, down_bytes), (1, 1, 3_000_000, 3_000_000));
    client.shutdown().await.unwrap();
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0, "the end passes too");
}

#[tokio::test]
async fn each_direction_is_late_by_itself() {
    let (proxy, mut client) = proxied().await;
    proxy.change(|weather| weather.down.delay = Duration::from_millis(60));
    assert!(round(&mut client, 1).await.unwrap() >= Duration::from_millis(60));
    proxy.change(|weather| weather.up.delay = Duration::from_millis(80));
    assert!(round(&mut client, 1).await.unwrap() >= Duration::from_millis(140));
    proxy.change(|weather| (weather.up, weather.down) = (Way::default(), Way::default()));
    round(&mut client, 1).await.unwrap();
}

#[tokio::test]
async fn throttled_direction_holds_its_sender_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::before(listener.local_addr().unwrap()).await;
    proxy.change(|weather| weather.down.bytes_per_second = Some(20_000));
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    SockRef::from(&server).set_send_buffer_size(16 * 1024).unwrap();
    let mut written = 0;
    while let Ok(count) = timeout(SHORT, server.write(&[7; 4096])).await {
        written += count.unwrap();
        assert!(written < 1_000_000, "nothing holds it back");
    }
    let begun = Instant::now();
    client.read_exact(&mut [0; 20_000]).await.unwrap();
    // Some had come before anybody looked.
    assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
    proxy.change(|weather| weather.down.bytes_per_second = None);
    client.read_exact(&mut vec![0; written - 20_000]).await.unwrap();
}

#[tokio::test]
async fn connections_overtake_each_other_and_keep_their_own_order() {
    let (proxy, _) = proxied().await;
    let reorder = Duration::from_millis(150);
    proxy.change(|weather| weather.reorder = reorder);
    let mut took = vec![];
    for _ in 0..8 {
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        took.push(tokio::spawn(async move { round(&mut client, 20_000).await.unwrap() }));
    }
    let mut all = vec![];
    for round in took {
        all.push(round.await.unwrap());
    }
    let (first, last) = (all.iter().min().unwrap(), all.iter().max().unwrap());
    assert!(*last - *first > Duration::from_millis(20), "none is overtaken: {all:?}");
}

#[tokio::test]
async fn black_hole_is_silent_and_gives_back_what_it_held() {
    let (proxy, mut client) = proxied().await;
    round(&mut client, 1).await.unwrap();
    proxy.black_hole(true);
    client.write_all(b"held").await.unwrap();
    assert!(timeout(SHORT, client.read(&mut [0])).await.is_err(), "something came through");
    let mut new = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(timeout(SHORT, round(&mut new, 1)).await.is_err(), "a new connection came through");
    proxy.black_hole(false);
    let mut got = [0; 4];
    client.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"held");
}

#[tokio::test]
async fn cut_resets_and_refusal_keeps_out() {
    let (proxy, mut client) = proxied().await;
    round(&mut client, 1).await.unwrap();
    proxy.cut();
    assert!(round(&mut client, 1).await.is_err());
    let mut again = TcpStream::connect(proxy.address()).await.unwrap();
    round(&mut again, 1).await.unwrap();
    proxy.change(|weather| weather.refusing = true);
    round(&mut again, 1).await.unwrap();
    let mut refused = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(round(&mut refused, 1).await.is_err());
    assert_eq!(proxy.tally().connections, 2, "who was refused is not counted");
}

#[tokio::test]
async fn servers_take_turns_and_a_dead_one_is_passed_over() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = gone.local_addr().unwrap();
    drop(gone);
    let proxy = Proxy::before_all(vec![echo().await, dead, echo().await]).await;
    for _ in 0..6 {
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        round(&mut client, 10).await.unwrap();
    }
}
