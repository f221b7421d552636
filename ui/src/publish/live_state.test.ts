import { expect, it } from "vitest";
import { LiveWatch } from "./live_state";

function live(): LiveWatch {
  const watch = new LiveWatch();
  watch.connecting();
  watch.registered(0);
  watch.received(1, 100);
  return watch;
}

it("is live only when chunks have arrived at the relay", () => {
  const watch = new LiveWatch();
  expect(watch.state).toBe("starting");
  watch.connecting();
  watch.registered(0);
  watch.heard(10);
  expect(watch.state).toBe("connecting");
  watch.received(0, 20);
  expect(watch.state).toBe("connecting");
  watch.received(1, 30);
  expect(watch.state).toBe("live");
});

it("is not live any more when the count stands still for two seconds", () => {
  const watch = live();
  watch.received(1, 1500);
  watch.tick(2100);
  expect(watch.state).toBe("live");
  watch.tick(2101);
  expect(watch.state).toBe("stalled");
  watch.received(2, 2200);
  expect(watch.state).toBe("live");
});

it("gives a connection up when the relay says nothing at all", () => {
  const watch = live();
  expect(watch.tick(8000)).toBe(false);
  expect(watch.tick(8101)).toBe(true);
});

it("counts anew on every connection", () => {
  const watch = live();
  watch.received(500, 1000);
  watch.disconnected();
  expect(watch.state).toBe("reconnecting");
  watch.registered(2000);
  expect(watch.state).toBe("reconnecting");
  watch.received(3, 2100);
  expect(watch.state).toBe("live");
});

it("keeps connecting while no relay has ever taken anything", () => {
  const watch = new LiveWatch();
  watch.connecting();
  watch.disconnected();
  expect(watch.state).toBe("connecting");
  expect(watch.tick(100_000)).toBe(false);
});

it("stays ended whatever comes late", () => {
  const watch = live();
  watch.ended();
  watch.received(9, 200);
  watch.disconnected();
  watch.tick(9000);
  expect(watch.state).toBe("ended");
});
