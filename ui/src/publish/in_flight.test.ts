import { expect, it } from "vitest";
import { InFlight } from "./in_flight";

const TRACK = 1;

it("is behind by the age of the oldest chunk that is not confirmed", () => {
  const flight = new InFlight();
  expect(flight.delayMs(100)).toBe(0);
  for (const at of [100, 133, 166]) flight.sent(at, TRACK);
  expect(flight.delayMs(200)).toBe(100);
  flight.confirmed(2);
  expect(flight.delayMs(200)).toBe(34);
  flight.confirmed(3);
  expect(flight.delayMs(900)).toBe(0);
});

it("takes a count that says nothing new, or more than was sent, as it is", () => {
  const flight = new InFlight();
  flight.sent(0, TRACK);
  flight.confirmed(5);
  flight.confirmed(5);
  flight.sent(10, TRACK);
  expect(flight.delayMs(20)).toBe(10);
});

it("waits no longer for what was given up", () => {
  const flight = new InFlight();
  for (const at of [0, 30, 60]) flight.sent(at, TRACK);
  flight.sent(90, 2);
  flight.confirmed(1);
  flight.forget(TRACK);
  expect(flight.delayMs(100)).toBe(10);
  flight.sent(100, TRACK);
  flight.forget();
  expect(flight.ageMs(100)).toBeNull();
});
