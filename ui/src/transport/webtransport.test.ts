import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { decodeMediaMessage, encodeMediaMessage } from "../protocol/media_message";
import type { RelayAddress } from "../protocol/messages";
import { FakeSession } from "./fixtures/session";
import { STALL_MS_MAX } from "./track_order";
import type { Transport } from "./transport";
import { openWebTransport } from "./webtransport";

const RELAY: RelayAddress = {
  name: "a",
  url: "ws://a/ws",
  webtransport: { url: "https://a/wt", certificate_hashes: ["00ff07".padEnd(64, "0")] },
};
const WATCHING = { type: "watching", stream: "s", tracks: [], selected: [1] };

const message = (kind: "init" | "chunk", segment: number, chunk: number, track = 1) =>
  encodeMediaMessage(
    { kind, key: chunk === 0, sealed: false, track, segment, chunk, capturedAtUs: segment * 2_000_000 + chunk },
    new Uint8Array(9),
  );
const init = message("init", 0, 0);

/** What a page hears of its transport. */
class Page {
  heard: string[] = [];
  life = new AbortController();
  transport: Transport;
  constructor(relay = RELAY) {
    this.transport = openWebTransport(relay, this.life.signal);
    this.transport.onopen = () => this.heard.push("open");
    this.transport.onclose = () => this.heard.push("closed");
    this.transport.onmessage = (data) =>
      this.heard.push(typeof data === "string" ? JSON.parse(data).type : place(data));
  }
}
function place(data: ArrayBuffer | Uint8Array<ArrayBuffer>): string {
  const decoded = decodeMediaMessage(data);
  if (!decoded.ok) return decoded.error;
  const { kind, segment, chunk } = decoded.header;
  return kind === "init" ? "init" : `${segment}/${chunk}`;
}
/** Lets what was set going come to an end. */
const settle = () => vi.advanceTimersByTimeAsync(0);
async function opened(): Promise<{ page: Page; session: FakeSession }> {
  const page = new Page();
  await settle();
  const session = FakeSession.made.at(-1) as FakeSession;
  session.accept();
  await settle();
  return { page, session };
}

class FakeError extends Error {
  readonly streamErrorCode: number | null;
  constructor(text: string, { streamErrorCode = null }: { streamErrorCode?: number | null }) {
    super(text);
    this.streamErrorCode = streamErrorCode;
  }
}

beforeEach(() => {
  FakeSession.made = [];
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  vi.stubGlobal("WebTransport", FakeSession);
  vi.stubGlobal("WebTransportError", FakeError);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("opening", () => {
  it("names the certificates that the relay may show", async () => {
    const { page, session } = await opened();
    const [hash] = session.options.serverCertificateHashes ?? [];
    expect([session.url, hash?.algorithm]).toEqual(["https://a/wt", "sha-256"]);
    expect([...new Uint8Array(hash?.value as ArrayBuffer)].slice(0, 4)).toEqual([0, 255, 7, 0]);
    expect(page.heard).toEqual(["open"]);
  });

  it("trusts the usual authorities where the relay names none", async () => {
    new Page({ ...RELAY, webtransport: { url: "https://a/wt", certificate_hashes: [] } });
    await settle();
    expect(FakeSession.made[0]?.options).not.toHaveProperty("serverCertificateHashes");
  });

  it("that is refused is the end", async () => {
    const page = new Page();
    await settle();
    FakeSession.made[0]?.refuse();
    await settle();
    expect(page.heard).toEqual(["closed"]);
  });

  it("an address that the browser does not take is the end", async () => {
    vi.stubGlobal("WebTransport", () => {
      throw new SyntaxError("no");
    });
    const page = new Page();
    await settle();
    expect(page.heard).toEqual(["closed"]);
  });

  it("that is given up opens nothing", async () => {
    const page = new Page();
    page.life.abort();
    await settle();
    expect([page.heard, FakeSession.made]).toEqual([["closed"], []]);
  });
});

describe("what a viewer hears", () => {
  it("is what the relay says, and media behind its word on them", async () => {
    const { page, session } = await opened();
    page.transport.send(JSON.stringify({ type: "watch_stream" }));
    const stream = session.opens();
    stream.brings(init, message("chunk", 7, 0));
    await settle();
    expect(page.heard).toEqual(["open"]);
    session.says(WATCHING);
    await settle();
    stream.brings(message("chunk", 7, 1));
    await settle();
    expect([session.heard, page.heard]).toEqual([
      [{ type: "watch_stream" }],
      ["open", "watching", "init", "7/0", "7/1"],
    ]);
  });

  it("comes in order, whichever stream is first", async () => {
    const { page, session } = await opened();
    session.says(WATCHING);
    const [first, second] = [session.opens(), session.opens()];
    first.brings(init, message("chunk", 7, 0));
    await settle();
    second.brings(init, message("chunk", 8, 0));
    second.ends();
    await settle();
    first.brings(message("chunk", 7, 1));
    first.ends();
    await settle();
    expect(page.heard.slice(2)).toEqual(["init", "7/0", "7/1", "8/0"]);
  });

  it("goes on with the next segment where the relay breaks one off", async () => {
    const { page, session } = await opened();
    session.says(WATCHING);
    const [first, second] = [session.opens(), session.opens()];
    first.brings(init, message("chunk", 7, 0));
    second.brings(init, message("chunk", 8, 0));
    await settle();
    expect(page.heard.at(-1)).toBe("7/0");
    first.resets();
    await settle();
    expect(page.heard.at(-1)).toBe("8/0");
  });

  it("goes on where one stalls, and the relay is told", async () => {
    const { page, session } = await opened();
    session.says(WATCHING);
    const [first, second] = [session.opens(), session.opens()];
    first.brings(init, message("chunk", 7, 0));
    second.brings(init, message("chunk", 8, 0));
    await vi.advanceTimersByTimeAsync(STALL_MS_MAX);
    expect([page.heard.at(-1), (first.stopped as FakeError).streamErrorCode]).toEqual(["8/0", 2]);
  });

  it("leaves out what it does not know, and ends with what is no message", async () => {
    const { page, session } = await opened();
    session.says(WATCHING);
    const stream = session.opens();
    const odd = message("chunk", 7, 0);
    odd[0] = 9;
    stream.brings(init, odd, message("chunk", 7, 0));
    await settle();
    expect(page.heard.slice(2)).toEqual(["init", "7/0"]);
    stream.bytes(255, 255, 255, 255);
    await settle();
    expect([page.heard.at(-1), session.isClosed]).toEqual(["closed", true]);
  });

  it("is nothing more once it has left", async () => {
    const { page, session } = await opened();
    session.says(WATCHING);
    const stream = session.opens();
    stream.brings(init, message("chunk", 7, 0));
    await settle();
    page.life.abort();
    stream.brings(message("chunk", 7, 1));
    session.says({ type: "viewers", count: 1 });
    await settle();
    expect([page.heard.slice(2), session.isClosed]).toEqual([["init", "7/0", "closed"], true]);
    expect(vi.getTimerCount()).toBe(1);
  });
});

describe("the end", () => {
  it.each([
    ["the session breaks", (session: FakeSession) => session.breaks()],
    ["the relay closes it", (session: FakeSession) => session.close()],
    ["the relay says no more", (session: FakeSession) => session.control.in.ends()],
    ["its words are none", (session: FakeSession) => session.control.in.bytes(0, 0, 0, 0)],
  ])("comes once when %s", async (_name, ends) => {
    const { page, session } = await opened();
    ends(session);
    await settle();
    page.life.abort();
    await settle();
    expect(page.heard).toEqual(["open", "closed"]);
  });

  it("comes after the last words", async () => {
    const { page, session } = await opened();
    page.transport.send(JSON.stringify({ type: "end_stream" }));
    page.life.abort();
    expect(session.isClosed).toBe(false);
    await settle();
    expect([session.heard, session.control.out.finished, session.isClosed]).toEqual([
      [{ type: "end_stream" }],
      true,
      true,
    ]);
  });

  it("does not wait for a relay that takes nothing more", async () => {
    const { page, session } = await opened();
    session.control.out.clogs();
    page.transport.send("{}");
    page.life.abort();
    await vi.advanceTimersByTimeAsync(1000);
    expect(session.isClosed).toBe(true);
  });
});

describe("what a broadcaster sends", () => {
  const KEY = { track: 1, key: true, urgency: 1 };
  const DELTA = { track: 1, key: false, urgency: 1 };
  const bytes = (value: number) => Uint8Array.of(value);
  const INIT = bytes(100);
  const sent = (session: FakeSession) => session.outgoing.map(({ messages }) => messages.map(([byte]) => byte));

  it("is a stream for each segment, behind its init segment", async () => {
    const { page, session } = await opened();
    const out = page.transport.mediaOut;
    expect(out?.send(DELTA, bytes(0), INIT)).toBe(false);
    expect([out?.send(KEY, bytes(1), INIT), out?.send(DELTA, bytes(2), INIT)]).toEqual([true, true]);
    out?.send({ track: 2, key: true, urgency: 2 }, bytes(3), INIT);
    out?.send(KEY, bytes(4), INIT);
    await settle();
    expect(sent(session)).toEqual([
      [100, 1, 2],
      [100, 3],
      [100, 4],
    ]);
    expect(session.outgoing.map(({ finished }) => finished)).toEqual([true, false, false]);
    const [old = 0, sound = 0, fresh = 0] = session.outgoing.map(({ order }) => order);
    expect([sound > fresh, fresh > old]).toEqual([true, true]);
    expect(out?.unsentBytes).toBe(0);
  });

  it("can be given up, also what is finished and has not left", async () => {
    const { page, session } = await opened();
    const out = page.transport.mediaOut;
    out?.send(KEY, bytes(1), INIT);
    await settle();
    session.outgoing[0]?.clogs();
    out?.send(DELTA, bytes(2), INIT);
    await settle();
    expect(out?.unsentBytes).toBe(5);
    out?.send(KEY, bytes(3), INIT);
    out?.send({ track: 2, key: true, urgency: 2 }, bytes(4), INIT);
    out?.giveUp(1);
    expect(out?.send(DELTA, bytes(5), INIT)).toBe(false);
    expect(out?.send({ track: 2, key: false, urgency: 2 }, bytes(6), INIT)).toBe(true);
    await settle();
    const codes = session.outgoing.map(({ aborted }) => (aborted as FakeError | null)?.streamErrorCode);
    expect([codes, out?.unsentBytes]).toEqual([[1, 1, undefined], 0]);
  });

  it("goes on with the next key frame where the relay does not want the rest of a segment", async () => {
    const { page, session } = await opened();
    const out = page.transport.mediaOut;
    const lost: number[] = [];
    if (out) out.onlost = (track) => lost.push(track);
    out?.send(KEY, bytes(1), INIT);
    await settle();
    session.outgoing[0]?.stops();
    await settle();
    expect(lost).toEqual([1]);
    expect(out?.send(DELTA, bytes(2), INIT)).toBe(false);
    out?.send(KEY, bytes(3), INIT);
    await settle();
    expect(sent(session)[1]).toEqual([100, 3]);
  });
});
