import { expect, it } from "vitest";
import { messagesOf } from "./batch";

const BATCH = [0, 0, 0, 0, 2, 104, 105, 1, 0, 0, 0, 3, 7, 8, 9];

function read(bytes: number[]): unknown[] {
  return [...messagesOf(new Uint8Array(bytes).buffer)].map((message) =>
    typeof message === "string" ? message : [...new Uint8Array(message)],
  );
}

it("a batch is read message by message", () => {
  expect(read(BATCH)).toEqual(["hi", [7, 8, 9]]);
  expect(read([])).toEqual([]);
});

it("what was cut off is left out", () => {
  expect(read(BATCH.slice(0, -1))).toEqual(["hi"]);
  expect(read(BATCH.slice(0, 9))).toEqual(["hi"]);
});
