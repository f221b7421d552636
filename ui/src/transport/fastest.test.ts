import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { RelayAddress } from "../protocol/messages";
import { fastest } from "./fastest";
import { KnownWays } from "./known_ways";
import { HEAD_START_MS, type Way } from "./race";
import type { Transport } from "./transport";

const relay = (name: string): RelayAddress => ({
  name,
  url: `ws://${name}/ws`,
  webtransport: { url: `https://${name}/wt`, certificate_hashes: [] },
});

class Runner implements Transport {
  readonly mediaOut = null;
  onopen: Transport["onopen"] = null;
  onmessage: Transport["onmessage"] = null;
  onclose: Transport["onclose"] = null;
  closed = false;
  sent: string[] = [];
  constructor(
    readonly kind: Way,
    signal: AbortSignal,
  ) {
    signal.addEventListener("abort", () => this.close());
  }
  send(text: string) {
    this.sent.push(text);
  }
  close() {
    if (this.closed) return;
    this.closed = true;
    this.onclose?.();
  }
}

/** Opens connections whose ways are played by the test. */
class Page {
  runners: Runner[] = [];
  heard: string[] = [];
  known = new KnownWays();
  life = new AbortController();
  #open = fastest({
    websocket: (_relay, signal) => this.#runner("websocket", signal),
    webtransport: (_relay, signal) => this.#runner("webtransport", signal),
    canWebTransport: ({ webtransport }) => Boolean(webtransport),
    known: this.known,
  });
  opens(to = relay("a")): Transport {
    const transport = this.#open(to, this.life.signal);
    transport.onopen = () => this.heard.push(`open ${transport.kind}`);
    transport.onmessage = (data) => this.heard.push(String(data));
    transport.onclose = () => this.heard.push("closed");
    return transport;
  }
  get kinds(): string[] {
    return this.runners.map(({ kind }) => kind);
  }
  #runner(kind: Way, signal: AbortSignal): Runner {
    const runner = new Runner(kind, signal);
    this.runners.push(runner);
    return runner;
  }
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

it("a relay with WebTransport is reached so, and no WebSocket is opened", async () => {
  const page = new Page();
  const transport = page.opens();
  await pass(HEAD_START_MS - 1);
  page.runners[0]?.onopen?.();
  await pass(1000);
  page.runners[0]?.onmessage?.("hello");
  transport.send("hi");
  expect([page.kinds, page.heard, page.runners[0]?.sent]).toEqual([
    ["webtransport"],
    ["open webtransport", "hello"],
    ["hi"],
  ]);
});

it("a relay without it is reached by WebSocket at once", () => {
  const page = new Page();
  page.opens({ name: "a", url: "ws://a/ws" }).close();
  expect(page.kinds).toEqual(["websocket"]);
});

describe("a network without UDP", () => {
  it("costs one head start, and the next connection none", async () => {
    const page = new Page();
    page.opens();
    await pass(HEAD_START_MS);
    page.runners[1]?.onopen?.();
    expect([page.kinds, page.heard]).toEqual([["webtransport", "websocket"], ["open websocket"]]);
    page.opens(relay("b")).close();
    expect(page.kinds.slice(2)).toEqual(["websocket"]);
    await pass(3000);
    expect(page.runners[0]?.closed).toBe(true);
  });

  it("is tried again after a minute", async () => {
    const page = new Page();
    page.opens();
    await pass(HEAD_START_MS);
    page.runners[1]?.onopen?.();
    await pass(60_000);
    page.opens(relay("b")).close();
    expect(page.kinds[2]).toBe("webtransport");
  });
});

it("a network that is slow to open it is not one without UDP", async () => {
  const page = new Page();
  page.opens();
  await pass(HEAD_START_MS);
  page.runners[1]?.onopen?.();
  await pass(1000);
  page.runners[0]?.onopen?.();
  expect([page.heard, page.runners[0]?.closed, page.runners[1]?.closed]).toEqual([["open websocket"], true, false]);
  page.opens(relay("b")).close();
  expect(page.kinds.slice(2)).toEqual(["webtransport"]);
});

it("a relay that refuses costs no head start, and others are still tried", () => {
  const page = new Page();
  page.opens();
  page.runners[0]?.close();
  page.runners[1]?.onopen?.();
  expect([page.kinds, page.heard]).toEqual([["webtransport", "websocket"], ["open websocket"]]);
  page.opens().close();
  page.opens(relay("b")).close();
  expect(page.kinds.slice(2)).toEqual(["websocket", "webtransport"]);
});

it("a relay that is gone is not remembered", async () => {
  const page = new Page();
  page.opens();
  await pass(HEAD_START_MS);
  for (const runner of page.runners) runner.close();
  expect(page.heard).toEqual(["closed"]);
  page.opens().close();
  expect(page.kinds.slice(2)).toEqual(["webtransport"]);
});

it("the end of the winner is the end, and comes once", async () => {
  const page = new Page();
  page.opens();
  await pass(HEAD_START_MS);
  page.runners[0]?.onopen?.();
  expect(page.runners[1]?.closed).toBe(true);
  page.runners[0]?.close();
  page.runners[0]?.onopen?.();
  expect(page.heard).toEqual(["open webtransport", "closed"]);
});

it("a session that is left because it fell silent is not opened again soon", async () => {
  const page = new Page();
  page.opens();
  page.runners[0]?.onopen?.();
  await pass(1000);
  page.life.abort();
  expect(page.heard).toEqual(["open webtransport", "closed"]);
  page.life = new AbortController();
  page.opens().close();
  page.opens(relay("b")).close();
  expect(page.kinds.slice(1)).toEqual(["websocket", "webtransport"]);
});

it("one that is left after a sleep is good", async () => {
  const page = new Page();
  page.opens();
  page.runners[0]?.onopen?.();
  await pass(3_600_000);
  page.life.abort();
  page.life = new AbortController();
  page.opens().close();
  expect(page.kinds.slice(1)).toEqual(["webtransport"]);
});

it("one that is left while it speaks is good", async () => {
  const page = new Page();
  page.opens();
  page.runners[0]?.onopen?.();
  for (let i = 0; i < 8; i++) {
    await pass(250);
    page.runners[0]?.onmessage?.("here");
  }
  page.life.abort();
  page.life = new AbortController();
  page.opens().close();
  expect(page.kinds.slice(1)).toEqual(["webtransport"]);
});

it("leaving ends both runners", async () => {
  const page = new Page();
  page.opens();
  await pass(HEAD_START_MS);
  page.life.abort();
  expect([page.runners.map(({ closed }) => closed), page.heard]).toEqual([[true, true], ["closed"]]);
});

it("a page that has left before it began opens nothing", async () => {
  const page = new Page();
  page.life.abort();
  page.opens();
  await pass(0);
  expect([page.kinds, page.heard]).toEqual([[], ["closed"]]);
});
