// A page sends a second, smaller picture: both are cut at the same frames, and a viewer of either gets a picture.
import { expect, goesOn, plays, test } from "../../src/fixtures.ts";
import { ProtocolViewer } from "../../src/protocol_viewer.ts";
import { listen } from "../../src/standstill.ts";

test.setTimeout(240_000);

const FULL = 1;
const SMALL = 3;

for (const encrypted of [false, true]) {
  test(`a small picture of ${encrypted ? "an encrypted" : "a"} stream is cut where the full one is`, async ({
    goLive,
  }) => {
    const { link } = await goLive("Two pictures", { smallPicture: true, encrypted });
    const full = await ProtocolViewer.watch(link);
    const small = await ProtocolViewer.watch(link);
    await small.until(({ messages }) => messages.some(({ type }) => type === "watching"));
    small.say({ type: "select_track", track: SMALL });
    const keys = (viewer: ProtocolViewer, track: number) => viewer.chunks(track).filter(({ key }) => key);
    await small.until((viewer) => keys(viewer, SMALL).length >= 3, 30_000);
    await full.until((viewer) => keys(viewer, FULL).length >= 3, 30_000);

    const watching = small.messages.find(({ type }) => type === "watching");
    const tracks = watching?.tracks as { track: number; kind: string; width: number; height: number }[];
    const pictures = tracks.filter(({ kind }) => kind === "video");
    expect(pictures.map(({ track }) => track)).toEqual([FULL, SMALL]);
    expect(pictures[1]?.width).toBeLessThanOrEqual(640);

    // A segment has one number on both tracks, and begins with the same captured frame.
    const captured = new Map(keys(full, FULL).map(({ segment, capturedAtUs }) => [segment, capturedAtUs]));
    const shared = keys(small, SMALL).filter(({ segment }) => captured.has(segment));
    expect(shared.length).toBeGreaterThan(0);
    for (const { segment, capturedAtUs } of shared) expect(capturedAtUs).toBe(captured.get(segment));
    for (const chunk of small.chunks(SMALL)) expect(chunk.sealed).toBe(encrypted);
    // Smaller, and fewer frames.
    const bytes = (viewer: ProtocolViewer, track: number) =>
      viewer.chunks(track).reduce((sum, { payload }) => sum + payload.length, 0);
    const segments = (viewer: ProtocolViewer, track: number) => keys(viewer, track).length;
    expect(bytes(small, SMALL) / segments(small, SMALL)).toBeLessThan(bytes(full, FULL) / segments(full, FULL) / 2);
    full.close();
    small.close();
  });
}

test("a viewer chooses the small picture, and the full one again, without a break", async ({ goLive, newPage }) => {
  const { link } = await goLive("Chosen by hand", { smallPicture: true });
  const viewer = await newPage();
  await viewer.goto(link);
  await plays(viewer);
  await goesOn(viewer);
  const width = async () => await viewer.evaluate(() => document.querySelector("live-player")?.video.videoWidth ?? 0);
  const states = await listen(viewer);
  const full = await width();
  // The menu is worked by keys: q opens it at what is chosen, and the smallest picture is last.
  await viewer.locator("live-player").focus();
  await viewer.keyboard.press("q");
  await viewer.keyboard.press("End");
  await viewer.keyboard.press("Enter");
  await expect.poll(width).toBeLessThan(full);
  expect(await width()).toBeLessThanOrEqual(640);
  await goesOn(viewer);
  await viewer.keyboard.press("q");
  await viewer.keyboard.press("Home");
  await viewer.keyboard.press("ArrowDown");
  await viewer.keyboard.press("Enter");
  await expect.poll(width).toBe(full);
  await goesOn(viewer);
  for (const state of ["failed", "reconnecting", "ended"]) expect(await states()).not.toContain(state);
});

test("nobody sends a small picture who was not asked to", async ({ goLive }) => {
  const { link } = await goLive("One picture");
  const viewer = await ProtocolViewer.watch(link);
  await viewer.until(({ messages }) => messages.some(({ type }) => type === "watching"));
  const watching = viewer.messages.find(({ type }) => type === "watching");
  const tracks = watching?.tracks as { track: number; kind: string }[];
  expect(tracks.filter(({ kind }) => kind === "video").map(({ track }) => track)).toEqual([FULL]);
  viewer.close();
});
