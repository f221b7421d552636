//! The directory dies, alone or with a relay.

use std::time::Duration;

use super::{DEATH, SMOOTH, judged};
use crate::{
    figure::{Finding, Wanted},
    scenes::{self, Absence, Returned, Shared, Size},
    show::Sender,
    source::Programme,
    stalls::Distribution,
};

/// How soon a directory that is back knows everything again.
const RETURN_MS_MAX: f64 = 3000.0;

async fn absence(id: &str, what: &str, size: &Size, absence: Absence, wanted: Wanted) -> Vec<Finding> {
    let (tape, events, returned) = scenes::directory_gone(size, absence).await;
    let mut found = judged(id, what, &tape, &events, wanted);
    let latest = returned.iter().map(Returned::all_ms).collect::<Option<Vec<_>>>();
    let worst = latest.and_then(|all| all.into_iter().max());
    let said = returned.iter().map(|returned| {
        let ms = |ms: Option<u64>| ms.map_or("never".to_owned(), |ms| format!("{ms} ms"));
        let Returned { listed_ms, watched_ms, unlisted_ms, .. } = returned;
        let mut words =
            format!("listed {}, new viewer {}, unlisted {}", ms(*listed_ms), ms(*watched_ms), ms(*unlisted_ms));
        for (holds, otherwise) in [
            (returned.keys_hold, "keys refused"),
            (returned.unlisted_stays_so, "the unlisted stream listed"),
            (returned.epochs_hold, "epoch gone back"),
        ] {
            if !holds {
                words.push_str(&format!(", {otherwise}"));
            }
        }
        words
    });
    found.push(Finding::time(
        &format!("{id}.return"),
        &format!("{what}: from its return until everything is as it was"),
        worst.map_or(f64::INFINITY, |ms| ms as f64).min(f64::MAX),
        RETURN_MS_MAX,
        worst.map_or("not everything comes back".to_owned(), |ms| format!("at most {ms} ms")),
        format!("{}.", said.collect::<Vec<_>>().join("; ")),
    ));
    found
}

pub(super) async fn directory_gone(quick: bool) -> Vec<Finding> {
    let (viewers, away) = if quick { (10, Duration::from_secs(10)) } else { (20, Duration::from_secs(600)) };
    let plan = Absence { away, empty_disk: false, with_origin: false, origin_meanwhile: true };
    let what = format!("directory gone for {} s, kill -9 of the origin meanwhile", away.as_secs());
    // Few and slow pictures: other scenes are played at the same time.
    let programme = Programme { rate: 10, key_interval: 20, sound: false, ..Programme::default() };
    let size = Size { sender: Sender::Source(programme), ..Size::of(viewers, 1) };
    absence("directory_gone", &what, &size, plan, DEATH).await
}

pub(super) async fn directory_empty(quick: bool) -> Vec<Finding> {
    let size = if quick { Size::of(10, 1) } else { Size::of(50, 4) };
    let away = Duration::from_secs(5);
    let plan = Absence { away, empty_disk: true, with_origin: false, origin_meanwhile: false };
    absence("directory_empty", "directory gone for 5 s, its disk empty but for its key", &size, plan, SMOOTH).await
}

pub(super) async fn both_killed(quick: bool) -> Vec<Finding> {
    let size = if quick { Size::of(10, 2) } else { Size::of(50, 4) };
    let away = Duration::from_secs(5);
    let plan = Absence { away, empty_disk: true, with_origin: true, origin_meanwhile: false };
    let what =
        "kill -9 of directory and origin together, the directory back after 5 s with an empty disk but for its key";
    absence("both_killed", what, &size, plan, DEATH).await
}

/// How soon a change is in every directory's list.
const TOLD_MS_MAX: f64 = 200.0;

pub(super) async fn store(quick: bool) -> Vec<Finding> {
    let size = if quick { Size::of(10, 3) } else { Size::of(50, 10) };
    let Shared { tape, killed, directory_killed, told_after, converged_after, readiness } = scenes::store(&size).await;
    let what = "kill -9 of the origin while the store is away";
    let mut found = judged("store.origin", what, &tape, &[killed], DEATH);
    let what = "kill -9 of one of two directories";
    found.extend(judged("store.directory", what, &tape, &[directory_killed], SMOOTH).into_iter().filter(|finding| {
        // Missing chunks are of the whole tape, in which a relay has died too.
        !finding.id.ends_with(".missing")
    }));
    let told = Distribution::of(told_after.iter().map(|after| after.as_micros() as u64).collect());
    found.push(Finding::time(
        "store.told",
        "a new stream: from one directory's list to the other's",
        told.p95_ms,
        TOLD_MS_MAX,
        told.to_string(),
        format!("{} times; the target is for p95.", told.count),
    ));
    let words = |after: Option<Duration>| after.map_or("never".to_owned(), |after| format!("{} ms", after.as_millis()));
    let [as_it_was, empty] = converged_after;
    let worst = as_it_was.zip(empty).map(|(one, other)| one.max(other));
    let (status, said) = readiness;
    found.push(Finding::time(
        "store.converged",
        "the store back: until both directories know the same again",
        worst.map_or(f64::MAX, |after| after.as_secs_f64() * 1000.0),
        RETURN_MS_MAX,
        format!("{} as it was, {} empty", words(as_it_was), words(empty)),
        format!("Without it a directory answered {status}: {}", said.trim().replace('\n', " ")),
    ));
    found
}
