import { expect, it } from "vitest";
import { ApiFailure } from "../protocol/api_failure";
import { goLiveFailure } from "./failure";

it("says in words that there is no relay, and the way out", () => {
  const sentence = goLiveFailure(new ApiFailure("no_relay", "no healthy relay"));
  expect(sentence).toContain("no relay");
  expect(sentence).toContain("start one");
});

it("passes on what other failures say", () => {
  expect(goLiveFailure(new Error("No display."))).toBe("No display.");
  expect(goLiveFailure(new ApiFailure("internal", "it broke"))).toBe("It broke.");
});
