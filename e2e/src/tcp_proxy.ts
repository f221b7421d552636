// A TCP proxy that can cut, throttle and black-hole the connections that go through it.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { Transform } from "node:stream";

/** Lets at most so many bytes a second through, in small steps, holding its source back meanwhile. */
class Throttle extends Transform {
  bytesPerSecond = Number.POSITIVE_INFINITY;

  override _transform(bytes: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (this.bytesPerSecond === Number.POSITIVE_INFINITY) {
      this.push(bytes);
      done();
      return;
    }
    this.push(bytes);
    setTimeout(done, (bytes.length / this.bytesPerSecond) * 1000);
  }
}

interface Pair {
  client: Socket;
  server: Socket;
  down: Throttle;
}

export class TcpProxy {
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  /** Every connection that was ever made through the proxy. */
  connections = 0;
  #bytesPerSecond = Number.POSITIVE_INFINITY;
  #refusing = false;

  private constructor(targetPort: number) {
    this.#server = createServer((client) => this.#join(client, targetPort));
  }

  /** A proxy on a free port in front of `127.0.0.1:targetPort`. */
  static async before(targetPort: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(targetPort);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Breaks every connection that is open. */
  cut(): void {
    for (const pair of this.#pairs) {
      pair.client.resetAndDestroy();
      pair.server.destroy();
    }
  }

  /** Refuses new connections, or takes them again. */
  refuse(refusing: boolean): void {
    this.#refusing = refusing;
  }

  /** Bounds what flows to clients, for the connections that are open and those to come. */
  throttle(bytesPerSecond: number): void {
    this.#bytesPerSecond = bytesPerSecond;
    for (const pair of this.#pairs) pair.down.bytesPerSecond = bytesPerSecond;
  }

  async close(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }

  #join(client: Socket, targetPort: number): void {
    if (this.#refusing) {
      client.resetAndDestroy();
      return;
    }
    this.connections += 1;
    const server = connect(targetPort, "127.0.0.1");
    // Small buffers, so that a throttled connection pushes back on the server instead of filling this process.
    const down = new Throttle({ highWaterMark: 4096 });
    down.bytesPerSecond = this.#bytesPerSecond;
    const pair = { client, server, down };
    this.#pairs.add(pair);
    client.setNoDelay(true);
    server.setNoDelay(true);
    client.pipe(server);
    server.pipe(down).pipe(client);
    const end = () => {
      this.#pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) socket.on("error", end).on("close", end);
  }
}
