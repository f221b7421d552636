// Media over UDP: pages use WebTransport where it can be had, fall back by themselves where it can't, and go on when it breaks.
import type { Page } from "@playwright/test";
import { clockOn, expect, goesOn, plays, tamperedOn, test, withoutWebTransport } from "../../src/fixtures.ts";
import { carriedBy, listen, longestStall } from "../../src/standstill.ts";
import { type Relay, System } from "../../src/system.ts";
import { UdpProxy } from "../../src/udp_proxy.ts";
import { mark, shownOn } from "../../src/watching.ts";

/** How long a picture may stand still while its connection is replaced. */
const STALL_MS_MAX = 3000;
/** Carries a fifth of what a page sends on a good line. */
const SLOW_BYTES_PER_S = 60_000;
/** On a slow line, on a busy machine. */
const LATENCY_MS_MAX = 3000;

/** What a page's media travel by. */
async function transportOf(page: Page): Promise<string | null> {
  return await page.evaluate(() => document.querySelector("live-player")?.stats.transport ?? null);
}

/** How many sessions a relay has. */
async function sessionsAt({ internalPort }: Relay): Promise<number> {
  const metrics = await (await fetch(`http://127.0.0.1:${internalPort}/metrics`)).text();
  return Number(/^relay_webtransport_sessions (\d+)$/m.exec(metrics)?.[1] ?? Number.NaN);
}

function relayOf(system: System, name: string | undefined): Relay {
  const relay = system.relays.find((each) => each.name === name);
  if (!relay) throw new Error("no relay has the stream");
  return relay;
}

/** One relay whose UDP goes through a proxy. */
async function proxied(): Promise<{ system: System; proxy: UdpProxy; relay: Relay }> {
  const proxies: UdpProxy[] = [];
  const publicUdpPort = async (_name: string, port: number) => {
    const proxy = await UdpProxy.before(port);
    proxies.push(proxy);
    return proxy.port;
  };
  const system = await System.start({ relays: 1, publicUdpPort });
  return { system, proxy: proxies[0] as UdpProxy, relay: system.relays[0] as Relay };
}

for (const encrypted of [false, true]) {
  test(`${encrypted ? "an encrypted" : "a"} stream goes from page to page over WebTransport`, async ({
    system,
    goLive,
    newPage,
  }) => {
    const { page, link } = await goLive("By UDP", { encrypted });
    const viewer = await newPage();
    await viewer.goto(link);
    await plays(viewer);
    const reading = await clockOn(viewer, 60);
    expect(reading.unreadable).toBeLessThan(reading.latenciesMs.length / 5);
    await expect.poll(() => transportOf(viewer)).toBe("webtransport");
    await expect(page.getByTestId("transport")).toHaveText("WebTransport");
    const relay = relayOf(system, await carriedBy(system, link));
    // The broadcaster, and this viewer; the broadcaster's preview may be another.
    expect(await sessionsAt(relay)).toBeGreaterThanOrEqual(2);
    if (encrypted) expect(await tamperedOn(viewer)).toBe(0);
    await page.getByTestId("stop").click();
    await page.getByTestId("confirm-stop").click();
    await viewer.locator('live-player[data-state="ended"]').waitFor();
  });
}

test("a viewer changes pictures over WebTransport without a break", async ({ goLive, newPage }) => {
  const { link } = await goLive("Two sizes", { smallPicture: true });
  const viewer = await newPage();
  await viewer.goto(link);
  await plays(viewer);
  await expect.poll(() => transportOf(viewer)).toBe("webtransport");
  const width = async () => await viewer.evaluate(() => document.querySelector("live-player")?.video.videoWidth ?? 0);
  const full = await width();
  const states = await listen(viewer);
  await viewer.getByTestId("quality").click();
  await viewer.getByRole("menuitemradio").last().click();
  await expect.poll(width).toBeLessThan(full);
  await goesOn(viewer, 30);
  expect(await states()).not.toContain("reconnecting");
  await expect.poll(() => transportOf(viewer)).toBe("webtransport");
});

test("packets that are lost and late cost no picture", async ({ newPage }) => {
  const { system, proxy } = await proxied();
  try {
    const { link } = await system.broadcast(["--source", "test", "--title", "Lossy", "--bitrate", "600"]);
    const viewer = await newPage();
    await viewer.goto(link);
    await plays(viewer);
    await expect.poll(() => transportOf(viewer)).toBe("webtransport");
    proxy.set({ delayMs: 20, loss: 0.02 });
    const states = await listen(viewer);
    await goesOn(viewer, 300);
    await expect.poll(() => transportOf(viewer)).toBe("webtransport");
    expect(await states()).not.toContain("reconnecting");
  } finally {
    await system.stop();
    proxy.close();
  }
});

test("a network that swallows UDP costs one head start, and the page remembers", async ({ newPage }) => {
  const { system, proxy, relay } = await proxied();
  try {
    proxy.set({ blackHole: true });
    // The only one who tries UDP is the page.
    const { link } = await system.broadcast(["--source", "test", "--title", "No UDP", "--transport", "websocket"]);
    const viewer = await newPage();
    const sockets: string[] = [];
    viewer.on("websocket", (socket) => sockets.push(socket.url()));
    await viewer.goto(link);
    await plays(viewer);
    await goesOn(viewer, 30);
    await expect.poll(() => transportOf(viewer)).toBe("websocket");
    expect([proxy.clients, sockets.length]).toEqual([1, 1]);
    // Another connection of the same page: to the same stream, begun anew.
    await viewer.evaluate(() => {
      history.pushState(null, "", "/view");
      dispatchEvent(new PopStateEvent("popstate"));
    });
    await viewer.getByTestId("stream-card").first().click();
    await plays(viewer);
    await expect.poll(() => transportOf(viewer)).toBe("websocket");
    expect(proxy.clients).toBe(1);
    expect(await sessionsAt(relay)).toBe(0);
  } finally {
    await system.stop();
    proxy.close();
  }
});

test("a session that breaks off goes on over WebSocket, and the picture hardly stands still", async ({ newPage }) => {
  const { system, proxy } = await proxied();
  try {
    const { link } = await system.broadcast(["--source", "test", "--title", "Breaks"]);
    const viewer = await newPage();
    await viewer.goto(link);
    await plays(viewer);
    await goesOn(viewer, 60);
    await expect.poll(() => transportOf(viewer)).toBe("webtransport");
    const same = await mark(viewer);
    const states = await listen(viewer);
    const stall = longestStall(viewer);
    proxy.set({ blackHole: true });
    expect(await stall).toBeLessThan(STALL_MS_MAX);
    await expect.poll(() => transportOf(viewer)).toBe("websocket");
    expect(await states()).not.toContain("failed");
    expect(await same()).toBe(true);
  } finally {
    await system.stop();
    proxy.close();
  }
});

test("a broadcaster whose UDP is swallowed goes on over WebSocket", async ({ livePage, newPage }) => {
  const { system, proxy } = await proxied();
  try {
    const page = await livePage(system);
    await page.getByTestId("title").fill("Goes on");
    await page.getByTestId("go-live").click();
    await page.locator('[data-testid="state"][data-state="live"]').waitFor({ timeout: 30_000 });
    await expect(page.getByTestId("transport")).toHaveText("WebTransport");
    const viewer = await newPage();
    await viewer.goto(await page.getByTestId("watch-link").inputValue());
    await plays(viewer);
    proxy.set({ blackHole: true });
    await expect(page.getByTestId("transport")).toHaveText("WebSocket");
    await page.locator('[data-testid="state"][data-state="live"]').waitFor();
    await plays(viewer);
    await goesOn(viewer, 60);
    await expect.poll(() => transportOf(viewer)).toBe("websocket");
  } finally {
    await system.stop();
    proxy.close();
  }
});

test("a broadcaster whose line is too slow gives up what is late, and goes on", async ({ livePage, newPage }) => {
  const { system, proxy } = await proxied();
  try {
    const page = await livePage(system);
    await page.getByTestId("title").fill("Slow");
    await page.getByTestId("go-live").click();
    await page.locator('[data-testid="state"][data-state="live"]').waitFor({ timeout: 30_000 });
    await expect(page.getByTestId("transport")).toHaveText("WebTransport");
    const viewer = await newPage();
    // Its acknowledgements are not to wait behind the broadcaster's pictures.
    await withoutWebTransport(viewer);
    await viewer.goto(await page.getByTestId("watch-link").inputValue());
    await plays(viewer);
    proxy.set({ upBytesPerSecond: SLOW_BYTES_PER_S });
    await expect(page.getByTestId("sentence")).toContainText("Your connection is slow", { timeout: 30_000 });
    // The rate comes down to what the line carries, and what was given up meanwhile is not waited for.
    await expect.poll(async () => (await shownOn(viewer)).latencyMs, { timeout: 30_000 }).toBeLessThan(LATENCY_MS_MAX);
    await goesOn(viewer, 150);
    await expect(page.getByTestId("transport")).toHaveText("WebTransport");
  } finally {
    await system.stop();
    proxy.close();
  }
});

test("the picture goes on over WebTransport when the relay is killed", async ({ system, goLive, newPage }) => {
  const { page, link } = await goLive("Killed");
  const viewer = await newPage();
  await viewer.goto(link);
  await plays(viewer);
  await goesOn(viewer, 60);
  await expect.poll(() => transportOf(viewer)).toBe("webtransport");
  const states = await listen(viewer);
  const stall = longestStall(viewer);
  const killed = relayOf(system, await carriedBy(system, link));
  await killed.program.end("SIGKILL");
  expect(await stall).toBeLessThan(STALL_MS_MAX);
  expect(await states()).not.toContain("failed");
  await plays(viewer);
  await goesOn(viewer);
  await expect.poll(() => transportOf(viewer)).toBe("webtransport");
  await expect(page.getByTestId("transport")).toHaveText("WebTransport");
});
