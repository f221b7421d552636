// A broadcaster's uplink becomes slow, and good again: the page sends less, says so, and gets everything back by itself.
import type { Page } from "@playwright/test";
import { relaysBehindProxies } from "../../src/behind_proxies.ts";
import { clockOn, expect, plays, test } from "../../src/fixtures.ts";
import { ProtocolViewer } from "../../src/protocol_viewer.ts";
import { percentile } from "../../src/wall_clock.ts";

test.setTimeout(240_000);

/** About half of what the picture takes. */
const SLOW_BYTES_PER_SECOND = 60_000;
/** Enough for the small picture and the sound, not for the full picture at its least beside them. */
const TOO_SLOW_BYTES_PER_SECOND = 45_000;
const FULL = 1;
const SMALL = 3;
/** How late the picture may be on a slow line, once the page has adapted to it. */
const LATENCY_MS_MAX = 3500;

const proxies = relaysBehindProxies(1);

/** What the picture may take at present, in kbit/s. */
async function rateOf(page: Page): Promise<number> {
  const words = await page.getByTestId("picture-rate").innerText();
  const [, number = "", unit] = /([\d.]+) ([kM])bit/.exec(words) ?? [];
  return Number(number) * (unit === "M" ? 1000 : 1);
}

/** Bounds what the page's connections carry to relays. */
function uplinkOf(bytesPerSecond: number): void {
  for (const proxy of proxies) proxy.throttleUp(bytesPerSecond);
}

test("a slow uplink gets a picture that fits through it, in words, and more when it is good again", async ({
  goLive,
  newPage,
}) => {
  const { page, link } = await goLive("Slow uplink");
  const viewer = await newPage();
  await viewer.goto(link);
  await plays(viewer);
  expect(await rateOf(page)).toBeGreaterThan(1000);

  uplinkOf(SLOW_BYTES_PER_SECOND);
  await expect(page.getByTestId("sentence")).toContainText("Your connection is", { timeout: 20_000 });
  await expect(page.getByTestId("announced")).toContainText("Your connection is");
  await expect.poll(async () => await rateOf(page), { timeout: 30_000 }).toBeLessThan(500);
  await page.waitForTimeout(5000);
  const slow = await clockOn(viewer, 20);
  expect(percentile(slow.latenciesMs, 0.5)).toBeLessThan(LATENCY_MS_MAX);
  await expect(page.getByTestId("state")).toHaveAttribute("data-state", "live");

  const lowest = await rateOf(page);
  uplinkOf(Number.POSITIVE_INFINITY);
  await expect.poll(async () => await rateOf(page), { timeout: 60_000 }).toBeGreaterThan(lowest * 1.5);
});

test("the small picture gets through an uplink that is too slow for the full one", async ({ goLive }) => {
  const { page, link } = await goLive("Small picture first", { smallPicture: true });
  const [full, small] = [await ProtocolViewer.watch(link), await ProtocolViewer.watch(link)];
  await small.until(({ messages }) => messages.some(({ type }) => type === "watching"));
  small.say({ type: "select_track", track: SMALL });
  await small.until((viewer) => viewer.chunks(SMALL).length > 30, 30_000);
  uplinkOf(TOO_SLOW_BYTES_PER_SECOND);
  await expect.poll(async () => await rateOf(page), { timeout: 40_000 }).toBe(200);
  const before = [full.chunks(FULL).length, small.chunks(SMALL).length] as const;
  await page.waitForTimeout(12_000);
  const [ofFull, ofSmall] = [full.chunks(FULL).length - before[0], small.chunks(SMALL).length - before[1]];
  expect(ofSmall).toBeGreaterThan(40);
  expect(ofSmall).toBeGreaterThan(ofFull);
  await expect(page.getByTestId("state")).toHaveAttribute("data-state", "live");
  full.close();
  small.close();
});
