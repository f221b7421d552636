import { afterEach, describe, expect, it, vi } from "vitest";
import { newContentKey } from "../protocol/content_key";
import { decodeMediaMessage, encodeMediaMessage, type MediaHeader, type MediaMessage } from "../protocol/media_message";
import { Sealer, StreamKey } from "../protocol/seal";
import { Unsealing } from "./unsealing";

const STREAM = "a3aca7d499d2a4e80d6338a04dfc936f";
const header = (kind: "init" | "chunk", segment: number, chunk: number, track = 1): MediaHeader => ({
  kind,
  key: kind === "chunk" && chunk === 0,
  sealed: false,
  track,
  segment,
  chunk,
  capturedAtUs: 1,
});
const payload = Uint8Array.of(1, 2, 3);

function read(bytes: Uint8Array<ArrayBuffer>): MediaMessage {
  const decoded = decodeMediaMessage(bytes);
  if (!decoded.ok) throw new Error(decoded.error);
  return decoded;
}

class Viewer {
  heard: string[] = [];
  life = new AbortController();
  unsealing: Unsealing;
  constructor(key: string | null) {
    const events = {
      media: (h: MediaHeader) => void this.heard.push(`media ${h.kind} ${h.track}/${h.segment}/${h.chunk}`),
      locked: (why: string, forGood: boolean) => void this.heard.push(`${why}${forGood ? " for good" : ""}`),
      opened: () => void this.heard.push("opened"),
    };
    this.unsealing = new Unsealing(STREAM, key, events, this.life.signal);
  }
  async takes(...messages: Uint8Array<ArrayBuffer>[]) {
    for (const message of messages) this.unsealing.take(read(message));
    await vi.waitUntil(() => this.heard.length > 0);
    // Everything that was under way is done once a later macrotask runs and nothing more comes.
    for (let known = -1; known !== this.heard.length; ) {
      known = this.heard.length;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

const sealed = async (key: string, ...headers: MediaHeader[]) => {
  const sealer = new Sealer(new StreamKey(key, STREAM));
  return Promise.all(headers.map((each) => sealer.seal(each, payload)));
};

afterEach(() => vi.unstubAllGlobals());

describe("a link with the key", () => {
  it("shows what was sealed with it", async () => {
    const key = newContentKey();
    const viewer = new Viewer(key);
    await viewer.takes(...(await sealed(key, header("init", 0, 0), header("chunk", 3, 0), header("chunk", 3, 1))));
    expect(viewer.heard).toEqual(["opened", "media init 1/0/0", "media chunk 1/3/0", "media chunk 1/3/1"]);
    expect(viewer.unsealing.tampered).toBe(0);
  });

  it("never shows what is not sealed, and says so", async () => {
    const viewer = new Viewer(newContentKey());
    await viewer.takes(encodeMediaMessage(header("init", 0, 0), payload));
    expect(viewer.heard).toEqual(["not_sealed"]);
    expect(viewer.unsealing.tampered).toBe(1);
  });

  it("counts and leaves out what was slipped in among what was sealed", async () => {
    const key = newContentKey();
    const viewer = new Viewer(key);
    const [init, first, second] = await sealed(key, header("init", 0, 0), header("chunk", 3, 0), header("chunk", 3, 1));
    if (!init || !first || !second) throw new Error("nothing sealed");
    await viewer.takes(init, first, encodeMediaMessage(header("chunk", 3, 1), payload), first, second);
    expect(viewer.heard).toEqual(["opened", "media init 1/0/0", "media chunk 1/3/0", "media chunk 1/3/1"]);
    expect(viewer.unsealing.tampered).toBe(2);
  });

  it("of another stream says that it is the wrong key, until something opens", async () => {
    const [key, other] = [newContentKey(), newContentKey()];
    const viewer = new Viewer(key);
    const [foreign] = await sealed(other, header("init", 0, 0));
    const [ours] = await sealed(key, header("init", 0, 0));
    if (!foreign || !ours) throw new Error("nothing sealed");
    await viewer.takes(foreign);
    expect(viewer.heard).toEqual(["wrong_key"]);
    await viewer.takes(ours);
    expect(viewer.heard).toEqual(["wrong_key", "opened", "media init 1/0/0"]);
  });

  it("is of no use where the browser lends no cryptography", () => {
    const viewer = new Viewer(newContentKey());
    vi.stubGlobal("crypto", {});
    viewer.unsealing.announced(true);
    expect(viewer.heard).toEqual(["insecure_context for good"]);
  });

  it("gives nothing to a playback that is over", async () => {
    const key = newContentKey();
    const viewer = new Viewer(key);
    const [init] = await sealed(key, header("init", 0, 0));
    if (!init) throw new Error("nothing sealed");
    viewer.unsealing.take(read(init));
    viewer.life.abort();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(viewer.heard).toEqual([]);
  });
});

describe("a link without a key", () => {
  it("shows what is not sealed", async () => {
    const viewer = new Viewer(null);
    viewer.unsealing.announced(false);
    await viewer.takes(encodeMediaMessage(header("init", 0, 0), payload));
    expect(viewer.heard).toEqual(["media init 1/0/0"]);
  });

  it("says what is missing when the stream is announced as sealed, or turns out to be", async () => {
    const announced = new Viewer(null);
    announced.unsealing.announced(true);
    expect(announced.heard).toEqual(["no_key for good"]);
    const found = new Viewer(null);
    await found.takes(...(await sealed(newContentKey(), header("init", 0, 0))));
    expect(found.heard).toEqual(["no_key for good"]);
  });
});
