// How a page's picture goes on while relays come and go.
import type { Page } from "@playwright/test";
import type { System } from "./system.ts";

/** For how long a picture is watched. */
const WATCHED_MS = 8000;

/** The longest time for which the picture of a page stands still from now on. */
export async function longestStall(page: Page): Promise<number> {
  return await page.evaluate(async (watchedMs) => {
    const video = document.querySelector("live-player")?.video;
    if (!video) throw new Error("no player");
    const begun = performance.now();
    let shownAt = begun;
    let longest = 0;
    // Frames, not the playhead: the last picture is declared to last longer than it should.
    const frames = () => video.getVideoPlaybackQuality().totalVideoFrames;
    let seen = frames();
    while (performance.now() - begun < watchedMs) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      const now = performance.now();
      if (frames() !== seen) shownAt = now;
      seen = frames();
      longest = Math.max(longest, now - shownAt);
    }
    return longest;
  }, WATCHED_MS);
}

/** What a page's player says it is doing, from now on. */
export async function listen(page: Page): Promise<() => Promise<string[]>> {
  await page.evaluate(() => {
    const states: string[] = [];
    Object.assign(window, { states });
    document.querySelector("live-player")?.addEventListener("statechange", (event) => {
      states.push((event as CustomEvent<{ kind: string }>).detail.kind);
    });
  });
  return async () => await page.evaluate(() => (window as unknown as { states: string[] }).states);
}

/** The relay that the directory sends viewers to. */
export async function carriedBy(system: System, link: string): Promise<string | undefined> {
  const id = new URL(link).pathname.split("/").pop();
  const answer = await fetch(`${system.url}/api/streams/${id}/watch`, { method: "POST" });
  const { assignment } = (await answer.json()) as { assignment?: { relays: { name: string }[] } };
  return assignment?.relays[0]?.name;
}
