import { expect, it } from "vitest";
import { KnownWays } from "./known_ways";

const MINUTE_MS = 60_000;

it("a silent network is left alone, by every relay, for longer each time", () => {
  const ways = new KnownWays();
  expect(ways.mayTry("a", 0)).toBe(true);
  ways.wasSilent(0);
  expect([ways.mayTry("b", MINUTE_MS - 1), ways.mayTry("b", MINUTE_MS)]).toEqual([false, true]);
  ways.wasSilent(MINUTE_MS);
  expect([ways.mayTry("b", 3 * MINUTE_MS - 1), ways.mayTry("b", 3 * MINUTE_MS)]).toEqual([false, true]);
  for (let i = 0; i < 20; i++) ways.wasSilent(0);
  expect(ways.mayTry("b", 30 * MINUTE_MS)).toBe(true);
});

it("one that has opened counts as good again", () => {
  const ways = new KnownWays();
  ways.wasSilent(0);
  ways.wasSilent(0);
  ways.opened();
  expect(ways.mayTry("a", 1)).toBe(true);
  ways.wasSilent(10 * MINUTE_MS);
  expect(ways.mayTry("a", 11 * MINUTE_MS)).toBe(true);
});

it("a relay that refuses is left alone for a while, and the others are not", () => {
  const ways = new KnownWays();
  ways.refused("a", 0);
  expect([ways.mayTry("a", 5 * MINUTE_MS - 1), ways.mayTry("b", 0)]).toEqual([false, true]);
  expect(ways.mayTry("a", 5 * MINUTE_MS)).toBe(true);
});

it("remembers a bounded number of them, the newest", () => {
  const ways = new KnownWays();
  for (let i = 0; i <= 32; i++) ways.refused(`relay ${i}`, 0);
  expect([ways.mayTry("relay 0", 1), ways.mayTry("relay 1", 1), ways.mayTry("relay 32", 1)]).toEqual([
    true,
    false,
    false,
  ]);
});

it("another network is another chance", () => {
  const ways = new KnownWays();
  ways.wasSilent(0);
  ways.refused("a", 0);
  ways.forget();
  expect(ways.mayTry("a", 1)).toBe(true);
});
