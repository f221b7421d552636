// Debian's Chromium for the tests, with what sharing a tab without a person needs.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type Browser, chromium } from "@playwright/test";
import { clockPage } from "./wall_clock.ts";

/** The title by which a tab is picked for sharing without a dialog. */
export const CLOCK_TITLE = "e2e clock";

/** Size of the pages' viewport, and of the shared picture. */
export const SCREEN = { width: 1280, height: 720 };

const EXECUTABLE = process.env.CHROMIUM ?? "/usr/bin/chromium";

export async function launchChromium(
  o: { headed?: boolean; args?: string[]; env?: Record<string, string> } = {},
): Promise<Browser> {
  return await chromium.launch({
    executablePath: EXECUTABLE,
    headless: !o.headed,
    ignoreDefaultArgs: ["--mute-audio"],
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--autoplay-policy=no-user-gesture-required",
      // A tab under test must not be slowed down for lying behind another one.
      "--disable-background-timer-throttling",
      "--disable-backgrounding-occluded-windows",
      "--disable-renderer-backgrounding",
      `--screen-info={${SCREEN.width}x${SCREEN.height + 160}}`,
      `--window-size=${SCREEN.width},${SCREEN.height + 160}`,
      `--auto-select-tab-capture-source-by-title=${CLOCK_TITLE}`,
      ...(o.args ?? []),
    ],
    ...(o.env ? { env: o.env } : {}),
  });
}

/** Put behind a page: plays a 440 Hz tone. */
export const TONE = `<script>
const sound = new AudioContext(); const tone = sound.createOscillator(); const level = sound.createGain();
tone.frequency.value = 440; level.gain.value = 0.2; tone.connect(level).connect(sound.destination); tone.start();
</script>`;

/** Serves the page that paints the clock, with something behind it. */
export async function serveClock(behind = ""): Promise<{ url: string; close: () => void }> {
  const server = createServer((_request, response) => {
    response.setHeader("content-type", "text/html; charset=utf-8");
    response.end(clockPage(CLOCK_TITLE) + behind);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, close: () => server.close() };
}
