// End-to-end encryption over the real servers: who has the whole link sees the picture, nobody else does, and what a relay changes
// is noticed.
import type { Page } from "@playwright/test";
import {
  clockOn,
  coloursOn,
  expect,
  goesOn,
  plays,
  tamperedOn,
  test,
  withoutWebTransport,
} from "../../src/fixtures.ts";
import { ProtocolViewer } from "../../src/protocol_viewer.ts";
import { System } from "../../src/system.ts";
import { TcpProxy } from "../../src/tcp_proxy.ts";

const withoutKey = (link: string) => link.replace(/#.*/, "");
const CHUNK = 2;
const PICTURE = 1;

/** Puts itself between a page and its relays; `change` gives the messages that the page gets instead of one picture chunk. */
async function between(page: Page, change: (chunk: Buffer, count: number) => Buffer[]): Promise<void> {
  await withoutWebTransport(page);
  await page.routeWebSocket(/\/ws$/, (socket) => {
    const relay = socket.connectToServer();
    let count = 0;
    relay.onMessage((message) => {
      const chunk = typeof message !== "string" && message[0] === CHUNK && message.readUInt16BE(2) === PICTURE;
      if (!chunk) return socket.send(message);
      count += 1;
      for (const each of change(message, count)) socket.send(each);
    });
  });
}

test("an encrypted stream goes from page to relay to page, and the relay sees nothing of it", async ({
  goLive,
  newPage,
}) => {
  const { page, link } = await goLive("Sealed", { encrypted: true });
  await expect(page.getByTestId("sealed-badge")).toBeVisible();
  expect(link).toMatch(/\/view\/[0-9a-f]{32}#k=[\w-]{43}$/);
  const viewer = await newPage();
  await viewer.goto(link);
  await plays(viewer);
  const reading = await clockOn(viewer, 60);
  expect(reading.latenciesMs.length).toBe(60);
  expect(reading.unreadable).toBeLessThan(reading.latenciesMs.length / 10);
  expect(await tamperedOn(viewer)).toBe(0);

  const relay = await ProtocolViewer.watch(withoutKey(link));
  await relay.until((seen) => seen.chunks(PICTURE).length > 60 && seen.media.some(({ kind }) => kind === "init"));
  relay.close();
  for (const { sealed, payload } of relay.media) {
    expect(sealed).toBe(true);
    for (const box of ["ftyp", "moov", "moof", "mdat", "avcC"]) expect(payload.includes(box)).toBe(false);
  }
});

test("a viewer without the key, or with another one, reads what is missing, and sees the picture once it is there", async ({
  system,
  newPage,
}) => {
  const { link } = await system.broadcast(["--source", "test", "--title", "Sealed", "--encrypt"]);
  const viewer = await newPage();
  await viewer.goto(withoutKey(link));
  await expect(viewer.locator("live-player")).toContainText("end-to-end encrypted");
  await expect(viewer.locator("live-player")).toContainText("what stands after #");
  const other = `#k=${"A".repeat(43)}`;
  await viewer.evaluate((hash) => location.assign(hash), other);
  await expect(viewer.locator("live-player")).toContainText("does not open the stream");
  await viewer.evaluate((hash) => location.assign(hash), new URL(link).hash);
  await plays(viewer);
  await expect(viewer.getByTestId("sealed")).toBeVisible();
});

test("what `broadcast --encrypt` sends plays in a page, also for one that joins late", async ({ system, newPage }) => {
  const { link } = await system.broadcast(["--source", "test", "--title", "Sealed", "--encrypt"]);
  const relay = await ProtocolViewer.watch(withoutKey(link));
  await relay.until((seen) => seen.chunks(PICTURE).length > 200, 30_000);
  relay.close();
  const viewer = await newPage();
  await viewer.goto(link);
  await plays(viewer);
  await goesOn(viewer);
  expect(await coloursOn(viewer)).toBeGreaterThan(10);
  expect(await tamperedOn(viewer)).toBe(0);
});

test("a slow viewer of an encrypted stream skips to the live edge, and nothing looks tampered with", async ({
  newPage,
}) => {
  const system = await System.start({ relays: 1 });
  const relay = system.relays[0];
  if (!relay) throw new Error("no relay");
  const proxy = await TcpProxy.before(relay.port);
  try {
    const flags = ["--source", "test", "--title", "Slow", "--bitrate", "6000", "--encrypt"];
    const { link } = await system.broadcast(flags);
    const viewer = await newPage();
    await withoutWebTransport(viewer);
    await viewer.route("**/watch", async (route) => {
      const answer = await route.fetch();
      const body = (await answer.text()).replaceAll(`:${relay.port}/ws`, `:${proxy.port}/ws`);
      await route.fulfill({ response: answer, body });
    });
    await viewer.goto(link);
    await plays(viewer);
    const skipped = async () =>
      await viewer.evaluate(() => document.querySelector("live-player")?.stats.chunksSkipped ?? 0);
    const fast = await ProtocolViewer.watch(withoutKey(link));
    proxy.throttle(150_000);
    // Long enough to fill the sockets on the way, so that the relay holds this viewer back.
    await fast.until((seen) => seen.chunks(PICTURE).length > 1000, 90_000);
    proxy.throttle(Number.POSITIVE_INFINITY);
    await expect.poll(skipped, { timeout: 60_000 }).toBeGreaterThan(0);
    fast.close();
    await plays(viewer);
    await goesOn(viewer, 60);
    expect(await tamperedOn(viewer)).toBe(0);
  } finally {
    await system.stop();
    await proxy.close();
  }
});

const attacks: Record<string, (chunk: Buffer, count: number, known: Buffer[]) => Buffer[]> = {
  "changes a bit": (chunk, count) => {
    if (count % 40 === 35) chunk[chunk.length - 1] = (chunk.at(-1) ?? 0) ^ 1;
    return [chunk];
  },
  "withholds a chunk": (chunk, count) => (count % 40 === 35 ? [] : [chunk]),
  "sends an older chunk again": (chunk, count, known) => {
    const older = known[count - 20];
    return count % 40 === 35 && older ? [older, chunk] : [chunk];
  },
  "renumbers an older chunk as the next": (chunk, count, known) => {
    const older = known[count - 20];
    if (count % 40 !== 35 || !older) return [chunk];
    return [Buffer.concat([chunk.subarray(0, 20), older.subarray(20)])];
  },
  "slips in one that is not encrypted": (chunk, count) => {
    if (count % 40 !== 35) return [chunk];
    const plain = Buffer.from(chunk);
    plain[1] = (plain[1] ?? 0) & ~2;
    return [plain, chunk];
  },
};

for (const [what, change] of Object.entries(attacks)) {
  test(`a relay that ${what} is noticed, and the picture goes on`, async ({ system, newPage }) => {
    const { link } = await system.broadcast(["--source", "test", "--title", "Sealed", "--encrypt"]);
    const viewer = await newPage();
    const known: Buffer[] = [];
    await between(viewer, (chunk, count) => {
      known[count] = Buffer.from(chunk);
      return change(chunk, count, known);
    });
    await viewer.goto(link);
    await plays(viewer);
    await expect.poll(() => tamperedOn(viewer)).toBeGreaterThan(0);
    await goesOn(viewer, 60);
    expect(await coloursOn(viewer)).toBeGreaterThan(10);
  });
}

test("a relay that sends an encrypted stream as if it were none shows nothing", async ({ system, newPage }) => {
  const { link } = await system.broadcast(["--source", "test", "--title", "Not sealed"]);
  const viewer = await newPage();
  await viewer.goto(`${link}#k=${"A".repeat(43)}`);
  await expect(viewer.locator("live-player")).toContainText("is not encrypted");
  expect(await coloursOn(viewer)).toBeLessThan(3);
});
