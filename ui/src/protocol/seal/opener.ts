// Opens what a viewer gets, and tells what can't be opened.

import type { MediaHeader, MediaMessage } from "../media_message";
import { gcm, isAfter, type Place, SALT_BYTES, type StreamKey } from "./stream_key";

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
