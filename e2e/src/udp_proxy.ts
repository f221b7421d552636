// A UDP proxy with weather before a server: it delays, loses, throttles and swallows datagrams.
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";
import type { AddressInfo } from "node:net";

/** What a datagram meets on its way, in both directions. What is not named stays as it is. */
export interface Conditions {
  delayMs?: number;
  /** The share that is lost. */
  loss?: number;
  /** All is lost. */
  blackHole?: boolean;
  /** From clients to the server; 0 is no bound. */
  upBytesPerSecond?: number;
}

/** A slow line drops what would wait for longer than this, as routers do. */
const QUEUE_MS_MAX = 200;

export class UdpProxy {
  /** Every client that ever sent something: browsers take a port of its own for each session. */
  clients = 0;
  datagrams = 0;
  readonly #socket: Socket;
  readonly #targetPort: number;
  readonly #sockets = new Map<number, Socket>();
  #conditions: Required<Conditions> = { delayMs: 0, loss: 0, blackHole: false, upBytesPerSecond: 0 };
  /** When the slow line has sent all that it was given. */
  #freeAtMs = 0;
  /** The same losses in each run. */
  #seed = 1;

  private constructor(socket: Socket, targetPort: number) {
    this.#socket = socket;
    this.#targetPort = targetPort;
    socket.on("message", (bytes, from) => this.#up(bytes, from));
  }

  /** A proxy on a free port in front of `127.0.0.1:targetPort`. */
  static async before(targetPort: number): Promise<UdpProxy> {
    const socket = createSocket("udp4");
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    return new UdpProxy(socket, targetPort);
  }

  get port(): number {
    return (this.#socket.address() as AddressInfo).port;
  }

  set(conditions: Conditions): void {
    this.#conditions = { ...this.#conditions, ...conditions };
  }

  close(): void {
    for (const socket of [this.#socket, ...this.#sockets.values()]) socket.close();
    this.#sockets.clear();
  }

  #up(bytes: Buffer, from: RemoteInfo): void {
    this.datagrams += 1;
    let upstream = this.#sockets.get(from.port);
    if (!upstream) {
      this.clients += 1;
      upstream = createSocket("udp4");
      upstream.on("message", (answer) => {
        this.#pass(0, () => this.#socket.send(answer, from.port, from.address));
      });
      // A server that is gone refuses; the client is to find out as on a real network.
      upstream.on("error", () => {});
      this.#sockets.set(from.port, upstream);
    }
    const socket = upstream;
    const waitMs = this.#queue(bytes.length);
    if (waitMs !== null) this.#pass(waitMs, () => socket.send(bytes, this.#targetPort, "127.0.0.1"));
  }

  /** How long the slow line takes until it has sent this; null when it has no room. */
  #queue(bytes: number): number | null {
    const { upBytesPerSecond } = this.#conditions;
    if (upBytesPerSecond === 0) return 0;
    const now = performance.now();
    const free = Math.max(now, this.#freeAtMs);
    if (free - now > QUEUE_MS_MAX) return null;
    this.#freeAtMs = free + (bytes * 1000) / upBytesPerSecond;
    return this.#freeAtMs - now;
  }

  #pass(waitMs: number, send: () => void): void {
    const { blackHole, loss, delayMs } = this.#conditions;
    this.#seed = (this.#seed * 1103515245 + 12345) % 2147483648;
    if (blackHole || this.#seed / 2147483648 < loss) return;
    const late = () => {
      if (this.#sockets.size > 0) send();
    };
    if (waitMs + delayMs > 0) setTimeout(late, waitMs + delayMs);
    else late();
  }
}
