// End-to-end encryption of media payloads with WebCrypto; docs/encryption.md says how it is made and why. The Rust side and this
// one are tested against the same golden vectors. Nothing here waits for another track: each has its own key and its own order.

export { type Opened, Opener } from "./seal/opener";
export { Sealer, SealFailure } from "./seal/sealer";
export { canSeal, StreamKey } from "./seal/stream_key";
