//! A relay dies, or is cut off.

use super::{DEATH, judged};
use crate::{
    figure::Finding,
    scenes::{self, Size},
};

pub(super) async fn origin_killed(quick: bool) -> Vec<Finding> {
    let size = if quick { Size::of(10, 3) } else { Size::of(50, 20) };
    let (tape, events) = scenes::origin_killed(&size).await;
    judged("origin_killed", "kill -9 of the origin", &tape, &events, DEATH)
}

pub(super) async fn broadcast(quick: bool) -> Vec<Finding> {
    let size = if quick { Size::of(10, 2) } else { Size::of(50, 6) }.with_broadcast();
    let (tape, events) = scenes::origin_killed(&size).await;
    judged("broadcast", "the same under the product's `broadcast`", &tape, &events, DEATH)
}

pub(super) async fn black_hole(quick: bool) -> Vec<Finding> {
    let size = if quick { Size::of(10, 2) } else { Size::of(50, 6) };
    let (tape, events) = scenes::black_hole(&size).await;
    judged("black_hole", "the origin's cable pulled", &tape, &events, DEATH)
}
