import { expect, it } from "vitest";
import { InFlight } from "./in_flight";

it("is behind by the age of the oldest chunk that is not confirmed", () => {
  const flight = new InFlight();
  expect(flight.delayMs(100)).toBe(0);
  for (const at of [100, 133, 166]) flight.sent(at);
  expect(flight.delayMs(200)).toBe(100);
  flight.confirmed(2);
  expect(flight.delayMs(200)).toBe(34);
  flight.confirmed(3);
  expect(flight.delayMs(900)).toBe(0);
});

it("takes a count that says nothing new, or more than was sent, as it is", () => {
  const flight = new InFlight();
  flight.sent(0);
  flight.confirmed(5);
  flight.confirmed(5);
  flight.sent(10);
  expect(flight.delayMs(20)).toBe(10);
});

it("forgets the old connection", () => {
  const flight = new InFlight();
  flight.sent(0);
  flight.confirmed(1);
  flight.sent(10);
  flight.reset();
  flight.sent(500);
  expect(flight.delayMs(600)).toBe(100);
  flight.confirmed(1);
  expect(flight.delayMs(600)).toBe(0);
});
