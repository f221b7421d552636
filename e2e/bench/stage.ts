// What measurements are made on: real servers, screens, browsers and broadcasts, all ended together by their own ids.
import { execFile } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { promisify } from "node:util";
import type { Browser, Page } from "@playwright/test";
import { CLOCK_TITLE, launchChromium, SCREEN, TONE } from "../src/chromium.ts";
import { Display } from "../src/display.ts";
import { System, type SystemOptions } from "../src/system.ts";
import { clockPage } from "../src/wall_clock.ts";
import type { Chart, Drawing } from "./chart.ts";
import { ownChildren } from "./cpu.ts";
import type { Build, Figure, Finding } from "./figure.ts";
import { withSurroundings } from "./machine.ts";

export const run = promisify(execFile);

/** How long processes run before anything is read from them. */
export const WARM_UP_MS = 3_000;

export const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Runs in every page: what the TypeScript runner adds to functions that are sent into pages. */
export const PAGE_PRELUDE = "globalThis.__name = (named) => named;";

export interface BrowserOf {
  browser: Browser;
  pid: number;
}

export interface LivePage {
  clockTab: Page;
  page: Page;
  /** The browser's process. */
  pid: number;
  /** Goes live; gives the link for viewers. */
  goLive: () => Promise<string>;
}

export class Stage {
  readonly quick: boolean;
  readonly #part: string;
  readonly #build: Build;
  readonly #onFigure: (figure: Figure) => void;
  readonly #onChart: (chart: Chart) => void;
  readonly #endings: (() => Promise<void> | void)[] = [];

  constructor(o: {
    part: string;
    build: Build;
    quick: boolean;
    onFigure: (figure: Figure) => void;
    onChart: (chart: Chart) => void;
  }) {
    this.#part = o.part;
    this.#build = o.build;
    this.quick = o.quick;
    this.#onFigure = o.onFigure;
    this.#onChart = o.onChart;
  }

  /** What has to be undone at the end, last first. */
  atEnd(ending: () => Promise<void> | void): void {
    this.#endings.push(ending);
  }

  async close(): Promise<void> {
    for (let ending = this.#endings.pop(); ending; ending = this.#endings.pop()) {
      try {
        await ending();
      } catch (error) {
        console.error(`  at the end: ${error instanceof Error ? error.message : error}`);
      }
    }
  }

  /** Measures, and gives the findings to the table together with what the machine did meanwhile. */
  async measure(body: () => Promise<Finding[]>): Promise<void> {
    const { result, around } = await withSurroundings(body);
    const at = new Date().toISOString();
    const [part, build, quick] = [this.#part, this.#build, this.quick];
    for (const finding of result) this.#onFigure({ ...finding, part, build, around, at, quick });
  }

  /** Keeps what is to be drawn. */
  chart(drawing: Drawing): void {
    const at = new Date().toISOString();
    this.#onChart({ ...drawing, part: this.#part, build: this.#build, at, quick: this.quick });
  }

  async system(options: SystemOptions = { relays: 1 }): Promise<System> {
    const system = await System.start(options);
    this.atEnd(() => system.stop());
    return system;
  }

  async display(size = SCREEN): Promise<Display> {
    const display = await Display.start(size);
    this.atEnd(() => display.stop());
    return display;
  }

  async browser(): Promise<BrowserOf> {
    const before = new Set(ownChildren());
    const browser = await launchChromium();
    this.atEnd(() => browser.close());
    const pid = ownChildren().find((child) => !before.has(child));
    if (pid === undefined) throw new Error("the browser's process can't be found");
    return { browser, pid };
  }

  /** A page in a browser of its own. */
  async page(): Promise<{ page: Page; pid: number }> {
    const { browser, pid } = await this.browser();
    const context = await browser.newContext({ viewport: SCREEN });
    await context.addInitScript({ content: PAGE_PRELUDE });
    return { page: await context.newPage(), pid };
  }

  /** Serves one page; gives its address. */
  async serve(html: string): Promise<string> {
    const server = createServer((_request, response) => {
      response.setHeader("content-type", "text/html; charset=utf-8");
      response.end(html);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    this.atEnd(() => {
      server.closeAllConnections();
      server.close();
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  }

  /** Opens `/live` beside a tab that shows the clock (and plays a tone), which is what it will share. */
  async livePage(system: System, o: { title: string; sound: boolean }): Promise<LivePage> {
    const clock = await this.serve(clockPage(CLOCK_TITLE) + (o.sound ? TONE : ""));
    const { page: clockTab, pid } = await this.page();
    await clockTab.goto(clock);
    const page = await clockTab.context().newPage();
    await page.goto(`${system.url}/live`);
    await page.getByTestId("title").fill(o.title);
    await page.getByTestId("with-sound").setChecked(o.sound);
    const goLive = async () => {
      await page.bringToFront();
      await page.getByTestId("go-live").click();
      await page.getByTestId("state").filter({ hasText: /live/i }).first().waitFor({ timeout: 30_000 });
      return await page.getByTestId("watch-link").inputValue();
    };
    return { clockTab, page, pid, goLive };
  }

  /** An X screen filled by a Chromium that paints the clock. */
  async clockScreen(): Promise<Display> {
    return await this.screenWith(clockPage(CLOCK_TITLE));
  }

  /** An X screen filled by a page. */
  async screenWith(html: string, size = SCREEN): Promise<Display> {
    const display = await this.display(size);
    await this.kioskOn(display, html);
    return display;
  }

  /** Fills a screen with a page. */
  async kioskOn(display: Display, html: string): Promise<void> {
    const url = await this.serve(html);
    await display.kiosk(url);
  }
}
