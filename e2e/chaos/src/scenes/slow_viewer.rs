//! A viewer's way gets narrow and wide again: the product's own player, in a page, goes to the smaller picture that `broadcast` sends
//! beside the large one, and back.

use std::time::Duration;

use stage::{Plan, System};
use tokio::time::{Instant, sleep};

use crate::{
    directory::{Assignment, Relay},
    now_us,
    pages::{Page, Pages},
    player::Tempo,
    progress::say,
    show::{Broadcast, Sender, Show},
    tape::{Event, Tape},
};

/// What the large picture takes.
const KBIT: u32 = 2500;

/// What the narrow way carries: the smaller picture, and not the large one.
const NARROW_BYTES_PER_SECOND: u64 = 130_000;

/// Longest wait for another picture.
const CHANGE_TIME_MAX: Duration = Duration::from_secs(90);

/// How often pages are asked what they show.
const ASK_INTERVAL: Duration = Duration::from_millis(250);

/// How long the smaller picture is watched before the way is wide again.
const STAY: Duration = Duration::from_secs(8);

/// What came of it.
#[derive(Debug)]
pub struct Slowed {
    /// What a viewer at the same relay saw, whose way stays wide.
    pub tape: Tape,
    /// What the page showed.
    pub pages: Vec<Page>,
    /// From the narrowing to the smaller picture, and on until the way was wide again.
    pub narrow: Event,
    /// From then to the end.
    pub wide: Event,
    /// How long it took to the smaller picture; none when it never came.
    pub down_after: Option<Duration>,
    /// How long it took back to the large one; none when it never came.
    pub up_after: Option<Duration>,
    /// How wide the pictures were.
    pub widths: [u32; 3],
}

/// Plays it.
pub async fn slow_viewer() -> Slowed {
    let plan = Plan::of_relays(1, true);
    let how = Broadcast { kbit: KBIT, flags: vec!["--small-picture"] };
    let mut show = Show::begin(&plan, Sender::Broadcast(how), 0, Tempo::default()).await;
    let relay = show.origin().await;
    let answer = show.directory().watch(show.id(), None, None).await;
    let answer = answer.unwrap_or_else(|refusal| panic!("a way to watch: {refusal:?}"));
    let url = show.system.direct_url(&relay);
    let beside = Assignment { relays: vec![Relay { name: relay, url }], ..answer };
    show.admit_at(beside, Tempo::default()).await;
    let mut pages = Pages::open(&show.link(), 1).await;
    show.calm().await;
    let large = width(&mut pages).await;
    say(&format!("{large} wide; the viewer's way now carries {} kbit/s", NARROW_BYTES_PER_SECOND * 8 / 1000));
    let at = now_us();
    throttle(&show.system, Some(NARROW_BYTES_PER_SECOND));
    let down_after = changes(&mut pages, |width| width > 0 && width < large).await;
    let small = width(&mut pages).await;
    sleep(STAY).await;
    let narrow = Event { from_us: at, to_us: now_us() };
    say(&format!("{small} wide; the way is wide again"));
    throttle(&show.system, None);
    let at = now_us();
    let up_after = changes(&mut pages, |width| width == large).await;
    sleep(STAY).await;
    let widths = [large, small, width(&mut pages).await];
    let wide = Event { from_us: at, to_us: now_us() };
    let pages = pages.close().await;
    Slowed { tape: show.end().await, pages, narrow, wide, down_after, up_after, widths }
}

fn throttle(system: &System, bytes_per_second: Option<u64>) {
    for name in system.relays() {
        system.cable(&name).public.change(|weather| weather.down.bytes_per_second = bytes_per_second);
    }
}

async fn width(pages: &mut Pages) -> u32 {
    pages.widths().await.first().copied().unwrap_or_default()
}

/// How long it takes until the picture is as wide as wanted.
async fn changes(pages: &mut Pages, wanted: impl Fn(u32) -> bool) -> Option<Duration> {
    let begun = Instant::now();
    while begun.elapsed() < CHANGE_TIME_MAX {
        if wanted(width(pages).await) {
            return Some(begun.elapsed());
        }
        sleep(ASK_INTERVAL).await;
    }
    None
}
