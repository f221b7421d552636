// From the moment a picture is painted to the moment a viewer's screen shows it.
import type { Part } from "./part.ts";
import { glassToGlass, ms, statsOf, watchAndRead } from "./readings.ts";
import type { Stage } from "./stage.ts";

const READING_MS = 30_000;
const READING_QUICK_MS = 5_000;

/** Without sound, and with it. */
const P50_MAX_MS = { picture: 150, sound: 110 };

const readingMs = (stage: Stage) => (stage.quick ? READING_QUICK_MS : READING_MS);

async function pageToPage(stage: Stage, sound: boolean): Promise<void> {
  const system = await stage.system();
  const publisher = await stage.livePage(system, { title: "Page to page", sound });
  const link = await publisher.goLive();
  const { page } = await stage.page();
  await stage.measure(async () => {
    const reading = await watchAndRead(page, link, readingMs(stage));
    if (!sound) {
      const what = "page → page";
      return [
        glassToGlass({
          id: "page_to_page",
          what,
          p50Max: P50_MAX_MS.picture,
          reading,
          notes: "A shared tab, picture only",
        }),
      ];
    }
    const heard = await publisher.page.getByTestId("sound").textContent();
    const what = "page → page, with sound";
    const stats = await statsOf(page);
    const behind = stats.soundBehindMs === null ? "unknown" : ms(stats.soundBehindMs);
    const notes = [
      `A shared tab that plays a tone; the broadcaster's page says of its sound: ${heard}`,
      `heard ${behind} after its picture, with ${stats.soundGaps} gaps`,
    ].join("; ");
    return [glassToGlass({ id: "page_to_page_sound", what, p50Max: P50_MAX_MS.sound, reading, notes })];
  });
}

export const pageToPagePart: Part = {
  name: "page_to_page",
  title: "Glass to glass",
  measure: (stage) => pageToPage(stage, false),
};

export const pageToPageSoundPart: Part = {
  name: "page_to_page_sound",
  title: "Glass to glass",
  measure: (stage) => pageToPage(stage, true),
};

export const screenToPagePart: Part = {
  name: "screen_to_page",
  title: "Glass to glass",
  async measure(stage) {
    const system = await stage.system();
    const screen = await stage.clockScreen();
    const { link } = await system.broadcast(["--source", "screen", "--title", "Screen to page"], screen.env);
    const { page } = await stage.page();
    await stage.measure(async () => {
      const reading = await watchAndRead(page, link, readingMs(stage));
      const notes = "`broadcast --source screen`, X11, 30 frames/s";
      return [
        glassToGlass({ id: "screen_to_page", what: "X screen → page", p50Max: P50_MAX_MS.picture, reading, notes }),
      ];
    });
  },
};
