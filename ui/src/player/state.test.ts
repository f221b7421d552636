import { describe, expect, it } from "vitest";
import { IDLE, type PlayerEvent, type PlayerState, reduce, sameState, stateOf } from "./state";

const kindAfter = (...events: PlayerEvent[]) => stateOf(events.reduce(reduce, IDLE)).kind;
const started: PlayerEvent = { type: "started" };
const watching: PlayerEvent = { type: "watching" };
const picture: PlayerEvent = { type: "picture" };
const away: PlayerEvent = { type: "broadcaster", present: false };
const lost: PlayerEvent = { type: "lost", attempt: 1, busy: false };

describe("the usual way", () => {
  it("goes from idle over connecting and waiting to playing", () => {
    expect(kindAfter()).toBe("idle");
    expect(kindAfter(started)).toBe("connecting");
    expect(kindAfter(started, watching)).toBe("waiting_for_media");
    expect(kindAfter(started, watching, picture)).toBe("playing");
  });

  it("ends, and stays ended whatever still arrives", () => {
    expect(kindAfter(started, watching, picture, { type: "ended" })).toBe("ended");
    expect(kindAfter(started, { type: "ended" }, lost, watching, picture)).toBe("ended");
  });
});

describe("trouble", () => {
  it("a cut connection is reconnecting until the relay answers, then plays on", () => {
    expect(kindAfter(started, watching, picture, lost)).toBe("reconnecting");
    expect(kindAfter(started, watching, picture, lost, watching)).toBe("playing");
    expect(kindAfter(started, watching, picture, lost, { type: "ran_dry" }, watching)).toBe("stalled");
  });

  it("an absent broadcaster is spoken of once the last picture is over", () => {
    expect(kindAfter(started, watching, picture, away)).toBe("playing");
    expect(kindAfter(started, watching, picture, away, { type: "ran_dry" })).toBe("broadcaster_away");
    expect(kindAfter(started, watching, away)).toBe("broadcaster_away");
    expect(kindAfter(started, watching, away, { type: "broadcaster", present: true }, picture)).toBe("playing");
  });

  it("running dry before the first picture is still waiting", () => {
    expect(kindAfter(started, watching, { type: "ran_dry" })).toBe("waiting_for_media");
  });

  it("of a machine without a network has words of its own, until something comes again", () => {
    const network = (gone: boolean): PlayerEvent => ({ type: "network", gone });
    expect(kindAfter(started, watching, picture, network(true))).toBe("offline");
    expect(kindAfter(started, watching, picture, lost, network(true))).toBe("offline");
    expect(kindAfter(started, watching, picture, network(true), lost, network(false))).toBe("reconnecting");
    expect(kindAfter(started, watching, picture, network(true), network(false))).toBe("playing");
  });

  it("a failure keeps its code and message, and a new start clears it", () => {
    const failed: PlayerEvent = { type: "failed", code: "unsupported_media", message: "no" };
    expect(stateOf([started, failed].reduce(reduce, IDLE))).toEqual({
      kind: "failed",
      code: "unsupported_media",
      message: "no",
    });
    expect(kindAfter(started, failed, picture)).toBe("failed");
    expect(kindAfter(started, failed, started)).toBe("connecting");
  });
});

describe("a person", () => {
  it("pauses and goes on", () => {
    expect(kindAfter(started, watching, picture, { type: "paused" })).toBe("paused");
    expect(kindAfter(started, watching, picture, { type: "paused" }, { type: "resumed" })).toBe("playing");
  });

  it("is asked for a click when the browser wants one, until the picture moves", () => {
    expect(kindAfter(started, watching, { type: "blocked" })).toBe("needs_click");
    expect(kindAfter(started, watching, { type: "blocked" }, picture)).toBe("playing");
  });
});

describe("who may watch", () => {
  const wanted = { why: "wrong", waitMs: 0 } as const;
  it("is asked for the password, and connects with it", () => {
    expect(kindAfter(started, { type: "password_wanted", wanted })).toBe("needs_password");
    expect(kindAfter(started, { type: "password_wanted", wanted }, { type: "password_given" })).toBe("connecting");
  });

  it("hears of each wrong password, also of the second", () => {
    const asks = (): PlayerState => ({ kind: "needs_password", wanted: { ...wanted } });
    expect(sameState(asks(), asks())).toBe(false);
  });

  it("sees nothing of what can't be opened, until it can", () => {
    const locked: PlayerEvent = { type: "locked", why: "wrong_key" };
    expect(kindAfter(started, watching, locked, picture)).toBe("locked");
    expect(kindAfter(started, watching, locked, lost)).toBe("locked");
    expect(kindAfter(started, watching, locked, { type: "opened" }, picture)).toBe("playing");
  });
});
