// A relay is asked to end in the middle of a stream from page to page: both pages are elsewhere before it has gone.
import { expect, goesOn, plays, tamperedOn, test } from "../../src/fixtures.ts";
import { carriedBy, listen, longestStall } from "../../src/standstill.ts";

/** How long a picture may stand still when its relay leaves, on a machine that is busy with all of this. */
const STALL_MS_MAX = 1000;

test.use({ systemOptions: { relayFlags: ["--drain-seconds", "8"] } });

test("an encrypted stream moves to another relay, and nothing is missing or comes twice", async ({
  system,
  goLive,
  newPage,
}) => {
  const { page, link } = await goLive("Moves", { encrypted: true });
  const viewer = await newPage();
  await viewer.goto(link);
  await plays(viewer);
  await goesOn(viewer, 60);
  const name = await carriedBy(system, link);
  const relay = system.relays.find((each) => each.name === name);
  if (!relay) throw new Error("no relay has the stream");
  const states = await listen(viewer);
  const stall = longestStall(viewer);
  const ended = await relay.program.end();
  expect(await stall).toBeLessThan(STALL_MS_MAX);
  expect([ended.code, ended.killed]).toEqual([0, false]);
  expect(await states()).not.toContain("reconnecting");
  await goesOn(viewer);
  // The opener counts whatever is missing, comes twice or comes in another order.
  expect(await tamperedOn(viewer)).toBe(0);
  const { chunksSkipped, reconnects } = await viewer.evaluate(
    () => document.querySelector("live-player")?.stats ?? { chunksSkipped: -1, reconnects: -1 },
  );
  expect([chunksSkipped, reconnects]).toEqual([0, 0]);
  await expect(page.getByTestId("state")).toHaveAttribute("data-state", "live");
  expect(await carriedBy(system, link)).not.toBe(name);
});
