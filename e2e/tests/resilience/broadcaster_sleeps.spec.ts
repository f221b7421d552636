// A broadcaster's computer sleeps and wakes, and its network goes and comes back: the page says so and goes on with the same stream.
import type { Browser } from "@playwright/test";
import { relaysBehindProxies } from "../../src/behind_proxies.ts";
import { expect, goesOn, plays, test } from "../../src/fixtures.ts";

test.setTimeout(240_000);

/** Shorter than a relay waits for a broadcaster that is silent. */
const SLEEP_MS = 5000;

/** Holds all processes of a browser still, as sleep does. */
async function sleep(browser: Browser, ms: number): Promise<void> {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  const pids = processInfo.map(({ id }) => id);
  try {
    for (const pid of pids) process.kill(pid, "SIGSTOP");
    await new Promise((resolve) => setTimeout(resolve, ms));
  } finally {
    for (const pid of pids) process.kill(pid, "SIGCONT");
  }
}

test("a broadcaster's computer sleeps for some seconds, and the stream goes on", async ({ goLive, newPage }) => {
  const { page, link } = await goLive("Sleeps");
  const viewer = await newPage();
  await viewer.goto(link);
  await plays(viewer);
  const browser = page.context().browser();
  if (!browser) throw new Error("no browser");
  await sleep(browser, SLEEP_MS);
  await expect(page.getByTestId("announced")).toContainText("This computer was asleep");
  await expect(page.getByTestId("state")).toHaveAttribute("data-state", "live");
  await plays(viewer);
  await goesOn(viewer);
  expect(await page.getByTestId("watch-link").inputValue()).toBe(link);
});

test.describe("without a network", () => {
  const proxies = relaysBehindProxies(1);

  test("a broadcaster is told that it is offline, and is back soon after its network is", async ({ goLive }) => {
    const { page } = await goLive("Offline");
    await page.context().setOffline(true);
    for (const proxy of proxies) {
      proxy.refuse(true);
      proxy.cut();
    }
    await expect(page.getByTestId("sentence")).toContainText("This computer is offline");
    await expect(page.getByTestId("announced")).toContainText("This computer is offline");
    await page.waitForTimeout(2000);
    for (const proxy of proxies) proxy.refuse(false);
    await page.context().setOffline(false);
    await expect(page.getByTestId("state")).toHaveAttribute("data-state", "live");
    await expect(page.getByTestId("announced")).not.toContainText("offline");
  });
});
