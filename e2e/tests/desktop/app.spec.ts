// The desktop app in its window, on a screen without hardware: it goes live and it watches.
import { SCREEN, serveClock } from "../../src/chromium.ts";
import { DesktopApp } from "../../src/desktop_app.ts";
import { Display } from "../../src/display.ts";
import { test as base, clockOn, expect, plays, tamperedOn } from "../../src/fixtures.ts";
import { below, runs } from "../../src/process_tree.ts";
import { System } from "../../src/system.ts";

interface Fixtures {
  display: Display;
  endings: { atEnd(ending: () => Promise<void> | void): void };
  /** Covers the screen with the page that paints the clock. */
  paintClock: () => Promise<void>;
}

const test = base.extend<Fixtures>({
  // biome-ignore lint/correctness/noEmptyPattern: the test runner reads the fixtures' names from the pattern
  display: async ({}, use) => {
    const display = await Display.start(SCREEN);
    await use(display);
    await display.stop();
  },
  // Asks for the display so that what is started on it ends before it does.
  endings: async ({ display: _display }, use) => {
    const endings: (() => Promise<void> | void)[] = [];
    await use({ atEnd: (ending) => void endings.push(ending) });
    for (const ending of endings.reverse()) await ending();
  },
  paintClock: async ({ display, endings }, use) => {
    await use(async () => {
      const clock = await serveClock();
      endings.atEnd(() => clock.close());
      await display.kiosk(clock.url);
    });
  },
});

test("the app goes live with the X screen and a page watches it", async ({
  system,
  display,
  endings,
  paintClock,
  newPage,
}) => {
  const app = await DesktopApp.start(endings, display, system.url);
  const link = await app.goLive("From the app");
  await paintClock();
  const viewer = await newPage();
  await viewer.goto(link);
  await plays(viewer);
  expect((await clockOn(viewer, 10)).latenciesMs.length).toBe(10);
  await app.stop();
  await viewer.locator('live-player[data-state="ended"]').waitFor();
});

test("the app plays a stream in its window", async ({ system, display, endings }) => {
  await system.broadcast(["--source", "test", "--title", "Into the app"]);
  const app = await DesktopApp.start(endings, display, system.url);
  await app.watchFirst();
  // What the window shows changes, on the screen itself.
  const before = await display.pixels();
  await expect.poll(async () => differing(before, await display.pixels())).toBeGreaterThan(2_000);
});

test("the app goes live with a pass, end-to-end encrypted, and sends a viewer away", async ({
  display,
  endings,
  paintClock,
  newPage,
}) => {
  const system = await System.start({ relays: 1, directoryFlags: ["--broadcast", "passes"] });
  endings.atEnd(() => system.stop());
  const pass = await system.operator("pass", "add", "anna");
  const app = await DesktopApp.start(endings, display, system.url);
  const link = await app.goLive("Sealed by the app", "screen", { pass, encrypted: true });
  await paintClock();
  const viewer = await newPage();
  await viewer.goto(link);
  await plays(viewer);
  expect((await clockOn(viewer, 10)).latenciesMs.length).toBe(10);
  expect(await tamperedOn(viewer)).toBe(0);
  await expect.poll(() => app.audience()).toBe(1);
  await app.removeFirstViewer();
  await expect(viewer.getByTestId("curtain")).toContainText("has removed you");
  await app.stop();
});

test("the app opens the whole link of an encrypted stream in its window", async ({ system, display, endings }) => {
  const { link } = await system.broadcast(["--source", "test", "--title", "Sealed", "--encrypt"]);
  const app = await DesktopApp.start(endings, display, system.url);
  await app.watchLink(link);
  const before = await display.pixels();
  await expect.poll(async () => differing(before, await display.pixels())).toBeGreaterThan(2_000);
  expect(await app.text()).toContain("End-to-end encrypted");
});

test("an app that is killed leaves no ffmpeg behind", async ({ system, display, endings }) => {
  const app = await DesktopApp.start(endings, display, system.url);
  await app.goLive("Killed");
  const [own] = (await below(process.pid)).filter(({ name }) => name === "dead-streaming");
  if (!own) throw new Error("the app's process was not found");
  const children = (await below(own.pid)).filter(({ name }) => name.startsWith("ffmpeg"));
  expect(children.length).toBeGreaterThan(0);
  process.kill(own.pid, "SIGKILL");
  for (const { pid } of children) await expect.poll(async () => await runs(pid)).toBe(false);
});

function differing(a: Buffer, b: Buffer): number {
  let count = 0;
  for (let at = 0; at < Math.min(a.length, b.length); at += 3) {
    if (a[at] !== b[at] || a[at + 1] !== b[at + 1] || a[at + 2] !== b[at + 2]) count += 1;
  }
  return count;
}
