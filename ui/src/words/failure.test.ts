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

it("says how long to wait, where the server asks for patience", () => {
  expect(goLiveFailure(new ApiFailure("too_many_requests", "slow", 12_300))).toContain("Try again in 13 seconds.");
  expect(goLiveFailure(new ApiFailure("too_many_requests", "slow"))).toContain("Try again in a moment.");
});
