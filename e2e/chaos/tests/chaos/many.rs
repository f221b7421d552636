//! One stream on many relays.

use std::time::Duration;

use chaos::{
    scenes::{Chained, Crowd, Size, chain, edges},
    source::Programme,
};

use super::{DEATH_MS_MAX, survived};

/// How soon a late joiner sees something: without what an edge holds it would be half a key frame interval.
const JOIN_MS_MAX: f64 = 900.0;

/// Asserts: several relays serve viewers, each takes the stream in once and sends one copy to each of its own, late joiners see
/// something at once, and the death of an edge and of the origin lose nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stream_on_many_relays_survives_the_death_of_an_edge_and_of_its_origin() {
    let programme = Programme { rate: 10, key_interval: 20, sound: false, ..Programme::default() };
    let crowd = Crowd { relays: 4, viewers: 40, late: 4, programme, measured: Duration::from_secs(2) };
    let crowded = edges(&crowd).await;
    let busy: Vec<_> = crowded.many.iter().filter(|share| share.viewers > 0).collect();
    assert!(busy.len() > 1, "{:?}", crowded.many);
    for share in &busy {
        assert!((0.5..1.3).contains(&share.taken_in), "{share:?}");
    }
    assert!(crowded.late.p50_ms < JOIN_MS_MAX, "{}", crowded.late);
    let edge = crowded.edge_killed.expect("a relay that is not the origin serves viewers");
    survived(&crowded.tape, &[edge], DEATH_MS_MAX);
    survived(&crowded.tape, &[crowded.origin_killed], DEATH_MS_MAX);
}

/// Asserts: viewers at the end of a chain stay where they are when its middle dies, and see the stream again in a moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edge_whose_upstream_dies_takes_the_stream_from_the_next() {
    let Chained { tape, event, end: (name, now) } = chain(&Size::of(3, 1)).await;
    survived(&tape, &[event], DEATH_MS_MAX);
    assert_eq!(now, vec![Some(name); 3], "{}", tape.diary(&[event]));
}
