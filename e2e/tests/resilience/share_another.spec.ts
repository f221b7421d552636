// What a broadcaster shares is closed in the middle of a stream: viewers see a card, and then whatever is shared next, in the same page.
import { clockOn, expect, goesOn, plays, test } from "../../src/fixtures.ts";
import { listen } from "../../src/standstill.ts";
import { percentile } from "../../src/wall_clock.ts";

test.setTimeout(240_000);

test("a shared tab is closed and another one is shared, in the same stream", async ({ goLive, newPage }) => {
  const { page, link } = await goLive("Tab closed");
  const viewer = await newPage();
  await viewer.goto(link);
  await plays(viewer);
  await goesOn(viewer);
  const states = await listen(viewer);

  const [shared] = page.context().pages();
  if (!shared) throw new Error("nothing is shared");
  const clock = shared.url();
  await shared.close();
  await expect(page.getByTestId("state")).toContainText("Nothing is shared");
  await expect(page.getByTestId("ends-in")).toContainText(/ends by itself in [45]:\d\d/);
  // The stream goes on with a card, in which there is no clock.
  await expect(async () => {
    const pixel = await viewer.evaluate(() => {
      const video = document.querySelector("live-player")?.video;
      const context = new OffscreenCanvas(1, 1).getContext("2d");
      if (!video || !context) return [];
      context.drawImage(video, 0, 0, 8, 8, 0, 0, 1, 1);
      return [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)];
    });
    expect(Math.max(...pixel)).toBeLessThan(60);
  }).toPass({ timeout: 20_000 });

  const next = await page.context().newPage();
  await next.goto(clock);
  await page.bringToFront();
  await page.getByTestId("share-another").click();
  await expect(page.getByTestId("ends-in")).toHaveCount(0);
  await expect(page.getByTestId("state")).toHaveAttribute("data-state", "live");
  const reading = await clockOn(viewer, 30);
  expect(percentile(reading.latenciesMs, 0.5)).toBeLessThan(3000);
  // The same link, page and player all along.
  expect(await page.getByTestId("watch-link").inputValue()).toBe(link);
  for (const state of ["failed", "ended"]) expect(await states()).not.toContain(state);
});

test("a stream that shows nothing can be stopped as ever", async ({ goLive }) => {
  const { page } = await goLive("Tab closed, and that is all");
  await page.context().pages()[0]?.close();
  await expect(page.getByTestId("state")).toContainText("Nothing is shared");
  await page.getByTestId("stop").click();
  await expect(page.getByTestId("over")).toBeVisible();
});
