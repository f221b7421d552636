// The keys of one stream's tracks, and the place that a payload has under them.

import { keyBytes } from "../content_key";
import type { MediaHeader } from "../media_message";

/** In front of each sealed init segment: what its track's key is derived with. */
export const SALT_BYTES = 16;
const TAG_BYTES = 16;
const NONCE_BYTES = 12;
/** Says what a derived key is for. */
const LABEL = "dead-streaming media v1";

/** Whether this page may encrypt: browsers lend their cryptography only to pages that came over https or from this machine. */
export function canSeal(): boolean {
  return globalThis.crypto?.subtle !== undefined;
}

/** A content key for one stream. */
export class StreamKey {
  readonly #key: Promise<CryptoKey>;
  readonly #stream: Uint8Array;

  /** `key` in base64url, `streamId` in hexadecimal. */
  constructor(key: string, streamId: string) {
    this.#key = crypto.subtle.importKey("raw", keyBytes(key), "HKDF", false, ["deriveKey"]);
    // Whoever waits for it is told; nobody may be waiting yet.
    this.#key.catch(() => {});
    this.#stream = Uint8Array.from(streamId.match(/../g) ?? [], (digits) => Number.parseInt(digits, 16));
  }

  /** The key of one track from one init segment on. */
  async ofTrack(track: number, salt: Uint8Array<ArrayBuffer>): Promise<CryptoKey> {
    const info = new Uint8Array([...new TextEncoder().encode(LABEL), ...this.#stream, track >> 8, track & 0xff]);
    const how = { name: "HKDF", hash: "SHA-256", salt, info };
    const aes = { name: "AES-GCM", length: 256 };
    return crypto.subtle.deriveKey(how, await this.#key, aes, false, ["encrypt", "decrypt"]);
  }
}

/** A chunk's place in its track. */
export interface Place {
  segment: number;
  chunk: number;
}

export function isAfter(place: Place, last: Place | null): boolean {
  if (!last) return true;
  return place.segment > last.segment || (place.segment === last.segment && place.chunk > last.chunk);
}

/** Never repeats under one key: a track's numbers only grow, and each init segment has a key of its own. */
function nonceOf({ kind, segment, chunk }: MediaHeader): Uint8Array<ArrayBuffer> {
  const nonce = new Uint8Array(NONCE_BYTES);
  const view = new DataView(nonce.buffer);
  view.setUint8(0, kind === "init" ? 1 : 2);
  view.setUint32(4, segment);
  view.setUint32(8, chunk);
  return nonce;
}

/** How a payload is sealed: under its place, with its header authenticated. */
export function gcm(header: MediaHeader, head: Uint8Array<ArrayBuffer>): AesGcmParams {
  return { name: "AES-GCM", iv: nonceOf(header), additionalData: head, tagLength: TAG_BYTES * 8 };
}
