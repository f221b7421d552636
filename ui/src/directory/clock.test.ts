import { expect, it } from "vitest";
import { clockOffset, DirectoryClock } from "./clock";

it("believes the sample with the shortest round trip", () => {
  const samples = [
    { sentMs: 0, receivedMs: 400, serverMs: 5390 },
    { sentMs: 1000, receivedMs: 1010, serverMs: 6005 },
    { sentMs: 2000, receivedMs: 2100, serverMs: 7090 },
  ];
  expect(clockOffset(samples)).toBe(5000);
  expect(clockOffset([])).toBeUndefined();
});

it("goes by this machine's clock until the directory has answered", async () => {
  const away = new DirectoryClock(() => Promise.reject(new Error("away")));
  await away.start();
  expect(away.known).toBe(false);
  expect(Math.abs(away.now() - Date.now())).toBeLessThan(1000);
});

it("tells the directory's time when that differs", async () => {
  const clock = new DirectoryClock(async () => Date.now() + 3_600_000);
  await clock.start();
  expect(clock.known).toBe(true);
  expect(Math.abs(clock.now() - Date.now() - 3_600_000)).toBeLessThan(1000);
});
