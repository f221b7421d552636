import { describe, expect, it } from "vitest";
import vectors from "../../../protocol/vectors/framing.json";
import { FrameReader, framed } from "./framing";

const bytesOf = (hex: string) => new Uint8Array(Buffer.from(hex, "hex"));
const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

/** What comes out when the stream comes in these pieces. */
function read(max: number, pieces: Uint8Array<ArrayBuffer>[]): string[] | string {
  const reader = new FrameReader(max);
  const messages: string[] = [];
  for (const piece of pieces) {
    const frames = reader.push(piece);
    if (!frames.ok) return frames.error;
    messages.push(...frames.messages.map(hexOf));
  }
  return reader.end() ?? messages;
}

describe("golden vectors", () => {
  it.each(vectors.valid.map((vector) => [vector.name, vector] as const))("%s", (_name, vector) => {
    const messages = read(vectors.message_bytes_max, vector.pieces.map(bytesOf));
    expect(messages).toEqual(vector.messages);
    const written = vector.messages.map((message) => hexOf(framed(bytesOf(message))));
    expect(written.join("")).toBe(vector.pieces.join(""));
  });

  it.each(vectors.invalid.map((vector) => [vector.name, vector] as const))("%s is refused", (_name, vector) => {
    expect(read(vectors.message_bytes_max, vector.pieces.map(bytesOf))).toBe(vector.error);
  });
});

it("reads a large message that comes in many small pieces", () => {
  const message = Uint8Array.from({ length: 300_000 }, (_, at) => at % 251);
  const stream = framed(message);
  const pieces = [];
  for (let at = 0; at < stream.length; at += 1200) pieces.push(stream.subarray(at, at + 1200));
  const reader = new FrameReader(message.length);
  const messages = pieces.flatMap((piece) => {
    const frames = reader.push(piece);
    return frames.ok ? frames.messages : [];
  });
  expect(messages.map(hexOf)).toEqual([hexOf(message)]);
  expect(reader.end()).toBeNull();
});
