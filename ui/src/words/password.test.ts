import { describe, expect, it } from "vitest";
import { PASSWORD_CHARS_MAX, passwordHint, passwordProblem } from "./password";

describe("a stream's password", () => {
  it.each(["", "abc", "ä€🎈", "x".repeat(PASSWORD_CHARS_MAX + 1)])("%j is refused, in words", (password) => {
    expect(passwordProblem(password)).toMatch(/\.$/);
  });

  it.each(["abcd", "ä€🎈x", "x".repeat(PASSWORD_CHARS_MAX)])("%j is taken", (password) => {
    expect(passwordProblem(password)).toBeUndefined();
  });

  it.each([
    ["", "none"],
    ["abc", "bad"],
    ["1234", "weak"],
    ["password1", "weak"],
    ["qwerty", "weak"],
    ["aaaaaaaaaa", "weak"],
    ["12345678", "weak"],
    ["tuesday", "good"],
    ["lamp river 7 otter", "good"],
  ] as const)("%j is %s", (password, tone) => {
    expect(passwordHint(password).tone).toBe(tone);
  });
});
