//! Decisions in single situations, and what holds in every world.

use proptest::prelude::*;

use super::{
    simulation::{Start, World, bounds},
    *,
};

fn name(text: &str) -> RelayName {
    text.parse().unwrap()
}

fn relay(text: &str, head_room: f64, viewers: u32) -> RelaySeen {
    RelaySeen { name: name(text), head_room, streams: 0, viewers, draining: false, healthy: true, ours: true }
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn first_relays_are_started_at_once_up_to_the_minimum() {
    let (mut scale, now) = (Scale::new(bounds(2, 4)), Instant::now());
    assert_eq!(scale.decide(now, &[], &[]), Decision::Start(Need::Minimum));
    let mut starting = vec![Starting { name: name("a"), since: now }];
    assert_eq!(scale.decide(now, &[], &starting), Decision::Start(Need::Minimum));
    starting.push(Starting { name: name("b"), since: now });
    assert_eq!(scale.decide(now + secs(20), &[], &starting), Decision::Nothing);
}

#[test]
fn relay_is_started_when_the_best_is_nearly_full_for_a_while() {
    let (mut scale, now) = (Scale::new(bounds(1, 4)), Instant::now());
    let full = [relay("a", 0.2, 9), relay("b", 0.1, 9)];
    assert_eq!(scale.decide(now, &full, &[]), Decision::Nothing);
    assert_eq!(scale.decide(now + secs(1), &[relay("a", 0.3, 9)], &[]), Decision::Nothing);
    assert_eq!(scale.decide(now + secs(2), &full, &[]), Decision::Nothing, "the peak was over in between");
    assert_eq!(scale.decide(now + secs(4), &full, &[]), Decision::Start(Need::HeadRoom));
}

#[test]
fn one_change_cools_down_before_the_next() {
    let (mut scale, now) = (Scale::new(bounds(1, 4)), Instant::now());
    let full = [relay("a", 0.1, 9)];
    scale.decide(now, &full, &[]);
    assert_eq!(scale.decide(now + secs(2), &full, &[]), Decision::Start(Need::HeadRoom));
    let full = [relay("a", 0.1, 9), relay("b", 0.1, 9)];
    for second in 3..12 {
        assert_eq!(scale.decide(now + secs(second), &full, &[]), Decision::Nothing, "{second}");
    }
    assert_eq!(scale.decide(now + secs(12), &full, &[]), Decision::Start(Need::HeadRoom));
}

#[test]
fn the_emptiest_of_ours_is_drained_when_the_rest_has_room_for_its_people() {
    let (mut scale, now) = (Scale::new(bounds(1, 4)), Instant::now());
    let mut other = relay("other", 1.0, 0);
    other.ours = false;
    let calm = [relay("a", 0.8, 5), relay("b", 0.9, 2), other];
    assert_eq!(scale.decide(now, &calm, &[]), Decision::Nothing);
    assert_eq!(scale.decide(now + secs(59), &calm, &[]), Decision::Nothing);
    assert_eq!(scale.decide(now + secs(60), &calm, &[]), Decision::Drain(name("b"), Surplus::HeadRoom));
    for second in 61..119 {
        assert_eq!(scale.decide(now + secs(second), &calm, &[]), Decision::Nothing, "one leaves at a time");
    }
    assert_eq!(scale.decide(now + secs(120), &calm, &[]), Decision::Stop(name("b")), "told once more");
}

#[test]
fn nothing_is_drained_below_the_minimum_or_for_a_rest_without_room() {
    let (mut scale, now) = (Scale::new(bounds(2, 4)), Instant::now());
    for second in 0..300 {
        assert_eq!(scale.decide(now + secs(second), &[relay("a", 1.0, 0), relay("b", 1.0, 0)], &[]), Decision::Nothing);
    }
    let (mut scale, now) = (Scale::new(bounds(1, 4)), Instant::now());
    for second in 0..300 {
        let seen = [relay("a", 0.4, 3), relay("b", 1.0, 0)];
        assert_eq!(scale.decide(now + secs(second), &seen, &[]), Decision::Nothing, "one would keep 0.4");
    }
}

#[test]
fn start_that_never_serves_is_stopped_and_the_next_try_waits() {
    let (mut scale, now) = (Scale::new(bounds(1, 4)), Instant::now());
    assert_eq!(scale.decide(now, &[], &[]), Decision::Start(Need::Minimum));
    let starting = [Starting { name: name("a"), since: now }];
    assert_eq!(scale.decide(now + secs(29), &[], &starting), Decision::Nothing);
    assert_eq!(scale.decide(now + secs(30), &[], &starting), Decision::Stop(name("a")));
    assert_eq!(scale.failures(), 1);
    assert_eq!(scale.decide(now + secs(30), &[], &[]), Decision::Nothing, "backoff");
    assert_eq!(scale.decide(now + secs(31), &[], &[]), Decision::Start(Need::Minimum));
    let serves = [relay("b", 1.0, 0)];
    scale.decide(now + secs(33), &serves, &[Starting { name: name("b"), since: now + secs(31) }]);
    assert_eq!(scale.failures(), 0);
}

#[test]
fn relay_that_fell_ill_is_waited_for_and_then_replaced() {
    let (mut scale, now) = (Scale::new(bounds(1, 4)), Instant::now());
    let mut ill = relay("a", 1.0, 3);
    ill.healthy = false;
    let seen = [ill];
    for second in 0..30 {
        assert_eq!(scale.decide(now + secs(second), &seen, &[]), Decision::Nothing, "{second}");
    }
    assert_eq!(scale.decide(now + secs(30), &seen, &[]), Decision::Stop(name("a")));
    assert_eq!(scale.decide(now + secs(31), &seen, &[]), Decision::Start(Need::Minimum));
}

#[test]
fn row_is_shortened_at_its_end_only() {
    let mut row = bounds(1, 20);
    row.removal = Removal::Last("relay".into());
    let (mut scale, now) = (Scale::new(row), Instant::now());
    let seen: Vec<_> = (0..11).map(|number| relay(&format!("relay-{number}"), 1.0, 10 + number)).collect();
    scale.decide(now, &seen, &[]);
    assert_eq!(
        scale.decide(now + secs(60), &seen, &[]),
        Decision::Drain(name("relay-10"), Surplus::HeadRoom),
        "fullest, but last"
    );
}

#[test]
fn bound_that_was_lowered_is_reached_by_drains() {
    let (mut scale, now) = (Scale::new(bounds(1, 1)), Instant::now());
    assert_eq!(
        scale.decide(now, &[relay("a", 0.3, 5), relay("b", 0.3, 4)], &[]),
        Decision::Drain(name("b"), Surplus::Maximum)
    );
}

#[test]
fn head_room_that_is_no_number_counts_as_none() {
    let (mut scale, now) = (Scale::new(bounds(1, 2)), Instant::now());
    let odd = [relay("a", f64::NAN, 0)];
    scale.decide(now, &odd, &[]);
    assert_eq!(scale.decide(now + secs(2), &odd, &[]), Decision::Start(Need::HeadRoom));
}

fn start() -> impl Strategy<Value = Start> {
    prop_oneof![6 => (0..25_u64).prop_map(Start::Serves), 1 => Just(Start::NeverServes), 1 => Just(Start::Refused)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn never_over_the_most_and_never_drained_under_the_fewest(
        min in 0..4_u32,
        more in 0..6_u32,
        foreign in 0..3_usize,
        loads in prop::collection::vec((0.0..8.0_f64, 5..200_u32, start()), 1..20),
    ) {
        let max = (min + more).max(1);
        let mut world = World::new(bounds(min, max), foreign);
        for (load, seconds, start) in loads {
            world.load = load;
            for _ in 0..seconds {
                let before = world.serving();
                let decision = world.step(start);
                prop_assert!(world.running() <= max as usize, "{} run", world.running());
                if matches!(decision, Decision::Drain(..)) {
                    prop_assert!(before > min.max(1) as usize, "{before} served, and one was drained");
                }
            }
        }
    }

    #[test]
    fn constant_load_converges_and_then_nothing_changes(
        min in 0..4_u32,
        more in 1..6_u32,
        foreign in 0..3_usize,
        before in 0.0..10.0_f64,
        load in 0.0..10.0_f64,
        boot in 0..25_u64,
    ) {
        let max = min + more;
        let mut world = World::new(bounds(min, max), foreign);
        for load in [before, load] {
            world.load = load;
            for _ in 0..1200 {
                world.step(Start::Serves(boot));
            }
        }
        let serving = world.serving();
        prop_assert!(serving >= min as usize);
        prop_assert!(world.head_room() >= world.bounds.head_room_min || world.running() == max as usize, "too few: {serving}");
        let without_one = 1.0 - load / (serving as f64 - 1.0);
        let needless = serving > min.max(1) as usize && world.running() > 0 && without_one > world.bounds.head_room_kept;
        prop_assert!(!needless, "{serving} for a load of {load}");
        for _ in 0..3600 {
            prop_assert_eq!(world.step(Start::Serves(boot)), Decision::Nothing);
        }
    }

    #[test]
    fn starts_that_always_fail_are_tried_seldom(load in 0.0..5.0_f64, refused: bool) {
        let mut world = World::new(bounds(1, 3), 0);
        world.load = load;
        let start = if refused { Start::Refused } else { Start::NeverServes };
        let tries = (0..3600).filter(|_| matches!(world.step(start), Decision::Start(_))).count();
        prop_assert!((5..=25).contains(&tries), "{tries} tries in an hour");
        for _ in 0..400 {
            world.step(Start::Serves(1));
        }
        prop_assert!(world.serving() > 0, "once it works, it is found out within the longest pause");
    }

    #[test]
    fn load_that_rises_and_falls_is_followed(peak in 2.0..6.0_f64) {
        let mut world = World::new(bounds(1, 10), 0);
        let mut most = 0;
        for second in 0..3600 {
            let phase = f64::from(second) / 3600.0 * std::f64::consts::TAU;
            world.load = peak * (1.0 - phase.cos()) / 2.0;
            world.step(Start::Serves(3));
            most = most.max(world.serving());
            let grace = second < 60;
            prop_assert!(grace || world.head_room() > 0.0, "nobody finds a place after {second} s");
        }
        prop_assert!(most as f64 > peak, "{most} at a load of {peak}");
        prop_assert!(world.serving() <= 3, "{} are left", world.serving());
        prop_assert!(world.now.duration_since(world.begun) == secs(3600));
    }
}
