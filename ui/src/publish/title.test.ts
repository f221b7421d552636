import { expect, it } from "vitest";
import { titleProblem } from "./title";

it.each(["Sunday demo", "  padded  ", "日本語", "é".repeat(120), "👩‍🚀 to the moon"])("takes %j", (title) => {
  expect(titleProblem(title)).toBeUndefined();
});

it.each(["", "   ", "x".repeat(121), "a\nb", "a\u0000b", "a\u202eb", "a\u007fb"])("refuses %j in words", (title) => {
  expect(titleProblem(title)).toMatch(/\.$/);
});

it("counts characters, not code units", () => {
  expect(titleProblem("🎬".repeat(120))).toBeUndefined();
  expect(titleProblem("🎬".repeat(123))).toContain("3 characters too long");
});
