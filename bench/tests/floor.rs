//! A whole run, against the floor in the same process: publisher, viewers, a crowd and one who reads nothing.

use std::{net::TcpListener, thread};

use anyhow::Result;
use bench::{load::Load, report::Report, target::Target, transport::Transport};

const VIEWERS: u32 = 7;

/// A second of a stream of 30 chunks a second, with segments of half a second.
fn load() -> Load {
    Load {
        viewers: VIEWERS,
        streams: 1,
        rate: 30.0,
        chunk_bytes: 10_400,
        key_interval: 15,
        warm_up_seconds: 0,
        seconds: 1,
        threads: 2,
        awake: false,
        stalled: 0,
        storm: 0,
        relay_pid: Some(std::process::id()),
        tls: None,
        transport: Transport::WebSocket,
        elsewhere: None,
    }
}

fn floor() -> Result<Target> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("ws://{}/ws", listener.local_addr()?);
    thread::spawn(move || bench::floor::serve(listener));
    Target::server(url.parse()?)
}

fn run(load: &Load) -> Result<Report> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(load.run(&floor()?))
}

#[test]
fn every_viewer_is_delivered_every_chunk_of_the_measured_time() {
    let report = run(&load()).unwrap();
    assert_eq!(report.chunks_due, u64::from(30 * VIEWERS));
    assert_eq!(report.chunks_delivered, report.chunks_due);
    assert_eq!((report.missing, report.disorder, report.skips), (0, 0, 0));
    assert_eq!(report.bytes_delivered, report.chunks_due * 10_420);
    let latency = report.latency_ms.unwrap();
    assert!(0.0 < latency.p50 && latency.p50 <= latency.p99 && latency.p99 <= latency.max, "{latency:?}");
    let speeds = report.forwarding_kb_per_s.unwrap();
    assert!(0.0 < speeds.slowest && speeds.slowest <= speeds.average, "{speeds:?}");
    assert!(report.relay_us_per_chunk.is_some() && report.relay_resident_bytes_begin.is_some());
}

#[test]
fn a_crowd_and_one_who_reads_nothing_change_nothing_for_the_others() {
    let report = run(&Load { seconds: 4, storm: 20, stalled: 1, ..load() }).unwrap();
    assert_eq!((report.chunks_due, report.chunks_delivered), (u64::from(120 * VIEWERS), u64::from(120 * VIEWERS)));
    let waited = report.storm_first_chunk_ms.unwrap();
    assert!(0.0 < waited.p50 && waited.p50 <= waited.max, "{waited:?}");
}

#[test]
fn a_message_of_some_seconds_is_there_for_those_who_join_and_measured_when_its_time_comes() {
    let segments = Load { rate: 0.5, chunk_bytes: 3_000_000, key_interval: 1, seconds: 4, viewers: 2, ..load() };
    let report = run(&segments).unwrap();
    assert_eq!((report.chunks_due, report.chunks_delivered, report.missing), (4, 4, 0));
}
