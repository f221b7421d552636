// What a page's player shows and measures, for tests of bad networks.
import type { Page } from "@playwright/test";

export interface Shown {
  state: string;
  /** Of the picture on the screen. */
  width: number;
  latencyMs: number | null;
  /** The pictures to choose from; null where there is one. */
  rendition: { pictures: { width: number }[]; chosen: number | "automatic"; shown: number; reduced: boolean } | null;
}

/** What the player of a page shows now. */
export async function shownOn(page: Page): Promise<Shown> {
  return await page.evaluate(() => {
    const player = document.querySelector("live-player");
    if (!player) throw new Error("no player");
    const { latencyMs, rendition } = player.stats as unknown as Omit<Shown, "state" | "width">;
    return { state: player.dataset.state ?? "", width: player.video.videoWidth, latencyMs, rendition };
  });
}

/** Marks the document: one that was loaded anew has no mark. */
export async function mark(page: Page): Promise<() => Promise<boolean>> {
  await page.evaluate(() => Object.assign(window, { sameDocument: true }));
  return async () => await page.evaluate(() => "sameDocument" in window);
}
