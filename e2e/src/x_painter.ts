// Paints rectangles on an X screen, over whatever is there, and tells when: the X protocol, as far as that takes it.
import { once } from "node:events";
import { createConnection, type Socket } from "node:net";

export interface Rectangle {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** Ids of the server's own objects are built from its base; one is enough here. */
const CONTEXT_NUMBER = 1;
const REPLY_BYTES = 32;
const SETUP_HEAD_BYTES = 8;

/** Opcodes of the core protocol. */
const CREATE_GC = 55;
const CHANGE_GC = 56;
const POLY_FILL_RECTANGLE = 70;
const GET_INPUT_FOCUS = 43;

/** What a graphics context is told: its colour; to paint over windows; to report nothing. */
const FOREGROUND = 0x4;
const SUBWINDOW_MODE = 0x8000;
const GRAPHICS_EXPOSURES = 0x10000;
const INCLUDE_INFERIORS = 1;

export class XPainter {
  readonly #socket: Socket;
  #received = Buffer.alloc(0);
  #root = 0;
  #context = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (bytes) => {
      this.#received = Buffer.concat([this.#received, bytes]);
    });
  }

  /** Opens a display of this machine that asks for no authority: `:7`. */
  static async open(display: string): Promise<XPainter> {
    const socket = createConnection(`/tmp/.X11-unix/X${display.replace(/^:/, "")}`);
    await once(socket, "connect");
    const painter = new XPainter(socket);
    await painter.#setUp();
    return painter;
  }

  /** Paints; gives the moment before it was asked for, in ms of the wall clock. The server has done it by then. */
  async fill(colour: number, { x, y, width, height }: Rectangle): Promise<number> {
    const at = performance.timeOrigin + performance.now();
    this.#socket.write(
      Buffer.concat([
        request(CHANGE_GC, [this.#context, FOREGROUND, colour]),
        request(POLY_FILL_RECTANGLE, [this.#root, this.#context, (y << 16) | x, (height << 16) | width]),
        request(GET_INPUT_FOCUS, []),
      ]),
    );
    await this.#take(REPLY_BYTES);
    return at;
  }

  close(): void {
    this.#socket.destroy();
  }

  async #setUp(): Promise<void> {
    this.#socket.write(Buffer.from([0x6c, 0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
    const head = await this.#take(SETUP_HEAD_BYTES);
    const rest = await this.#take(head.readUInt16LE(6) * 4);
    if (head[0] !== 1) throw new Error(`the X server refuses: ${rest.toString()}`);
    const vendorBytes = (rest.readUInt16LE(16) + 3) & ~3;
    const formats = rest.readUInt8(21);
    this.#root = rest.readUInt32LE(32 + vendorBytes + formats * 8);
    this.#context = rest.readUInt32LE(4) | CONTEXT_NUMBER;
    const values = FOREGROUND | SUBWINDOW_MODE | GRAPHICS_EXPOSURES;
    this.#socket.write(request(CREATE_GC, [this.#context, this.#root, values, 0, INCLUDE_INFERIORS, 0]));
  }

  async #take(bytes: number): Promise<Buffer> {
    while (this.#received.length < bytes) await once(this.#socket, "data");
    const taken = this.#received.subarray(0, bytes);
    this.#received = this.#received.subarray(bytes);
    return taken;
  }
}

function request(opcode: number, words: number[]): Buffer {
  const bytes = Buffer.alloc(4 + 4 * words.length);
  bytes.writeUInt8(opcode, 0);
  bytes.writeUInt16LE(1 + words.length, 2);
  for (const [n, word] of words.entries()) bytes.writeUInt32LE(word >>> 0, 4 + 4 * n);
  return bytes;
}
