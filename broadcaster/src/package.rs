//! From what ffmpeg writes to messages on the wire. Pure: bytes and times go in, messages come out.

pub(crate) mod cmaf;
pub(crate) mod flv;
pub(crate) mod ogg;
pub(crate) mod packager;
pub(crate) mod sound_clock;
pub(crate) mod timeline;
