// The main job in browsers: a page broadcasts a tab, others watch it, and what they see is read back from their pixels.
import { clockOn, expect, plays, test } from "../../src/fixtures.ts";
import { percentile } from "../../src/wall_clock.ts";

test("a page goes live and another page shows the same picture", async ({ goLive, newPage }) => {
  const { link } = await goLive("Page to page");
  const viewer = await newPage();
  await viewer.goto(link);
  await plays(viewer);
  const reading = await clockOn(viewer, 60);
  // Moving, and nearly every frame carries a clock that its inverse confirms.
  expect(reading.latenciesMs.length).toBe(60);
  expect(reading.unreadable).toBeLessThan(reading.latenciesMs.length / 5);
  // Sane, not fast: machines that test are busy. Speed is measured by `make bench`.
  expect(percentile(reading.latenciesMs, 0.5)).toBeGreaterThan(0);
  expect(percentile(reading.latenciesMs, 0.5)).toBeLessThan(3_000);
});

test("a viewer who joins 30 s late plays at the live edge", async ({ goLive, newPage }) => {
  const { link } = await goLive("Late joiner");
  const early = await newPage();
  await early.goto(link);
  await plays(early);
  await early.waitForTimeout(30_000);
  const late = await newPage();
  await late.goto(link);
  await plays(late);
  const reading = await clockOn(late, 30);
  expect(reading.latenciesMs.length).toBe(30);
  expect(percentile(reading.latenciesMs, 0.5)).toBeLessThan(3_000);
});

test("the list shows a live stream by itself and lets it go when it ends", async ({ goLive, newPage, system }) => {
  const list = await newPage();
  await list.goto(`${system.url}/view`);
  await expect(list.getByTestId("stream-card")).toHaveCount(0);
  const { page } = await goLive("Comes and goes");
  await expect(list.getByTestId("stream-card").filter({ hasText: "Comes and goes" })).toHaveCount(1);
  await page.getByTestId("stop").click();
  await expect(list.getByTestId("stream-card")).toHaveCount(0);
});

test("a broadcaster whose page is closed leaves the list, and its viewers are told", async ({
  goLive,
  newPage,
  system,
}) => {
  const { page, link } = await goLive("Closed page");
  const viewer = await newPage();
  await viewer.goto(link);
  await plays(viewer);
  const list = await newPage();
  await list.goto(`${system.url}/view`);
  await expect(list.getByTestId("stream-card")).toHaveCount(1);
  await page.close({ runBeforeUnload: false });
  await viewer.locator('live-player[data-state="ended"]').waitFor({ timeout: 40_000 });
  await expect(list.getByTestId("stream-card")).toHaveCount(0, { timeout: 40_000 });
});
