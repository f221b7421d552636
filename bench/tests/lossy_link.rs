//! A link as viewers find it. Where no link can be made, that is said and nothing is tested.
#![cfg(target_os = "linux")]

use std::{
    net::UdpSocket,
    thread,
    time::{Duration, Instant},
};

use bench::link::{FAR, Link, NEAR, Weather, namespace};

const PACKETS: usize = 1000;
/// Between two packets.
const PAUSE: Duration = Duration::from_micros(200);
const DELAY: Duration = Duration::from_millis(20);

#[test]
fn a_link_loses_and_delays_and_leaves_nothing_behind() {
    let weather = Weather { loss_percent: 5.0, delay: DELAY, tcp: None, seed: 1 };
    let link = match Link::open(&weather) {
        Ok(link) => link,
        Err(error) => return eprintln!("no link can be made here: {error:#}"),
    };
    let near = UdpSocket::bind((NEAR, 0)).unwrap();
    near.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let at = near.local_addr().unwrap();
    let path = link.namespace();
    let sending = thread::spawn(move || {
        namespace::enter(&path).unwrap();
        let far = UdpSocket::bind((FAR, 0)).unwrap();
        let begun = Instant::now();
        for _ in 0..PACKETS {
            far.send_to(b"packet", at).unwrap();
            // A device holds 500 packets while nobody reads it, as on a busy machine.
            thread::sleep(PAUSE);
        }
        begun
    });
    let mut packet = [0; 64];
    let (_, from) = near.recv_from(&mut packet).unwrap();
    let first_at = Instant::now();
    assert_eq!(from.ip(), FAR);
    let mut arrived = 1;
    while near.recv_from(&mut packet).is_ok() {
        arrived += 1;
    }
    assert!(first_at - sending.join().unwrap() >= DELAY, "the first came too early");
    assert!((PACKETS * 85 / 100..PACKETS).contains(&arrived), "{arrived} of {PACKETS} arrived");
    let (_, to_near) = link.carried();
    assert!(to_near.lost > 0 && to_near.overflowed == 0, "{to_near:?}");

    let holder = link.namespace();
    drop(link);
    assert!(!holder.exists(), "the namespace is held by nobody");
}
