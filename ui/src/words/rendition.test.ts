import { expect, it } from "vitest";
import type { TrackInfo } from "../protocol/messages";
import { renditionInWords } from "./rendition";

it("says how the picture was chosen, and which of all it is", () => {
  const pictures = [{ track: 1 }, { track: 3 }] as TrackInfo[];
  expect(renditionInWords({ pictures, chosen: "automatic", shown: 3, reduced: true })).toBe("Automatic, 2 of 2");
  expect(renditionInWords({ pictures, chosen: 1, shown: 1, reduced: false })).toBe("By hand, 1 of 2");
});
