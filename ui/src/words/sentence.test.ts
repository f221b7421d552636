import { expect, it } from "vitest";
import { sentence, sentenceOfError } from "./sentence";

it("makes a sentence of what a program says", () => {
  expect(sentence("there is no display")).toBe("There is no display.");
  expect(sentence("Already whole.")).toBe("Already whole.");
  expect(sentence("ffmpeg can't be started")).toBe("ffmpeg can't be started.");
  expect(sentenceOfError("no")).toBe("No.");
});
