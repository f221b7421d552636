// The transport over QUIC: one WebTransport session, with a stream for control messages and one for each segment, so that what is
// lost on the way holds up no more than its own segment.

import { parseToViewer, type RelayAddress } from "../protocol/messages";
import { ControlStream } from "./control_stream";
import { IncomingSegments } from "./incoming_segments";
import { OutgoingSegments } from "./outgoing_segments";
import type { OpenTransport, Transport } from "./transport";

/** How long the last words may take to leave. */
const LAST_WORDS_MS_MAX = 300;

export const openWebTransport: OpenTransport = (relay, signal) => {
  const transport = new Session();
  void transport.open(relay, signal);
  return transport;
};

class Session implements Transport {
  readonly kind = "webtransport";
  onopen: Transport["onopen"] = null;
  onmessage: Transport["onmessage"] = null;
  onclose: Transport["onclose"] = null;
  mediaOut: OutgoingSegments | null = null;
  #session: WebTransport | undefined;
  #control: ControlStream | undefined;
  #isOver = false;
  #unfollow: () => void = () => {};
  readonly #incoming = new IncomingSegments({
    media: ({ head, payload }) => {
      // Both are views of one message.
      this.onmessage?.(new Uint8Array(head.buffer, head.byteOffset, head.length + payload.length));
    },
    malformed: () => this.close(),
  });

  async open({ webtransport }: RelayAddress, signal: AbortSignal): Promise<void> {
    const close = () => this.close();
    signal.addEventListener("abort", close, { once: true });
    this.#unfollow = () => signal.removeEventListener("abort", close);
    // Handlers are set by now.
    await Promise.resolve();
    if (signal.aborted || !webtransport) return this.close();
    try {
      const session = connect(webtransport);
      this.#session = session;
      session.closed.then(close, close);
      await session.ready;
      const stream = await session.createBidirectionalStream();
      if (this.#isOver) return;
      this.#control = new ControlStream(stream, { text: (text) => this.#take(text), over: close });
      void this.#incoming.readAll(session.incomingUnidirectionalStreams);
      this.mediaOut = new OutgoingSegments((sendOrder) => session.createUnidirectionalStream({ sendOrder }));
      this.onopen?.();
    } catch {
      this.close();
    }
  }

  send(text: string): void {
    this.#control?.send(text);
  }

  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#unfollow();
    this.#incoming.end();
    this.mediaOut = null;
    void this.#leave();
    this.onclose?.();
  }

  async #leave(): Promise<void> {
    // Closing the session would take back what has not left yet. A dead relay is not waited for.
    const patience = new Promise((resolve) => setTimeout(resolve, LAST_WORDS_MS_MAX));
    await Promise.race([this.#control?.finish(), patience]);
    try {
      this.#session?.close();
    } catch {
      // It was over already.
    }
  }

  #take(text: string): void {
    if (this.#isOver) return;
    const parsed = parseToViewer(text);
    this.onmessage?.(text);
    // What waits for this word comes behind it.
    if (parsed.kind === "message" && parsed.message.type === "watching")
      this.#incoming.announced(parsed.message.selected);
  }
}

function connect({ url, certificate_hashes }: NonNullable<RelayAddress["webtransport"]>): WebTransport {
  const serverCertificateHashes = certificate_hashes.map((hash) => ({ algorithm: "sha-256", value: bytesOf(hash) }));
  return new WebTransport(url, {
    ...(serverCertificateHashes.length > 0 ? { serverCertificateHashes } : {}),
    congestionControl: "low-latency",
  });
}

function bytesOf(hex: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
