//! The second process of the same binary in which the portal's frames are captured.

/// Becomes the capture helper, and does not return, when this process was started as one. Call it first in every `main`.
pub fn run_if_asked() {}
