// What a viewer hears: the sound of a shared tab, read back from what the page gives to its speakers.
import type { Page } from "@playwright/test";
import { CLOCK_TITLE, SCREEN, serveClock, TONE } from "../../src/chromium.ts";
import { expect, goesOn, plays, test } from "../../src/fixtures.ts";
import type { System } from "../../src/system.ts";

const TONE_HZ = 440;
/** Speech is felt to be out of step beyond about 125 ms (ITU-R BT.1359). */
const BEHIND_MS_MAX = 125;

/** Runs in a page before its own scripts: listens beside its speakers. */
function listenAlong(): void {
  const connect = AudioNode.prototype.connect as (this: AudioNode, to: AudioNode) => AudioNode;
  const along = new WeakMap<BaseAudioContext, AnalyserNode>();
  Object.assign(AudioNode.prototype, {
    connect(this: AudioNode, to: AudioNode, ...rest: []) {
      if (to instanceof AudioDestinationNode) {
        const analyser = along.get(this.context) ?? new AnalyserNode(this.context, { fftSize: 8192 });
        along.set(this.context, analyser);
        connect.call(this, analyser);
        Object.assign(window, { analyser });
      }
      return connect.call(this, to, ...rest);
    },
  });
}

/** Runs in a page before its own scripts: refuses sound before a click, as browsers do. The browser's own rule is no use here, as
 * all that a test asks of a page counts as a person's hand. */
function refuseSoundBeforeClick(): void {
  const play = HTMLMediaElement.prototype.play;
  let clicked = false;
  addEventListener(
    "click",
    () => {
      clicked = true;
    },
    true,
  );
  HTMLMediaElement.prototype.play = function (this: HTMLMediaElement) {
    if (clicked || this.muted) return play.call(this);
    return Promise.reject(new DOMException("no click yet", "NotAllowedError"));
  };
}

/** The loudest tone that a page gives to its speakers, in Hz; null while it gives none. */
async function heardOn(page: Page): Promise<number | null> {
  return await page.evaluate(() => {
    const { analyser } = window as unknown as { analyser?: AnalyserNode };
    if (analyser?.context.state !== "running") return null;
    const levels = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(levels);
    const loudest = levels.indexOf(Math.max(...levels));
    return (levels[loudest] ?? -200) > -60 ? (loudest * analyser.context.sampleRate) / analyser.fftSize : null;
  });
}

async function hearsTone(page: Page): Promise<void> {
  await expect.poll(async () => Math.abs(((await heardOn(page)) ?? 0) - TONE_HZ)).toBeLessThan(12);
}

/** Goes live with a tab that plays a tone; gives the link. */
async function goLiveWithTone(page: Page, system: System): Promise<string> {
  await page.goto(`${system.url}/live`);
  await page.getByTestId("title").fill("With a tone");
  await page.getByTestId("with-sound").setChecked(true);
  await page.getByTestId("go-live").click();
  await page.locator('[data-testid="state"][data-state="live"]').waitFor({ timeout: 30_000 });
  return await page.getByTestId("watch-link").inputValue();
}

const sounding = test.extend<{ link: string }>({
  link: async ({ newBrowser, system }, use) => {
    const clock = await serveClock(TONE);
    const context = await (await newBrowser()).newContext({ viewport: SCREEN });
    const tab = await context.newPage();
    await tab.goto(clock.url);
    await expect(tab).toHaveTitle(CLOCK_TITLE);
    await use(await goLiveWithTone(await context.newPage(), system));
    clock.close();
  },
});

sounding(
  "the sound of a shared tab is heard in step with its picture, until it is muted",
  async ({ link, newPage }) => {
    const viewer = await newPage();
    await viewer.addInitScript(listenAlong);
    await viewer.goto(link);
    await plays(viewer);
    await hearsTone(viewer);
    const behind = async () => await viewer.evaluate(() => document.querySelector("live-player")?.stats.soundBehindMs);
    await expect.poll(async () => Math.abs((await behind()) ?? Number.NaN)).toBeLessThan(BEHIND_MS_MAX);
    await viewer.keyboard.press("m");
    await expect.poll(async () => await heardOn(viewer)).toBeNull();
    // Much is missing by the time that sound is wanted again.
    await goesOn(viewer, 90);
    await viewer.keyboard.press("m");
    await hearsTone(viewer);
    await viewer.keyboard.press("k");
    await expect.poll(async () => await heardOn(viewer)).toBeNull();
    await viewer.keyboard.press("k");
    await hearsTone(viewer);
    await goesOn(viewer);
  },
);

sounding(
  "where sound needs a click, the picture plays before it, and one click gives the sound",
  async ({ link, newPage }) => {
    const viewer = await newPage();
    await viewer.addInitScript(listenAlong);
    await viewer.addInitScript(refuseSoundBeforeClick);
    await viewer.goto(link);
    await plays(viewer);
    await goesOn(viewer);
    expect(await heardOn(viewer)).toBeNull();
    await viewer.getByText("Tap for sound").click();
    await hearsTone(viewer);
  },
);

/** Runs in a page before its own scripts: makes the browser one that can't give the audio thread a program. */
function refuseWorklets(): void {
  AudioWorklet.prototype.addModule = () => Promise.reject(new DOMException("not here", "AbortError"));
}

sounding("where the sound can't be made beside the picture, the MediaSource plays it", async ({ link, newPage }) => {
  const viewer = await newPage();
  await viewer.addInitScript(refuseWorklets);
  await viewer.goto(link);
  await plays(viewer);
  const decoded = async () =>
    await viewer.evaluate(() => {
      const video = document.querySelector("live-player")?.video as
        | { webkitAudioDecodedByteCount?: number }
        | undefined;
      return video?.webkitAudioDecodedByteCount ?? 0;
    });
  await expect.poll(decoded).toBeGreaterThan(0);
  const before = await decoded();
  await goesOn(viewer);
  expect(await decoded()).toBeGreaterThan(before);
});
