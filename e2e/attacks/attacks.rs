//! Attacks on the real binaries: see `tests/attacks`. The stage they play on is the crate `stage`.
