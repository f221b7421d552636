import { expect, it } from "vitest";
import { Announcer } from "./announcement";

const slow = (rate: string) => `Your connection is slow: the picture is sent at ${rate}.`;

it("tells new words at once", () => {
  const announcer = new Announcer();
  expect(announcer.tell("People see your screen.", 0)).toBe("People see your screen.");
  expect(announcer.tell(slow("0.8 Mbit/s"), 10)).toBe(slow("0.8 Mbit/s"));
  expect(announcer.tell("People see your screen.", 20)).toBe("People see your screen.");
});

it("tells other numbers in the same words twice a minute at most", () => {
  const announcer = new Announcer();
  announcer.tell(slow("900 kbit/s"), 0);
  expect(announcer.tell(slow("1.1 Mbit/s"), 1000)).toBe(slow("900 kbit/s"));
  expect(announcer.tell(slow("1.2 Mbit/s"), 29_999)).toBe(slow("900 kbit/s"));
  expect(announcer.tell(slow("1.3 Mbit/s"), 30_000)).toBe(slow("1.3 Mbit/s"));
  expect(announcer.tell(slow("1.4 Mbit/s"), 31_000)).toBe(slow("1.3 Mbit/s"));
});
