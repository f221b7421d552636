import { expect, it, vi } from "vitest";
import { newContentKey } from "../protocol/content_key";
import { decodeMediaMessage, type MediaHeader } from "../protocol/media_message";
import { Opener, Sealer, StreamKey } from "../protocol/seal";
import { Wrapping } from "./wrapping";

const STREAM = "a3aca7d499d2a4e80d6338a04dfc936f";
const chunk = (n: number): MediaHeader => ({
  kind: "chunk",
  key: n === 0,
  sealed: false,
  track: 1,
  segment: 0,
  chunk: n,
  capturedAtUs: 1,
});
const init: MediaHeader = { ...chunk(0), kind: "init", key: false };

function wrapping(sealer: Sealer | null) {
  const failures: string[] = [];
  const sent: Uint8Array<ArrayBuffer>[] = [];
  const made = new Wrapping(sealer, (sentence) => failures.push(sentence));
  const wrap = (header: MediaHeader, payload: Uint8Array<ArrayBuffer>) =>
    made.wrap(header, payload, (message) => sent.push(message));
  return { wrap, sent, failures };
}

function read(message: Uint8Array<ArrayBuffer>) {
  const decoded = decodeMediaMessage(message);
  if (!decoded.ok) throw new Error(decoded.error);
  return decoded;
}

it("sends at once what need not be sealed", () => {
  const { wrap, sent } = wrapping(null);
  wrap(init, Uint8Array.of(7));
  expect(sent.map((message) => read(message).payload[0])).toEqual([7]);
});

it("seals what must be, in order", async () => {
  const key = newContentKey();
  const { wrap, sent } = wrapping(new Sealer(new StreamKey(key, STREAM)));
  wrap(init, Uint8Array.of(7));
  for (let n = 0; n < 20; n += 1) wrap(chunk(n), new Uint8Array(20_000 - n * 1000).fill(n));
  await vi.waitUntil(() => sent.length === 21);
  const opener = new Opener(new StreamKey(key, STREAM));
  for (const message of sent) {
    expect(read(message).header.sealed).toBe(true);
    expect((await opener.open(read(message))).verdict).toBe("opened");
  }
});

it("ends the stream rather than use a number twice", async () => {
  const { wrap, failures } = wrapping(new Sealer(new StreamKey(newContentKey(), STREAM)));
  wrap(init, Uint8Array.of(7));
  wrap(chunk(0), Uint8Array.of(7));
  expect(failures).toEqual([]);
  wrap(chunk(0), Uint8Array.of(8));
  expect(failures.length).toBe(1);
});
