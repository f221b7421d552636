//! End-to-end encryption of media messages: sealed by the broadcaster, opened by viewers, with a key that stands in the link's
//! fragment and that no server sees. `docs/encryption.md` says why it is made like this; `vectors/sealed_media.json` holds bytes
//! that this and the TypeScript side both test against.
//!
//! - An init segment draws a random salt. The track's key is HKDF-SHA-256 (RFC 5869) of the content key with that salt, bound to
//!   the stream and the track; payloads are sealed with AES-256-GCM (NIST SP 800-38D).
//! - A sealed init segment is salt, ciphertext and tag; a sealed chunk is ciphertext and tag, under the key of the newest init
//!   segment of its track.
//! - The nonce is the message's kind, segment and chunk; the additional data are the header's bytes as they are sent.

mod content_key;
mod opener;
mod sealer;
mod track_key;

pub use content_key::{ContentKey, InvalidContentKey};
pub use opener::{Opened, Opener, Refused};
pub use sealer::{SealError, Sealer};
pub use track_key::{SALT_BYTES, TAG_BYTES};

#[cfg(test)]
mod tests;
