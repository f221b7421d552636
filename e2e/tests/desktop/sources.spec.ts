// What the broadcast command captures on a desktop: an X screen, a screen behind the portal, and sound.
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { SCREEN, serveClock } from "../../src/chromium.ts";
import { Display } from "../../src/display.ts";
import { test as base, clockOn, expect, plays } from "../../src/fixtures.ts";
import { below, runs } from "../../src/process_tree.ts";
import { ProtocolViewer } from "../../src/protocol_viewer.ts";
import { BINARIES } from "../../src/system.ts";

const run = promisify(execFile);

const test = base.extend<{ display: Display }>({
  // biome-ignore lint/correctness/noEmptyPattern: the test runner reads the fixtures' names from the pattern
  display: async ({}, use) => {
    const display = await Display.start(SCREEN);
    const clock = await serveClock();
    await display.kiosk(clock.url);
    await use(display);
    clock.close();
    await display.stop();
  },
});

test("a screen behind the desktop portal is watched in a page", async ({ display, system, newPage }) => {
  await display.startPipewire({ sound: false });
  const portal = display.run("portal-stub", join(BINARIES, "portal-stub"), ["30"]);
  await portal.line(/portal ready/);
  const { program, link } = await system.broadcast(["--source", "portal", "--title", "Portal"], display.env);
  const viewer = await newPage();
  await viewer.goto(link);
  await plays(viewer);
  expect((await clockOn(viewer, 10)).latenciesMs.length).toBe(10);
  const helpers = await below(program.pid);
  expect(helpers.length).toBeGreaterThan(1);
  expect(await program.end("SIGINT")).toEqual({ code: 0, signal: null, killed: false });
  for (const { pid } of helpers) expect(await runs(pid)).toBe(false);
});

test("a desktop without a portal gets a sentence that says what to do", async ({ display, system }) => {
  const program = display.run("broadcast", join(BINARIES, "broadcast"), [
    ...["--source", "portal", "--title", "No portal", "--directory", system.url],
  ]);
  await expect.poll(() => program.running).toBe(false);
  expect((await program.end()).code).not.toBe(0);
  expect(program.output).toMatch(/portal/i);
  expect(program.output).not.toMatch(/panicked/);
});

test("system sound goes along with the screen", async ({ display, system }) => {
  await display.startPipewire({ sound: true });
  const tone = "sine=frequency=880:sample_rate=48000";
  display.run("tone", "ffmpeg", [
    ...["-v", "error", "-nostdin", "-re", "-f", "lavfi", "-i", tone, "-ac", "2", "-f", "pulse"],
    ...["-device", "screen_sound", "tone"],
  ]);
  const flags = ["--source", "screen", "--sound", "system", "--title", "With sound"];
  const { link } = await system.broadcast(flags, display.env);
  const viewer = await ProtocolViewer.watch(link);
  await viewer.until((seen) => seen.chunks(1).length > 60 && seen.chunks(2).length > 150, 40_000);
  viewer.close();
  const folder = await mkdtemp(join(tmpdir(), "dead-streaming-sound-"));
  try {
    const file = join(folder, "sound.mp4");
    await writeFile(file, viewer.file(2));
    const heard = await run("ffmpeg", ["-v", "info", "-i", file, "-af", "volumedetect", "-f", "null", "-"]);
    const volume = Number(/max_volume: (-?[\d.]+) dB/.exec(heard.stderr)?.[1]);
    expect(volume).toBeGreaterThan(-40);
    // Sound and picture of one moment arrive with one moment's capture times.
    const last = (track: number) => Number(viewer.chunks(track).at(-1)?.capturedAtUs ?? 0n) / 1000;
    expect(Math.abs(last(1) - last(2))).toBeLessThan(1_000);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
