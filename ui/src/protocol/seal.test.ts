import { describe, expect, it } from "vitest";
import vectors from "../../../protocol/vectors/sealed_media.json";
import { newContentKey } from "./content_key";
import { decodeMediaMessage, encodeMediaMessage, type MediaHeader, type MediaMessage } from "./media_message";
import { type Opened, Opener, Sealer, SealFailure, StreamKey } from "./seal";

const bytesOf = (hex: string) => new Uint8Array(Buffer.from(hex, "hex"));
const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const { stream } = vectors;

interface VectorHeader {
  kind: string;
  key: boolean;
  sealed: boolean;
  track: number;
  segment: number;
  chunk: number;
  captured_at_us: number;
}

function headerOf({ captured_at_us, ...rest }: VectorHeader): MediaHeader {
  return { ...rest, capturedAtUs: captured_at_us } as MediaHeader;
}

function read(hex: string): MediaMessage {
  const decoded = decodeMediaMessage(bytesOf(hex));
  if (!decoded.ok) throw new Error(decoded.error);
  return decoded;
}

/** A sealer with the salts of these vectors. */
function sealer(salts: (string | undefined)[]): Sealer {
  const left = salts.filter((salt) => salt !== undefined);
  return new Sealer(new StreamKey(vectors.content_key, stream), () => bytesOf(left.shift() ?? ""));
}

describe("golden vectors", () => {
  it("are sealed to the same bytes", async () => {
    const s = sealer(vectors.sealed.map((vector) => vector.salt));
    for (const vector of vectors.sealed) {
      const message = await s.seal(headerOf(vector.header), bytesOf(vector.payload));
      expect(hexOf(message), vector.name).toBe(vector.message);
    }
  });

  it("get a new key with a new init segment", async () => {
    const first = vectors.sealed[0];
    if (!first) throw new Error("no vectors");
    const s = sealer([first.salt, ...vectors.sealed_again.map((vector) => vector.salt)]);
    await s.seal(headerOf(first.header), bytesOf(first.payload));
    for (const vector of vectors.sealed_again) {
      const message = await s.seal(headerOf(vector.header), bytesOf(vector.payload));
      expect(hexOf(message), vector.name).toBe(vector.message);
    }
  });

  it.each(vectors.refused_by_sealers.map((vector) => [vector.name, vector] as const))("%s is refused", async (_, v) => {
    const s = new Sealer(new StreamKey(vectors.content_key, stream));
    const seal = (header: VectorHeader) => s.seal(headerOf(header), new Uint8Array(5));
    for (const header of v.headers.slice(0, -1)) await seal(header);
    const last = v.headers.at(-1);
    if (!last) throw new Error("no headers");
    let failure: unknown;
    try {
      await seal(last);
    } catch (error) {
      failure = error;
    }
    expect(failure).toBeInstanceOf(SealFailure);
    expect((failure as SealFailure).code).toBe(v.error);
  });

  const opened = vectors.opened as {
    name: string;
    content_key?: string;
    tampered: number;
    messages: { note: string; message: string; verdict: string; payload?: string }[];
  }[];
  it.each(opened.map((vector) => [vector.name, vector] as const))("opener: %s", async (_name, vector) => {
    const opener = new Opener(new StreamKey(vector.content_key ?? vectors.content_key, stream));
    // All at once, as a relay sends a backlog: verdicts come in order all the same.
    const done: number[] = [];
    const verdicts: Opened[] = await Promise.all(
      vector.messages.map(async ({ message }, i) => {
        const verdict = await opener.open(read(message));
        done.push(i);
        return verdict;
      }),
    );
    expect(verdicts.map(({ verdict }) => verdict)).toEqual(vector.messages.map(({ verdict }) => verdict));
    vector.messages.forEach(({ payload }, i) => {
      const verdict = verdicts[i];
      if (verdict?.verdict === "opened") expect(hexOf(verdict.payload)).toBe(payload);
    });
    const tampered = verdicts.filter(({ verdict }) => verdict !== "opened" && verdict !== "left_out");
    expect(tampered.length).toBe(vector.tampered);
    for (const track of [1, 2]) {
      const order = done.filter((i) => read(vector.messages[i]?.message ?? "").header.track === track);
      expect(order).toEqual([...order].sort((a, b) => a - b));
    }
  });
});

describe("a sealer and an opener with one key", () => {
  const chunk = (segment: number, n: number): MediaHeader => ({
    kind: "chunk",
    key: n === 0,
    sealed: false,
    track: 1,
    segment,
    chunk: n,
    capturedAtUs: 5,
  });
  const init: MediaHeader = { ...chunk(0, 0), kind: "init", key: false };

  it("understand each other, and what is opened is no longer marked as sealed", async () => {
    const key = newContentKey();
    const sealer = new Sealer(new StreamKey(key, stream));
    const opener = new Opener(new StreamKey(key, stream));
    const payloads = Array.from({ length: 50 }, (_, i) => new Uint8Array(i * 7).fill(i));
    const headers = [init, ...payloads.slice(1).map((_, i) => chunk(Math.floor(i / 10), i % 10))];
    const sealed = await Promise.all(headers.map((header, i) => sealer.seal(header, payloads[i] ?? new Uint8Array(0))));
    const opened = await Promise.all(sealed.map((message) => opener.open(read(hexOf(message)))));
    opened.forEach((each, i) => {
      expect(each).toEqual({ verdict: "opened", header: headers[i], payload: payloads[i] });
    });
  });

  it("let nothing of the payload through", async () => {
    const sealer = new Sealer(new StreamKey(newContentKey(), stream));
    const payload = new TextEncoder().encode("a secret that stands out");
    await sealer.seal(init, payload);
    const message = await sealer.seal(chunk(0, 0), payload);
    expect(Buffer.from(message).includes("secret")).toBe(false);
    expect(hexOf(message)).not.toBe(hexOf(encodeMediaMessage(chunk(0, 0), payload)));
  });

  it("draw a new salt for each init segment, of the same bytes too", async () => {
    const sealer = new Sealer(new StreamKey(newContentKey(), stream));
    const first = await sealer.seal(init, new Uint8Array(9));
    const second = await sealer.seal({ ...init, capturedAtUs: 6 }, new Uint8Array(9));
    expect(hexOf(first.subarray(20))).not.toBe(hexOf(second.subarray(20)));
  });
});
