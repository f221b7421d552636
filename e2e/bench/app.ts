// From a screen to the desktop app's window.
import { DesktopApp } from "../src/desktop_app.ts";
import { clockPage } from "../src/wall_clock.ts";
import { cpuMs } from "./cpu.ts";
import type { Part } from "./part.ts";
import { glassToGlass } from "./readings.ts";
import { type Stage, sleep, WARM_UP_MS } from "./stage.ts";

const READING_MS = 30_000;
const READING_QUICK_MS = 5_000;
const P50_MAX_MS = 180;

async function read(stage: Stage, viewer: DesktopApp, o: { id: string; what: string; notes: string }): Promise<void> {
  await viewer.watchFirst();
  await sleep(WARM_UP_MS);
  await stage.measure(async () => {
    const begin = { at: performance.now(), cpu: cpuMs(process.pid) };
    const reading = await viewer.clock(stage.quick ? READING_QUICK_MS : READING_MS);
    const cores = (cpuMs(process.pid) - begin.cpu) / (performance.now() - begin.at);
    const notes = `${o.notes}; all of it together uses ${cores.toFixed(2)} cores`;
    return [glassToGlass({ ...o, notes, p50Max: P50_MAX_MS, reading })];
  });
}

export const screenToAppPart: Part = {
  name: "screen_to_app",
  title: "Glass to glass",
  async measure(stage) {
    const system = await stage.system();
    const screen = await stage.clockScreen();
    await system.broadcast(["--source", "screen", "--title", "Screen to app"], screen.env);
    const viewer = await DesktopApp.start(stage, await stage.display(), system.url);
    const notes = "`broadcast --source screen`, X11, 30 frames/s; watched in the desktop app (WebKitGTK)";
    await read(stage, viewer, { id: "screen_to_app", what: "X screen → app", notes });
  },
};

export const appToAppPart: Part = {
  name: "app_to_app",
  title: "Glass to glass",
  async measure(stage) {
    const system = await stage.system();
    const screen = await stage.display();
    const broadcaster = await DesktopApp.start(stage, screen, system.url);
    // Painted over the app's window, so that all of the screen is the clock.
    await stage.kioskOn(screen, clockPage("clock"));
    await broadcaster.goLive("App to app");
    await broadcaster.hidePreview();
    const viewer = await DesktopApp.start(stage, await stage.display(), system.url);
    const notes = "One app shares its X screen (its preview hidden), another on a second screen watches";
    await read(stage, viewer, { id: "app_to_app", what: "app → app", notes });
  },
};
