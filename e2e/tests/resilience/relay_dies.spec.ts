// A relay dies in the middle of a stream from page to page: both pages go on elsewhere by themselves, and nobody presses reload.
import type { Page } from "@playwright/test";
import { clockOn, expect, goesOn, plays, tamperedOn, test } from "../../src/fixtures.ts";
import type { System } from "../../src/system.ts";

/** How long a picture may stand still when its relay is killed. */
const STALL_MS_MAX = 3000;
/** How much later than before it may be afterwards, on a busy machine. */
const LATER_MS_MAX = 1000;
/** For how long it is watched after that. */
const WATCHED_MS = 8000;

/** Kills the relay that a stream is at, as a lost machine would be. */
async function killRelayOf(system: System, link: string): Promise<string> {
  const id = new URL(link).pathname.split("/").pop();
  const answer = await fetch(`${system.url}/api/streams/${id}/watch`, { method: "POST" });
  const { assignment } = (await answer.json()) as { assignment: { relays: { name: string }[] } };
  const relay = system.relays.find(({ name }) => name === assignment.relays[0]?.name);
  if (!relay) throw new Error(`no relay has the stream: ${JSON.stringify(assignment)}`);
  await relay.program.end("SIGKILL");
  return relay.name;
}

/** The longest time for which the picture of a page stands still from now on. */
async function longestStall(page: Page): Promise<number> {
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
async function listen(page: Page): Promise<() => Promise<string[]>> {
  await page.evaluate(() => {
    const states: string[] = [];
    Object.assign(window, { states });
    document.querySelector("live-player")?.addEventListener("statechange", (event) => {
      states.push((event as CustomEvent<{ kind: string }>).detail.kind);
    });
  });
  return async () => await page.evaluate(() => (window as unknown as { states: string[] }).states);
}

for (const encrypted of [false, true]) {
  test(`the picture goes on when the relay of ${encrypted ? "an encrypted" : "a"} stream is killed`, async ({
    system,
    goLive,
    newPage,
  }) => {
    const { page, link } = await goLive("Goes on", { encrypted });
    const viewer = await newPage();
    await viewer.goto(link);
    await plays(viewer);
    await goesOn(viewer, 60);
    const before = await clockOn(viewer, 30);
    const states = await listen(viewer);
    const stall = longestStall(viewer);
    const killed = await killRelayOf(system, link);
    expect(await stall).toBeLessThan(STALL_MS_MAX);
    // The same document and player: no reload, nothing that a person had to do.
    expect(await states()).not.toContain("failed");
    await plays(viewer);
    await goesOn(viewer);
    const after = await clockOn(viewer, 30);
    expect(Math.min(...after.latenciesMs)).toBeLessThan(Math.min(...before.latenciesMs) + LATER_MS_MAX);
    await expect(page.getByTestId("state")).toHaveAttribute("data-state", "live");
    const other = system.relays.find(({ name }) => name !== killed);
    await expect.poll(async () => await carriedBy(system, link)).toBe(other?.name);
    if (encrypted) expect(await tamperedOn(viewer)).toBe(0);
  });
}

/** The relay that the directory sends viewers to. */
async function carriedBy(system: System, link: string): Promise<string | undefined> {
  const id = new URL(link).pathname.split("/").pop();
  const answer = await fetch(`${system.url}/api/streams/${id}/watch`, { method: "POST" });
  const { assignment } = (await answer.json()) as { assignment?: { relays: { name: string }[] } };
  return assignment?.relays[0]?.name;
}
