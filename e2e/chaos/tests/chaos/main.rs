//! Short forms of the scenes, over the real binaries of this build: what must hold on any machine, however busy. The figures of
//! long ones are in `docs/resilience.md`.
//!
//! Stalls are bounded more loosely here than there: other tests run beside these.

mod planned;
mod relay_dies;
