// A relay dies in the middle of a stream from page to page: both pages go on elsewhere by themselves, and nobody presses reload.
import { clockOn, expect, goesOn, plays, tamperedOn, test } from "../../src/fixtures.ts";
import { carriedBy, listen, longestStall } from "../../src/standstill.ts";
import type { System } from "../../src/system.ts";

/** How long a picture may stand still when its relay is killed. */
const STALL_MS_MAX = 3000;
/** How much later than before it may be afterwards, on a busy machine. */
const LATER_MS_MAX = 1000;

/** Kills the relay that a stream is at, as a lost machine would be. */
async function killRelayOf(system: System, link: string): Promise<string> {
  const name = await carriedBy(system, link);
  const relay = system.relays.find((each) => each.name === name);
  if (!relay) throw new Error("no relay has the stream");
  await relay.program.end("SIGKILL");
  return relay.name;
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
