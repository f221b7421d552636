// A stream in two sizes: who is on a slow line gets the small one, by itself or by hand, and nobody else notices.
import type { Page } from "@playwright/test";
import { expect, goesOn, plays, tamperedOn, test } from "../../src/fixtures.ts";
import { carriedBy, listen, longestStall } from "../../src/standstill.ts";
import { System } from "../../src/system.ts";
import { TcpProxy } from "../../src/tcp_proxy.ts";
import { mark, shownOn } from "../../src/watching.ts";

const STREAM = ["--source", "test", "--bitrate", "3000", "--small-picture"];
/** Carries the small picture, but not the large one. */
const SLOW_BYTES_PER_S = 120_000;
/** A large picture that is late is given up within this, and the small one is there. */
const DOWN_TIME_MAX_MS = 20_000;
/** Twenty calm seconds; a machine that is too busy for calm makes it twice that, or four times. */
const UP_TIME_MAX_MS = 100_000;
/** A segment's boundary is no gap, but a busy machine has some of its own: so much longer than without a switch. */
const SWITCH_STALL_MS_MAX = 400;

test.setTimeout(240_000);

/** Waits until the large picture is there, and tells how wide it is. */
async function playsFull(viewer: Page): Promise<number> {
  await plays(viewer);
  await expect.poll(async () => (await shownOn(viewer)).rendition?.pictures.length).toBe(2);
  const full = Math.max(...((await shownOn(viewer)).rendition?.pictures ?? []).map(({ width }) => width));
  await expect.poll(async () => (await shownOn(viewer)).width, { timeout: UP_TIME_MAX_MS }).toBe(full);
  await goesOn(viewer, 60);
  return full;
}

test("a viewer whose line gets slow is sent the small picture, and the large one when there is room again", async ({
  newPage,
}) => {
  let proxy: TcpProxy | undefined;
  const publicPort = async (_name: string, port: number) => {
    proxy = await TcpProxy.before(port);
    return proxy.port;
  };
  const system = await System.start({ relays: 1, publicPort });
  try {
    const { link } = await system.broadcast([...STREAM, "--title", "Two sizes"]);
    const viewer = await newPage();
    await viewer.goto(link);
    const full = await playsFull(viewer);
    const same = await mark(viewer);
    const states = await listen(viewer);

    proxy?.throttle(SLOW_BYTES_PER_S);
    const width = async () => (await shownOn(viewer)).width;
    await expect.poll(width, { timeout: DOWN_TIME_MAX_MS }).toBeLessThan(full);
    await expect(viewer.getByText("Your connection is slow, so")).toBeVisible();
    // It has caught up with the live edge, and stays there.
    await expect.poll(async () => (await shownOn(viewer)).latencyMs, { timeout: 20_000 }).toBeLessThan(1500);
    await goesOn(viewer, 60);

    proxy?.throttle(Number.POSITIVE_INFINITY);
    await expect.poll(width, { timeout: UP_TIME_MAX_MS }).toBe(full);
    await goesOn(viewer, 60);
    expect(await states()).not.toContain("failed");
    expect(await same()).toBe(true);
  } finally {
    await system.stop();
    await proxy?.close();
  }
});

test("a size of an encrypted stream is chosen by hand, comes without a gap, and stays over a relay's death and a visit", async ({
  newPage,
}) => {
  const system = await System.start({ relays: 2 });
  try {
    const { link } = await system.broadcast([...STREAM, "--encrypt", "--title", "By hand"]);
    const viewer = await newPage();
    await viewer.goto(link);
    const full = await playsFull(viewer);
    const width = async () => (await shownOn(viewer)).width;

    const usual = await longestStall(viewer);
    const stall = longestStall(viewer);
    const button = viewer.getByTestId("quality");
    await expect(button).toHaveAttribute("aria-label", "Picture size: Automatic");
    // By keys alone: opens, the smallest is the last.
    await viewer.keyboard.press("q");
    await viewer.keyboard.press("End");
    await viewer.keyboard.press("Enter");
    await expect.poll(width).toBeLessThan(full);
    expect(await stall).toBeLessThan(usual + SWITCH_STALL_MS_MAX);
    const small = await width();
    await expect(button).toHaveAttribute("aria-label", new RegExp(`Picture size: ${small} ×`));

    const origin = await carriedBy(system, link);
    await system.relays.find(({ name }) => name === origin)?.program.end("SIGKILL");
    await expect.poll(async () => await carriedBy(system, link)).not.toBe(origin);
    await goesOn(viewer, 90);
    await plays(viewer);
    await expect.poll(width).toBe(small);
    // The opener counts whatever is missing, comes twice or comes in another order.
    expect(await tamperedOn(viewer)).toBe(0);

    await viewer.reload();
    await plays(viewer);
    await expect.poll(width).toBe(small);
    await viewer.getByTestId("quality").click();
    await viewer.getByRole("menuitemradio", { name: /Automatic/ }).click();
    await expect.poll(width, { timeout: UP_TIME_MAX_MS }).toBe(full);
  } finally {
    await system.stop();
  }
});

test("there is no menu where there is nothing to choose", async ({ system, newPage }) => {
  const { link } = await system.broadcast(["--source", "test", "--title", "One size"]);
  const viewer = await newPage();
  await viewer.goto(link);
  await plays(viewer);
  await goesOn(viewer);
  await expect(viewer.getByTestId("quality")).toBeHidden();
  expect((await shownOn(viewer)).rendition).toBeNull();
});
