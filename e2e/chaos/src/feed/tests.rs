//! Situations of one player, as lists of what came over which connection.

use proptest::prelude::*;

use super::*;

const OLD: LinkId = LinkId(1);
const NEW: LinkId = LinkId(2);

fn init(track: u16) -> MediaHeader {
    MediaHeader {
        kind: MediaKind::Init,
        key: false,
        sealed: false,
        track: TrackNumber(track),
        segment: 0,
        chunk: 0,
        captured_at_us: 0,
    }
}

fn chunk(track: u16, segment: u32, chunk: u32) -> MediaHeader {
    MediaHeader { kind: MediaKind::Chunk, key: chunk == 0, segment, chunk, ..init(track) }
}

fn feed() -> Feed {
    let mut feed = Feed::new(OLD);
    feed.take(OLD, &init(1), 0);
    feed
}

fn come(feed: &mut Feed, link: LinkId, places: &[(u32, u32)]) {
    for &(segment, number) in places {
        feed.take(link, &chunk(1, segment, number), 0);
    }
}

fn shown(feed: &Feed) -> Vec<(u32, u32)> {
    feed.shown().iter().map(|shown| (shown.place.segment, shown.place.chunk)).collect()
}

#[test]
fn chunks_of_one_connection_are_shown_as_they_come() {
    let mut feed = feed();
    come(&mut feed, OLD, &[(4, 0), (4, 1), (7, 0)]);
    assert_eq!(shown(&feed), [(4, 0), (4, 1), (7, 0)]);
    assert_eq!(feed.faults(), Faults::default(), "segment numbers may skip");
}

#[test]
fn faults_of_a_relay_are_counted_by_kind() {
    let mut feed = Feed::new(OLD);
    come(&mut feed, OLD, &[(1, 0)]);
    assert_eq!(feed.faults().disordered, 1, "no init segment");
    feed.take(OLD, &init(1), 0);
    come(&mut feed, OLD, &[(1, 0), (1, 1), (1, 4), (2, 3)]);
    assert_eq!(feed.faults(), Faults { repeated: 1, left_out: 2, disordered: 2 });
    assert_eq!(shown(&feed), [(1, 0), (1, 1)], "nothing that can't be decoded, nothing twice");
}

#[test]
fn move_changes_over_where_the_new_connection_begins() {
    let mut feed = feed();
    come(&mut feed, OLD, &[(1, 0), (1, 1)]);
    feed.prepare(NEW);
    feed.take(NEW, &init(1), 0);
    come(&mut feed, NEW, &[(2, 0), (2, 1)]);
    assert!(!feed.has_switched() && feed.holds(), "the old connection has more of segment 1");
    come(&mut feed, OLD, &[(1, 2), (1, 3)]);
    assert_eq!(shown(&feed).last(), Some(&(1, 3)));
    come(&mut feed, OLD, &[(2, 0)]);
    assert!(feed.has_switched());
    come(&mut feed, OLD, &[(2, 1), (2, 2)]);
    come(&mut feed, NEW, &[(2, 2), (2, 3)]);
    assert_eq!(shown(&feed), [(1, 0), (1, 1), (1, 2), (1, 3), (2, 0), (2, 1), (2, 2), (2, 3)]);
    assert_eq!(feed.overlap(), 3);
    feed.change_to(NEW, 0);
    come(&mut feed, OLD, &[(2, 4)]);
    come(&mut feed, NEW, &[(3, 0)]);
    assert_eq!(shown(&feed).last(), Some(&(3, 0)));
    assert_eq!(feed.faults(), Faults::default());
}

#[test]
fn move_into_a_segment_that_plays_goes_on_within_it() {
    let mut feed = feed();
    come(&mut feed, OLD, &[(1, 0), (1, 1), (1, 2)]);
    feed.prepare(NEW);
    feed.take(NEW, &init(1), 0);
    come(&mut feed, NEW, &[(1, 0), (1, 1), (1, 2), (1, 3)]);
    come(&mut feed, OLD, &[(1, 3)]);
    come(&mut feed, NEW, &[(1, 4)]);
    assert_eq!(shown(&feed), [(1, 0), (1, 1), (1, 2), (1, 3), (1, 4)]);
    assert_eq!(feed.faults(), Faults::default());
}

#[test]
fn move_waits_for_every_track() {
    let mut feed = feed();
    feed.take(OLD, &init(2), 0);
    for track in [1, 2] {
        feed.take(OLD, &chunk(track, 1, 0), 0);
    }
    feed.prepare(NEW);
    for track in [1, 2] {
        feed.take(NEW, &init(track), 0);
        feed.take(NEW, &chunk(track, 2, 0), 0);
    }
    feed.take(OLD, &chunk(1, 2, 0), 0);
    assert!(!feed.has_switched());
    feed.take(OLD, &chunk(2, 1, 1), 0);
    feed.take(OLD, &chunk(2, 2, 0), 0);
    assert!(feed.has_switched());
}

#[test]
fn dead_connection_gives_way_to_what_was_held() {
    let mut feed = feed();
    come(&mut feed, OLD, &[(1, 0)]);
    feed.prepare(NEW);
    feed.take(NEW, &init(1), 0);
    come(&mut feed, NEW, &[(2, 0), (2, 1)]);
    feed.change_to(NEW, 9);
    assert_eq!(shown(&feed), [(1, 0), (2, 0), (2, 1)]);
    assert_eq!(feed.shown().last().map(|shown| shown.shown_us), Some(9));
}

#[test]
fn silent_connection_that_speaks_again_is_kept() {
    let mut feed = feed();
    come(&mut feed, OLD, &[(1, 0)]);
    feed.prepare(NEW);
    feed.take(NEW, &init(1), 0);
    feed.forget_next();
    come(&mut feed, NEW, &[(2, 0)]);
    come(&mut feed, OLD, &[(1, 1)]);
    assert_eq!(shown(&feed), [(1, 0), (1, 1)]);
}

proptest! {
    /// Both connections have every segment from the first of the new one on, in any interleaving: nothing is lost or shown twice.
    #[test]
    fn make_before_break_loses_and_repeats_nothing(
        lengths in proptest::collection::vec(1_u32..5, 3..8),
        overlap in 1_usize..3,
        turns in proptest::collection::vec(any::<bool>(), 0..60),
    ) {
        let all: Vec<(u32, u32)> =
            (0..).zip(&lengths).flat_map(|(segment, &chunks)| (0..chunks).map(move |chunk| (segment, chunk))).collect();
        let begin = lengths.len() - overlap;
        // The old one ends with the first chunk of the last segment; the new one has all of what it has.
        let mut old: Vec<_> = all.iter().copied().filter(|&(s, c)| (s as usize, c) <= (lengths.len() - 1, 0)).collect();
        let mut new: Vec<_> = all.iter().copied().filter(|&(s, _)| s as usize >= begin).collect();
        old.reverse();
        new.reverse();
        let mut feed = feed();
        come(&mut feed, OLD, &[old.pop().unwrap()]);
        feed.prepare(NEW);
        feed.take(NEW, &init(1), 0);
        for turn in turns {
            let (link, queue) = if turn { (NEW, &mut new) } else { (OLD, &mut old) };
            if let Some(place) = queue.pop() {
                come(&mut feed, link, &[place]);
            }
        }
        while let Some(place) = old.pop() {
            come(&mut feed, OLD, &[place]);
        }
        prop_assert!(feed.has_switched() || new.len() == all.iter().filter(|p| p.0 as usize >= begin).count());
        feed.change_to(NEW, 0);
        while let Some(place) = new.pop() {
            come(&mut feed, NEW, &[place]);
        }
        prop_assert_eq!(shown(&feed), all);
        prop_assert_eq!(feed.faults(), Faults::default());
    }

    #[test]
    fn whatever_comes_nothing_is_shown_twice_or_backwards(
        coming in proptest::collection::vec((any::<bool>(), 0_u32..4, 0_u32..4, 0_u8..8), 0..80),
    ) {
        let mut feed = feed();
        for (new, segment, number, event) in coming {
            match event {
                0 => feed.prepare(NEW),
                1 => feed.forget_next(),
                2 => feed.change_to(if new { NEW } else { OLD }, 0),
                _ => feed.take(if new { NEW } else { OLD }, &chunk(1, segment, number), 0),
            }
        }
        let shown = shown(&feed);
        prop_assert!(shown.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", shown);
    }
}
