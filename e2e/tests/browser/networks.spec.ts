// What goes wrong between a relay and its viewers: cut, slow and refused connections.
import { expect, plays, test } from "../../src/fixtures.ts";
import { ProtocolViewer } from "../../src/protocol_viewer.ts";
import { System } from "../../src/system.ts";
import { TcpProxy } from "../../src/tcp_proxy.ts";

test("a viewer whose socket is cut plays again without a reload", async ({ newPage }) => {
  let proxy: TcpProxy | undefined;
  const publicPort = async (_name: string, port: number) => {
    proxy = await TcpProxy.before(port);
    return proxy.port;
  };
  const system = await System.start({ relays: 1, publicPort });
  try {
    const { link } = await system.broadcast(["--source", "test", "--title", "Cut"]);
    const viewer = await newPage();
    await viewer.goto(link);
    await plays(viewer);
    await viewer.evaluate(() => Object.assign(window, { sameDocument: true }));
    const before = proxy?.connections ?? 0;
    proxy?.cut();
    await expect.poll(() => proxy?.connections ?? 0).toBeGreaterThan(before);
    await plays(viewer);
    const shown = async () =>
      await viewer.evaluate(() => {
        const player = document.querySelector("live-player") as HTMLElement & { video: HTMLVideoElement };
        return player.video.getVideoPlaybackQuality().totalVideoFrames;
      });
    const frames = await shown();
    await expect.poll(shown).toBeGreaterThan(frames + 30);
    expect(await viewer.evaluate(() => "sameDocument" in window)).toBe(true);
  } finally {
    await system.stop();
    await proxy?.close();
  }
});

test("a throttled viewer skips to the live edge and the others are unharmed", async () => {
  let proxy: TcpProxy | undefined;
  const system = await System.start({ relays: 1 });
  try {
    const flags = ["--source", "test", "--title", "Throttled", "--bitrate", "6000"];
    const { link } = await system.broadcast(flags);
    const relay = system.relays[0];
    if (!relay) throw new Error("no relay");
    proxy = await TcpProxy.before(relay.port);
    const id = new URL(link).pathname.split("/").pop();
    const answer = await fetch(`${system.url}/api/streams/${id}/watch`, { method: "POST" });
    const { assignment } = (await answer.json()) as { assignment: { ticket: string } };
    const slow = await ProtocolViewer.connect(`ws://127.0.0.1:${proxy.port}/ws`, assignment.ticket);
    const fast = await ProtocolViewer.watch(link);
    await slow.until((viewer) => viewer.chunks(1).length > 0);
    // Below the stream's bit rate, for long enough to fill the sockets on the way, so that the relay holds this viewer back.
    proxy.throttle(150_000);
    await fast.until((viewer) => viewer.chunks(1).length > 1000, 90_000);
    proxy.throttle(Number.POSITIVE_INFINITY);
    await slow.until(({ messages }) => messages.some(({ type }) => type === "skipped"), 60_000);
    const skipped = slow.messages.find(({ type }) => type === "skipped");
    expect(Number(skipped?.chunks)).toBeGreaterThan(0);
    // After a skip the next chunk of the picture is a key frame.
    const count = fast.chunks(1).length;
    await fast.until((viewer) => viewer.chunks(1).length > count + 60);
    const chunks = fast.chunks(1);
    chunks.slice(1).forEach((chunk, index) => {
      const previous = chunks[index];
      if (!previous) return;
      const follows = chunk.key
        ? chunk.segment === previous.segment + 1 && chunk.chunk === 0
        : chunk.segment === previous.segment && chunk.chunk === previous.chunk + 1;
      expect(follows, `${previous.segment}/${previous.chunk} then ${chunk.segment}/${chunk.chunk}`).toBe(true);
    });
    expect(fast.messages.some(({ type }) => type === "skipped")).toBe(false);
    slow.close();
    fast.close();
  } finally {
    await system.stop();
    await proxy?.close();
  }
});

test("two streams at once go to two relays and both play", async ({ system, newPage }) => {
  const links: string[] = [];
  for (const title of ["First", "Second"]) {
    links.push((await system.broadcast(["--source", "test", "--title", title])).link);
  }
  const relays = new Set<string>();
  for (const link of links) {
    const id = new URL(link).pathname.split("/").pop();
    const answer = await fetch(`${system.url}/api/streams/${id}/watch`, { method: "POST" });
    const { assignment } = (await answer.json()) as { assignment: { relays: { name: string }[] } };
    relays.add(assignment.relays[0]?.name ?? "none");
    const viewer = await newPage();
    await viewer.goto(link);
    await plays(viewer);
  }
  expect([...relays].sort()).toEqual(["relay-1", "relay-2"]);
});

test("without a relay the broadcaster is told in words", async ({ livePage }) => {
  const system = await System.start({ relays: 0 });
  try {
    const page = await livePage(system);
    await page.getByTestId("title").fill("Nowhere to go");
    await page.getByTestId("go-live").click();
    await expect(page.getByTestId("problem")).toContainText("relay");
    await expect(page.getByTestId("go-live")).toBeEnabled();
  } finally {
    await system.stop();
  }
});
