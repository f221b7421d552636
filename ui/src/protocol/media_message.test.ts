import { describe, expect, it } from "vitest";
import vectors from "../../../protocol/vectors/media_message.json";
import { decodeMediaMessage, encodeMediaMessage, type MediaHeader } from "./media_message";

const bytesOf = (hex: string) => new Uint8Array(Buffer.from(hex, "hex"));
const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

describe("golden vectors", () => {
  it.each(vectors.valid.map((vector) => [vector.name, vector] as const))("%s", (_name, vector) => {
    const { captured_at_us, ...rest } = vector.header;
    const header = { ...rest, capturedAtUs: captured_at_us } as MediaHeader;
    const decoded = decodeMediaMessage(bytesOf(vector.message));
    if (!decoded.ok) throw new Error(decoded.error);
    expect(decoded.header).toEqual(header);
    expect(hexOf(decoded.payload)).toBe(vector.payload);
    if (!("reserved_bits" in vector)) {
      expect(hexOf(encodeMediaMessage(header, bytesOf(vector.payload)))).toBe(vector.message);
    }
  });

  it.each(vectors.invalid.map((vector) => [vector.name, vector] as const))("%s is refused", (_name, vector) => {
    expect(decodeMediaMessage(bytesOf(vector.message))).toEqual({ ok: false, error: vector.error });
  });
});

it("reads a message that lies inside a larger buffer", () => {
  const message = bytesOf(vectors.valid[1]?.message ?? "");
  const larger = new Uint8Array(message.length + 10);
  larger.set(message, 7);
  const decoded = decodeMediaMessage(larger.subarray(7, 7 + message.length));
  expect(decoded.ok && decoded.header.capturedAtUs).toBe(vectors.valid[1]?.header.captured_at_us);
});
