// The 20-byte header of a binary media message, big endian, in front of one init segment or one chunk. The Rust side and this
// one are tested against the same golden vectors.

export const MEDIA_HEADER_BYTES = 20;

const KIND_INIT = 1;
const KIND_CHUNK = 2;
const FLAG_KEY = 1;
const FLAG_SEALED = 2;
const CAPTURED_AT_BYTE = 12;
const TWO_TO_32 = 2 ** 32;

export interface MediaHeader {
  kind: "init" | "chunk";
  /** First chunk of a segment: it can be decoded without any before it (but its init segment). */
  key: boolean;
  /** The payload is end-to-end encrypted. */
  sealed: boolean;
  track: number;
  /** Counts the segments of the track; grows, may skip. */
  segment: number;
  /** Counts the chunks of the segment from 0. */
  chunk: number;
  /** Microseconds since the Unix epoch by the directory's clock; exact below 2^53 (the year 2255). */
  capturedAtUs: number;
}

export type DecodeError = "too_short" | "unknown_kind" | "empty";

/** One message, read. */
export interface MediaMessage {
  header: MediaHeader;
  /** The header's bytes as they came. */
  head: Uint8Array<ArrayBuffer>;
  payload: Uint8Array<ArrayBuffer>;
}

export type DecodedMedia = ({ ok: true } & MediaMessage) | { ok: false; error: DecodeError };

/** Reads one message. Head and payload are views into it, not copies. Flag bits without a meaning are ignored. */
export function decodeMediaMessage(message: ArrayBuffer | Uint8Array<ArrayBuffer>): DecodedMedia {
  const bytes = message instanceof Uint8Array ? message : new Uint8Array(message);
  if (bytes.length < MEDIA_HEADER_BYTES) return { ok: false, error: "too_short" };
  const view = new DataView(bytes.buffer, bytes.byteOffset, MEDIA_HEADER_BYTES);
  const kind = view.getUint8(0);
  if (kind !== KIND_INIT && kind !== KIND_CHUNK) return { ok: false, error: "unknown_kind" };
  if (bytes.length === MEDIA_HEADER_BYTES) return { ok: false, error: "empty" };
  const flags = view.getUint8(1);
  const header: MediaHeader = {
    kind: kind === KIND_INIT ? "init" : "chunk",
    key: (flags & FLAG_KEY) !== 0,
    sealed: (flags & FLAG_SEALED) !== 0,
    track: view.getUint16(2),
    segment: view.getUint32(4),
    chunk: view.getUint32(8),
    capturedAtUs: view.getUint32(CAPTURED_AT_BYTE) * TWO_TO_32 + view.getUint32(CAPTURED_AT_BYTE + 4),
  };
  const head = bytes.subarray(0, MEDIA_HEADER_BYTES);
  return { ok: true, header, head, payload: bytes.subarray(MEDIA_HEADER_BYTES) };
}

/** The header's bytes. */
export function encodeMediaHeader(header: MediaHeader): Uint8Array<ArrayBuffer> {
  return encodeMediaMessage(header, new Uint8Array(0));
}

/** A whole message: the header and `payload` behind it. */
export function encodeMediaMessage(header: MediaHeader, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(MEDIA_HEADER_BYTES + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, header.kind === "init" ? KIND_INIT : KIND_CHUNK);
  view.setUint8(1, (header.key ? FLAG_KEY : 0) | (header.sealed ? FLAG_SEALED : 0));
  view.setUint16(2, header.track);
  view.setUint32(4, header.segment);
  view.setUint32(8, header.chunk);
  view.setUint32(CAPTURED_AT_BYTE, Math.floor(header.capturedAtUs / TWO_TO_32));
  view.setUint32(CAPTURED_AT_BYTE + 4, header.capturedAtUs % TWO_TO_32);
  bytes.set(payload, MEDIA_HEADER_BYTES);
  return bytes;
}
