// A viewer without a picture: speaks the protocol, checks every header, keeps the bytes.
import WebSocket from "ws";

export interface MediaMessage {
  kind: "init" | "chunk";
  key: boolean;
  /** The payload is end-to-end encrypted. */
  sealed: boolean;
  track: number;
  segment: number;
  chunk: number;
  capturedAtUs: bigint;
  payload: Buffer;
  /** When it arrived, in ms of the wall clock. */
  arrivedAtMs: number;
}

interface WatchAnswer {
  assignment: { relays: { name: string; url: string }[]; ticket: string };
}

const HEADER_BYTES = 20;

export function readMediaMessage(bytes: Buffer): MediaMessage {
  if (bytes.length <= HEADER_BYTES) throw new Error(`a media message of ${bytes.length} bytes`);
  const kind = bytes.readUInt8(0);
  if (kind !== 1 && kind !== 2) throw new Error(`a media message of kind ${kind}`);
  return {
    kind: kind === 1 ? "init" : "chunk",
    key: (bytes.readUInt8(1) & 1) === 1,
    sealed: (bytes.readUInt8(1) & 2) === 2,
    track: bytes.readUInt16BE(2),
    segment: bytes.readUInt32BE(4),
    chunk: bytes.readUInt32BE(8),
    capturedAtUs: bytes.readBigUInt64BE(12),
    payload: bytes.subarray(HEADER_BYTES),
    arrivedAtMs: performance.timeOrigin + performance.now(),
  };
}

export class ProtocolViewer {
  readonly media: MediaMessage[] = [];
  readonly messages: { type: string; [field: string]: unknown }[] = [];
  readonly #socket: WebSocket;
  #changed = new Set<() => void>();
  closed = false;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("message", (data, isBinary) => {
      if (isBinary) this.media.push(readMediaMessage(data as Buffer));
      else this.messages.push(JSON.parse(data.toString()));
      this.#tell();
    });
    socket.on("close", () => {
      this.closed = true;
      this.#tell();
    });
    socket.on("error", () => {});
  }

  /** Watches the stream behind `link` (`http://.../view/{id}`), as a page does. */
  static async watch(link: string): Promise<ProtocolViewer> {
    const url = new URL(link);
    const id = url.pathname.split("/").pop();
    const answer = await fetch(`${url.origin}/api/streams/${id}/watch`, { method: "POST" });
    if (!answer.ok) throw new Error(`watch was answered ${answer.status}: ${await answer.text()}`);
    const { assignment } = (await answer.json()) as WatchAnswer;
    const relay = assignment.relays[0];
    if (!relay) throw new Error("no relay was named");
    return ProtocolViewer.connect(relay.url, assignment.ticket);
  }

  static async connect(url: string, ticket: string): Promise<ProtocolViewer> {
    const socket = new WebSocket(url, { perMessageDeflate: false });
    const viewer = new ProtocolViewer(socket);
    await new Promise<void>((resolve, reject) => socket.once("open", () => resolve()).once("error", reject));
    socket.send(JSON.stringify({ type: "watch_stream", protocol: 1, ticket }));
    return viewer;
  }

  /** Waits until `done` says so, over what has arrived. */
  async until(done: (viewer: ProtocolViewer) => boolean, timeMaxMs = 20_000): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#changed.delete(look);
        const seen = this.messages.slice(-5).map((message) => JSON.stringify(message));
        reject(new Error(`not within ${timeMaxMs} ms; ${this.media.length} media messages; last: ${seen.join(" ")}`));
      }, timeMaxMs);
      const look = () => {
        if (!done(this)) return;
        clearTimeout(timer);
        this.#changed.delete(look);
        resolve();
      };
      this.#changed.add(look);
      look();
    });
  }

  /** The bytes of a track as a file: its init segment and every chunk. */
  file(track: number): Buffer {
    const init = this.media.find((message) => message.track === track && message.kind === "init");
    if (!init) throw new Error(`track ${track} has no init segment`);
    const chunks = this.media.filter((message) => message.track === track && message.kind === "chunk");
    return Buffer.concat([init.payload, ...chunks.map((chunk) => chunk.payload)]);
  }

  chunks(track: number): MediaMessage[] {
    return this.media.filter((message) => message.track === track && message.kind === "chunk");
  }

  /** Says something to the relay. */
  say(message: { type: string; [field: string]: unknown }): void {
    this.#socket.send(JSON.stringify(message));
  }

  close(): void {
    this.#socket.terminate();
  }

  #tell(): void {
    for (const look of this.#changed) look();
  }
}
