// End-to-end encryption of media payloads with WebCrypto; docs/encryption.md says how it is made and why. The Rust side and this
// one are tested against the same golden vectors. Nothing here waits for another track: each has its own key and its own order.

import { keyBytes } from "./content_key";
import { encodeMediaHeader, type MediaHeader, type MediaMessage } from "./media_message";

/** In front of each sealed init segment: what its track's key is derived with. */
export const SALT_BYTES = 16;
export const TAG_BYTES = 16;
const NONCE_BYTES = 12;
/** Says what a derived key is for. */
const LABEL = "dead-streaming media v1";

/** Whether this page may encrypt: browsers lend their cryptography only to pages that came over https or from this machine. */
export function canSeal(): boolean {
  return globalThis.crypto?.subtle !== undefined;
}

/** Why something was not sealed. */
export class SealFailure extends Error {
  constructor(readonly code: "wrong_order" | "init_missing") {
    super(code === "wrong_order" ? "A number came twice." : "A chunk came before its init segment.");
  }
}

/** What became of one message. All but `opened` are dropped; all but `left_out` are counted as tampered with. */
export type Opened =
  | { verdict: "opened"; header: MediaHeader; payload: Uint8Array<ArrayBuffer> }
  /** Of no use without what is missing before it, or known already from before a reconnect. */
  | { verdict: "left_out" }
  /** Changed, or sealed with another key. */
  | { verdict: "failed" }
  /** Came before. */
  | { verdict: "replayed" }
  /** Something before it was withheld. */
  | { verdict: "hole" }
  /** An init segment that is no newer than the one that is known. */
  | { verdict: "stale" }
  | { verdict: "unsealed" };

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

interface Place {
  segment: number;
  chunk: number;
}

function isAfter(place: Place, last: Place | null): boolean {
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

function gcm(header: MediaHeader, head: Uint8Array<ArrayBuffer>): AesGcmParams {
  return { name: "AES-GCM", iv: nonceOf(header), additionalData: head, tagLength: TAG_BYTES * 8 };
}

/** Seals what one broadcaster sends. */
export class Sealer {
  readonly #key: StreamKey;
  readonly #salt: () => Uint8Array<ArrayBuffer>;
  readonly #tracks = new Map<number, SealedTrack>();

  /** `salt` is made by chance but in tests. */
  constructor(key: StreamKey, salt = () => crypto.getRandomValues(new Uint8Array(SALT_BYTES))) {
    this.#key = key;
    this.#salt = salt;
  }

  /**
   * The whole message, sealed. Messages of a track are done in the order in which they were asked for.
   * Throws `SealFailure` when a number does not grow: its nonce would repeat.
   */
  seal(header: MediaHeader, payload: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
    let track = this.#tracks.get(header.track);
    if (!track) {
      track = new SealedTrack(this.#key, this.#salt);
      this.#tracks.set(header.track, track);
    }
    return track.seal({ ...header, sealed: true }, payload);
  }
}

class SealedTrack {
  #trackKey: Promise<CryptoKey> | undefined;
  #last: Place | null = null;
  #initAtUs = -1;
  #done: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly key: StreamKey,
    private readonly salt: () => Uint8Array<ArrayBuffer>,
  ) {}

  seal(header: MediaHeader, payload: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
    const sealed = header.kind === "init" ? this.#init(header, payload) : this.#chunk(header, payload);
    const turn = Promise.all([sealed, this.#done]).then(([message]) => message);
    this.#done = turn;
    return turn;
  }

  #init(header: MediaHeader, payload: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
    if (header.capturedAtUs <= this.#initAtUs) throw new SealFailure("wrong_order");
    this.#initAtUs = header.capturedAtUs;
    const salt = this.salt();
    this.#trackKey = this.key.ofTrack(header.track, salt);
    return this.#encrypted(this.#trackKey, header, payload, salt);
  }

  #chunk(header: MediaHeader, payload: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
    if (!this.#trackKey) throw new SealFailure("init_missing");
    if (!isAfter(header, this.#last)) throw new SealFailure("wrong_order");
    this.#last = { segment: header.segment, chunk: header.chunk };
    return this.#encrypted(this.#trackKey, header, payload, new Uint8Array(0));
  }

  async #encrypted(
    key: Promise<CryptoKey>,
    header: MediaHeader,
    payload: Uint8Array<ArrayBuffer>,
    salt: Uint8Array,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const head = encodeMediaHeader(header);
    const secret = new Uint8Array(await crypto.subtle.encrypt(gcm(header, head), await key, payload));
    const message = new Uint8Array(head.length + salt.length + secret.length);
    message.set(head);
    message.set(salt, head.length);
    message.set(secret, head.length + salt.length);
    return message;
  }
}

/** Opens what a viewer gets, and tells what can't be: changed, missing, repeated. */
export class Opener {
  readonly #key: StreamKey;
  readonly #tracks = new Map<number, OpenedTrack>();

  constructor(key: StreamKey) {
    this.#key = key;
  }

  /** Never rejects. Messages of a track are done in the order in which they came; tracks don't wait for each other. */
  open(message: MediaMessage): Promise<Opened> {
    let track = this.#tracks.get(message.header.track);
    if (!track) {
      track = new OpenedTrack(this.#key);
      this.#tracks.set(message.header.track, track);
    }
    return track.open(message);
  }
}

/** The key that a track's newest good init segment has brought. */
interface TrackKey {
  key: CryptoKey;
  init: MediaMessage;
}

class OpenedTrack {
  #trackKey: Promise<TrackKey | null> = Promise.resolve(null);
  #done: Promise<unknown> = Promise.resolve();
  #last: Place | null = null;
  /** Nothing is shown before the next key chunk. */
  #needsKeyChunk = true;
  /** The init segment came once more, as after a reconnect: what is known may follow. */
  #comesAgain = false;

  constructor(private readonly key: StreamKey) {}

  open(message: MediaMessage): Promise<Opened> {
    const opened = this.#begin(message);
    const turn = this.#done.then(async () => (await opened)());
    this.#done = turn;
    return turn;
  }

  /** Deciphers at once; what it means is judged in the messages' order, by the function that comes of it. */
  async #begin(message: MediaMessage): Promise<() => Opened> {
    const { header } = message;
    if (!header.sealed) return () => ({ verdict: "unsealed" });
    if (header.kind === "init") return this.#init(message);
    const known = this.#trackKey;
    const payload = known.then((track) => track && deciphered(track.key, message, message.payload));
    const [track, plain] = [await known, await payload];
    return () => this.#chunk(header, track !== null, plain);
  }

  #init(message: MediaMessage): Promise<() => Opened> {
    const before = this.#trackKey;
    const opened = this.#openInit(message, before);
    this.#trackKey = opened.then(({ track }) => track);
    return opened.then(({ outcome }) => {
      return () => {
        if (outcome.verdict !== "opened") return outcome;
        if (outcome.known) this.#comesAgain = true;
        else {
          this.#last = null;
          this.#needsKeyChunk = true;
          this.#comesAgain = false;
        }
        return { verdict: "opened", header: { ...message.header, sealed: false }, payload: outcome.payload };
      };
    });
  }

  async #openInit(message: MediaMessage, before: Promise<TrackKey | null>): Promise<OpenedInit> {
    const { header, payload } = message;
    const salt = payload.slice(0, SALT_BYTES);
    const key = await this.key.ofTrack(header.track, salt).catch(() => null);
    const plain = key && (await deciphered(key, message, payload.subarray(SALT_BYTES)));
    const track = await before;
    if (!key || !plain) return { track, outcome: { verdict: "failed" } };
    const known = track !== null && sameMessage(track.init, message);
    const newer = track === null || header.capturedAtUs > track.init.header.capturedAtUs;
    if (!known && !newer) return { track, outcome: { verdict: "stale" } };
    return { track: known ? track : { key, init: message }, outcome: { verdict: "opened", known, payload: plain } };
  }

  #chunk(header: MediaHeader, hasKey: boolean, plain: Uint8Array<ArrayBuffer> | null): Opened {
    if (!hasKey || (this.#needsKeyChunk && !header.key)) return { verdict: "left_out" };
    if (!plain) {
      this.#needsKeyChunk = true;
      return { verdict: "failed" };
    }
    if (!isAfter(header, this.#last)) return { verdict: this.#comesAgain ? "left_out" : "replayed" };
    const next = header.segment === this.#last?.segment && header.chunk === this.#last.chunk + 1;
    if (!next && !(header.key && header.chunk === 0)) {
      this.#needsKeyChunk = true;
      return { verdict: "hole" };
    }
    this.#last = { segment: header.segment, chunk: header.chunk };
    this.#needsKeyChunk = false;
    this.#comesAgain = false;
    return { verdict: "opened", header: { ...header, sealed: false }, payload: plain };
  }
}

interface OpenedInit {
  /** The key that holds from here on. */
  track: TrackKey | null;
  outcome:
    | { verdict: "opened"; known: boolean; payload: Uint8Array<ArrayBuffer> }
    | { verdict: "failed" }
    | { verdict: "stale" };
}

/** The plain payload, or null when it was changed or sealed with another key. */
async function deciphered(
  key: CryptoKey,
  { header, head }: MediaMessage,
  secret: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer> | null> {
  try {
    return new Uint8Array(await crypto.subtle.decrypt(gcm(header, head), key, secret));
  } catch {
    return null;
  }
}

function sameMessage(a: MediaMessage, b: MediaMessage): boolean {
  return sameBytes(a.head, b.head) && sameBytes(a.payload, b.payload);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
