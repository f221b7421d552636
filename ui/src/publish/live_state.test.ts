import { expect, it } from "vitest";
import { CALM_MS, LiveWatch } from "./live_state";

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

it("says nothing of a connection that is back within half a second", () => {
  const watch = live();
  watch.disconnected(1000);
  watch.tick(1000 + CALM_MS - 1);
  expect(watch.state).toBe("live");
  watch.registered(1499);
  watch.tick(1600);
  expect(watch.state).toBe("live");
  watch.tick(3600);
  expect(watch.state).toBe("stalled");
});

it("counts anew on every connection", () => {
  const watch = live();
  watch.received(500, 1000);
  watch.disconnected(1000);
  watch.disconnected(1400);
  watch.tick(1500);
  expect(watch.state).toBe("reconnecting");
  watch.registered(2000);
  expect(watch.state).toBe("reconnecting");
  watch.received(3, 2100);
  expect(watch.state).toBe("live");
});

it("keeps connecting while no relay has ever taken anything", () => {
  const watch = new LiveWatch();
  watch.connecting();
  watch.disconnected(0);
  watch.tick(100_000);
  expect(watch.state).toBe("connecting");
});

it("stays ended whatever comes late", () => {
  const watch = live();
  watch.ended();
  watch.received(9, 200);
  watch.disconnected(200);
  watch.tick(9000);
  expect(watch.state).toBe("ended");
});
