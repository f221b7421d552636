// Seals what a broadcaster sends.

import { encodeMediaHeader, type MediaHeader } from "../media_message";
import { gcm, isAfter, type Place, SALT_BYTES, type StreamKey } from "./stream_key";

/** Why something was not sealed. */
export class SealFailure extends Error {
  constructor(readonly code: "wrong_order" | "init_missing") {
    super(code === "wrong_order" ? "A number came twice." : "A chunk came before its init segment.");
  }
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
