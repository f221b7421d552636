// The desktop app, started and driven through tauri-driver on a screen of its own.
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Builder, Capabilities, type WebDriver } from "selenium-webdriver";
import { SCREEN } from "./chromium.ts";
import type { Display } from "./display.ts";
import { readScreenClock } from "./screen_clock.ts";
import { BINARIES, freePort } from "./system.ts";
import type { Reading } from "./wall_clock.ts";

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Where the clean-up of what was started is left, last first. */
export interface Endings {
  atEnd(ending: () => Promise<void> | void): void;
}

const TAURI_DRIVER = process.env.TAURI_DRIVER ?? resolve(import.meta.dirname, "../../.build/tools/bin/tauri-driver");
const STEP_TIME_MAX_MS = 30_000;

export class DesktopApp {
  readonly #driver: WebDriver;
  readonly #display: Display;

  private constructor(driver: WebDriver, display: Display) {
    this.#driver = driver;
    this.#display = display;
  }

  static async start(endings: Endings, display: Display, directoryUrl: string): Promise<DesktopApp> {
    const application = join(BINARIES, "dead-streaming");
    for (const [path, how] of [
      [application, "build it with `cargo build --release -p dead-streaming`"],
      [TAURI_DRIVER, "`make bench` installs it"],
    ] as const) {
      if (!existsSync(path)) throw new Error(`${path} is not there; ${how}`);
    }
    // Two apps at once must not share their settings.
    const home = await mkdtemp(join(tmpdir(), "dead-streaming-app-"));
    endings.atEnd(() => rm(home, { recursive: true, force: true, maxRetries: 3 }));
    const folders: Record<string, string> = { HOME: home };
    for (const kind of ["CONFIG", "DATA", "CACHE"]) {
      const folder = join(home, kind.toLowerCase());
      await mkdir(folder);
      folders[`XDG_${kind}_HOME`] = folder;
    }
    const [port, nativePort] = [await freePort(), await freePort()];
    const driverProgram = display.run(
      "tauri-driver",
      TAURI_DRIVER,
      ["--port", `${port}`, "--native-port", `${nativePort}`],
      {
        ...folders,
        DEAD_STREAMING_DIRECTORY: directoryUrl,
      },
    );
    endings.atEnd(async () => void (await driverProgram.end()));
    const server = `http://127.0.0.1:${port}`;
    await until(async () => (await fetch(`${server}/status`).catch(() => null))?.ok ?? false, "tauri-driver answers");
    const capabilities = new Capabilities({ browserName: "wry", "tauri:options": { application } });
    const driver = await new Builder().withCapabilities(capabilities).usingServer(server).build();
    // Ends the app; a broadcast that still runs ends with it.
    endings.atEnd(async () => await driver.quit());
    await driver.manage().setTimeouts({ script: 10 * 60_000 });
    return new DesktopApp(driver, display);
  }

  /** Goes live, with the screen that the app is on unless told otherwise; gives the link. */
  async goLive(title: string, source = "screen", how: { pass?: string; encrypted?: boolean } = {}): Promise<string> {
    await this.#click('a[href="/live"]');
    if (how.pass !== undefined) await this.#type("[data-testid=pass]", how.pass);
    if (how.encrypted) await this.#click("[data-testid=sealed]");
    await this.#click(`[data-testid=source-${source}]`);
    await this.#click("[data-testid=sound-none]");
    await this.#type("[data-testid=title]", title);
    await this.#click("[data-testid=go-live]");
    await this.#waitFor("[data-testid=state][data-state=live]");
    return await this.#script(`return document.querySelector("[data-testid=watch-link]").value;`);
  }

  /** Hides the broadcaster's preview: on one machine it would take the time that a viewer needs. */
  async hidePreview(): Promise<void> {
    await this.#script(
      `[...document.querySelectorAll("button")].find((b) => b.textContent.trim() === "Hide").click();`,
    );
  }

  /** Ends the broadcast, and waits until the app says so. */
  async stop(): Promise<void> {
    await this.#click("[data-testid=stop]");
    if (await this.#script<boolean>(`return document.querySelector("[data-testid=confirm-stop]") !== null;`)) {
      await this.#click("[data-testid=confirm-stop]");
    }
    await this.#waitFor("[data-testid=over], [data-testid=go-live]");
  }

  /** Opens a link that was pasted into the app, and waits until it plays. */
  async watchLink(link: string): Promise<void> {
    await this.#type("[data-testid=paste-link]", link);
    await this.#script(`document.querySelector("[data-testid=paste-link]").form.requestSubmit();`);
    await this.#waitFor('live-player[data-state="playing"]');
  }

  /** What the app's page says. */
  async text(): Promise<string> {
    return await this.#script("return document.body.innerText;");
  }

  /** How many viewers the broadcaster reads of, one by one. */
  async audience(): Promise<number> {
    return await this.#script(`return document.querySelectorAll("[data-testid=audience-member]").length;`);
  }

  /** Sends the first viewer away. */
  async removeFirstViewer(): Promise<void> {
    await this.#click("[data-testid=remove-viewer]");
    await this.#click("[data-testid=confirm-remove]");
  }

  /** Opens the first stream of the list and waits until it plays. */
  async watchFirst(): Promise<void> {
    await this.#click("[data-testid=stream-card]");
    await this.#waitFor('live-player[data-state="playing"]');
  }

  /** Reads the clock from the screen, where the app's player shows it. The app is alone there, without a window manager. */
  async clock(durationMs: number): Promise<Reading> {
    const picture = await this.#script<{ x: number; y: number; width: number; height: number; videoWidth: number }>(`
      const video = document.querySelector("live-player").video;
      const { x, y, width, height } = video.getBoundingClientRect();
      return { x, y, width, height, videoWidth: video.videoWidth };`);
    // The picture lies in the middle of its element, as large as it fits.
    const scale = Math.min(picture.width / SCREEN.width, picture.height / SCREEN.height);
    const x = picture.x + (picture.width - SCREEN.width * scale) / 2;
    const y = picture.y + (picture.height - SCREEN.height * scale) / 2;
    const reading = await readScreenClock(this.#display, { x, y, scale }, durationMs);
    return {
      ...reading,
      width: picture.videoWidth,
      height: Math.round((picture.videoWidth * SCREEN.height) / SCREEN.width),
    };
  }

  /** Clicks from within the page: it may lie behind another window. */
  async #click(selector: string): Promise<void> {
    await this.#waitFor(selector);
    await this.#script(`document.querySelector(arguments[0]).click();`, selector);
  }

  async #type(selector: string, text: string): Promise<void> {
    await this.#waitFor(selector);
    await this.#script(
      `const field = document.querySelector(arguments[0]);
       field.value = arguments[1]; field.dispatchEvent(new Event("input", { bubbles: true }));`,
      selector,
      text,
    );
  }

  async #waitFor(selector: string): Promise<void> {
    const there = `return document.querySelector(arguments[0]) !== null && !document.querySelector(arguments[0]).disabled;`;
    await until(
      async () => await this.#script<boolean>(there, selector),
      `${selector} is in the app`,
      async () => {
        return await this.#script<string>("return document.body.innerText;");
      },
    );
  }

  async #script<T>(script: string, ...args: unknown[]): Promise<T> {
    return await this.#driver.executeScript<T>(script, ...args);
  }
}

async function until(done: () => Promise<boolean>, what: string, seen?: () => Promise<string>): Promise<void> {
  const deadline = Date.now() + STEP_TIME_MAX_MS;
  while (!(await done())) {
    if (Date.now() > deadline) throw new Error(`not within ${STEP_TIME_MAX_MS} ms: ${what}; seen: ${await seen?.()}`);
    await sleep(100);
  }
}
