import { expect, it } from "vitest";
import { engineOf } from "./engine";
import { actionOf, type Focus } from "./keyboard";
import type { LockedWhy } from "./state";
import { LatencyMeter, RateMeter } from "./stats";
import { automaticWords, delayWords, pictureWords, viewersWords, wordsFor } from "./words";

it("says every state but playing and idle in words", () => {
  for (const kind of [
    "connecting",
    "waiting_for_media",
    "offline",
    "stalled",
    "broadcaster_away",
    "ended",
    "paused",
    "needs_click",
  ] as const) {
    expect(wordsFor({ kind }, true).title).not.toBe("");
  }
  expect(wordsFor({ kind: "playing" }, true).shape).toBe("none");
  expect(wordsFor({ kind: "failed", code: "internal", message: "It broke." }, true)).toMatchObject({
    action: "retry",
    detail: "It broke.",
  });
});

it("asks for the password, and says how the last try went", () => {
  const words = (why: "required" | "wrong" | "too_many", waitMs = 0) =>
    wordsFor({ kind: "needs_password", wanted: { why, waitMs } }, false);
  expect(words("required")).toMatchObject({ title: "This stream has a password", password: { waitMs: 0 } });
  expect(words("wrong").detail).toContain("not the password");
  expect(words("too_many", 41_200)).toMatchObject({ password: { waitMs: 41_200 } });
  expect(words("too_many", 41_200).detail).toContain("42 seconds");
});

it("says why an encrypted stream is not shown, and the way out", () => {
  const detail = (why: LockedWhy) => wordsFor({ kind: "locked", why }, false).detail;
  expect(detail("no_key")).toContain("what stands after #");
  expect(detail("wrong_key")).toContain("Ask for the link again");
  expect(detail("not_sealed")).toContain("not encrypted");
  expect(detail("insecure_context")).toContain("https");
});

it("offers no second try to who was removed", () => {
  const state = { kind: "failed", code: "viewer_removed", message: "" } as const;
  expect(wordsFor(state, true)).toMatchObject({ title: "You were removed from this stream", action: "none" });
});

it("covers the picture while reconnecting only where there is none yet", () => {
  const state = { kind: "reconnecting", attempt: 1, busy: false } as const;
  expect(wordsFor(state, true).shape).toBe("pill");
  expect(wordsFor(state, false).shape).toBe("veil");
});

it("says delays and viewers as a person would", () => {
  expect([0, 84, 142, 994, 1234, -5].map(delayWords)).toEqual(["0 ms", "80 ms", "140 ms", "990 ms", "1.2 s", "0 ms"]);
  expect([viewersWords(1), viewersWords(2)]).toEqual(["1 viewer", "2 viewers"]);
});

it("names pictures by their size, and says why a smaller one is shown", () => {
  expect([pictureWords({ width: 640, height: 360 }), pictureWords({ width: 0, height: 0 })]).toEqual([
    "640 × 360",
    "Unknown size",
  ]);
  expect(automaticWords({ width: 640, height: 360 }, false)).toBe("Now 640 × 360");
  expect(automaticWords({ width: 640, height: 360 }, true)).toContain("connection is slow");
});

it("covers the last picture without a network, but says that it goes on", () => {
  expect(wordsFor({ kind: "offline" }, true)).toMatchObject({ shape: "pill", action: "none", busy: false });
  expect(wordsFor({ kind: "offline" }, false).detail).toContain("goes on by itself");
});

it("gives keys their actions, unless what has the focus needs them", () => {
  const press = (key: string, focus: Focus = "none", ctrlKey = false) =>
    actionOf({ key, ctrlKey, metaKey: false, altKey: false }, focus);
  expect([" ", "k", "M", "f", "i", "q", "ArrowUp", "ArrowDown", "x"].map((key) => press(key))).toEqual([
    "toggle_play",
    "toggle_play",
    "toggle_mute",
    "fullscreen",
    "picture_in_picture",
    "quality",
    "louder",
    "quieter",
    null,
  ]);
  expect(press(" ", "button")).toBeNull();
  expect(press("ArrowUp", "slider")).toBeNull();
  expect(press("k", "text")).toBeNull();
  expect(press("f", "none", true)).toBeNull();
});

it("tells engines apart by what they call themselves", () => {
  const chromium =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36";
  const webkit =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15";
  const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
  expect([chromium, webkit, firefox].map(engineOf)).toEqual(["chromium", "webkit", "other"]);
});

it("measures rates over the last two seconds, also before they are full", () => {
  const meter = new RateMeter();
  for (let ms = 0; ms < 1000; ms += 100) meter.add(ms, 10);
  expect(meter.perSecond(1000)).toBeCloseTo(100);
  expect(meter.perSecond(5000)).toBe(0);
});

it("takes the middle of the latest delays, so that one late frame is no news", () => {
  const meter = new LatencyMeter();
  expect(meter.middle).toBeNull();
  for (const delay of [100, 100, 900, 101, 99]) meter.add(delay);
  expect(meter.middle).toBe(100);
});
