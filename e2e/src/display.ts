// A screen, a session bus and a sound server of a test's own, all private to it and ended with it.
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Program } from "./process.ts";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const KIOSK_TIME_MAX_MS = 30_000;

interface Size {
  width: number;
  height: number;
}

export class Display {
  readonly #programs: Program[] = [];
  readonly #folder: string;
  /** What programs need to show themselves on this screen and to speak on this bus. */
  readonly env: { DISPLAY: string; XDG_RUNTIME_DIR: string; DBUS_SESSION_BUS_ADDRESS: string; [name: string]: string };

  readonly #size: Size;

  private constructor(folder: string, size: Size) {
    this.#folder = folder;
    this.#size = size;
    this.env = {
      DISPLAY: "",
      XDG_RUNTIME_DIR: folder,
      DBUS_SESSION_BUS_ADDRESS: "",
      XDG_SESSION_TYPE: "x11",
      WAYLAND_DISPLAY: "",
    };
  }

  static async start(size: Size = { width: 1280, height: 720 }): Promise<Display> {
    // mkdtemp makes it 0700, as XDG_RUNTIME_DIR has to be.
    const display = new Display(await mkdtemp(join(tmpdir(), "dead-streaming-display-")), size);
    try {
      const screen = `${size.width}x${size.height}x24`;
      // -displayfd 1: the server takes a free number and prints it.
      const x = display.run("Xvfb", "Xvfb", ["-displayfd", "1", "-screen", "0", screen, "-nolisten", "tcp"]);
      display.env.DISPLAY = `:${(await x.line(/^(\d+)$/m))[1]}`;
      const bus = display.run("dbus-daemon", "dbus-daemon", [
        "--session",
        "--print-address=1",
        "--nofork",
        "--nopidfile",
      ]);
      display.env.DBUS_SESSION_BUS_ADDRESS = (await bus.line(/^(unix:\S+)$/m))[1] ?? "";
      return display;
    } catch (error) {
      await display.stop();
      throw error;
    }
  }

  /** Starts a program on this display; it ends with it. */
  run(name: string, command: string, args: string[], env: NodeJS.ProcessEnv = {}): Program {
    const program = new Program(name, command, args, { ...this.env, ...env });
    this.#programs.push(program);
    return program;
  }

  /** Starts PipeWire and a session manager; with `sound` also its PulseAudio server, with a sink that nobody hears. */
  async startPipewire(o: { sound: boolean }): Promise<void> {
    this.run("pipewire", "pipewire", []);
    await this.#succeeds("pw-cli", ["info", "0"]);
    this.run("wireplumber", "wireplumber", []);
    if (!o.sound) return;
    this.run("pipewire-pulse", "pipewire-pulse", []);
    await this.#succeeds("pactl", ["info"]);
    await this.#succeeds("pactl", ["load-module", "module-null-sink", "sink_name=screen_sound"]);
    await this.#succeeds("pactl", ["set-default-sink", "screen_sound"]);
  }

  /** Runs a command again and again until it succeeds, for servers that don't say when they are ready. */
  async #succeeds(command: string, args: string[]): Promise<void> {
    const deadline = Date.now() + 15_000;
    for (;;) {
      const program = new Program(command, command, args, this.env);
      while (program.running) await new Promise((resolve) => setTimeout(resolve, 20));
      if ((await program.end()).code === 0) return;
      if (Date.now() > deadline) throw new Error(`${command} ${args.join(" ")} does not succeed:\n${program.output}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** Fills the screen with a page, and waits until something is painted. */
  async kiosk(url: string): Promise<void> {
    const flags = [
      ...["--kiosk", "--no-sandbox", "--disable-gpu", "--no-first-run", "--noerrdialogs", "--password-store=basic"],
      "--autoplay-policy=no-user-gesture-required",
      ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
      ...[
        "--disable-backgrounding-occluded-windows",
        "--disable-renderer-backgrounding",
        "--force-device-scale-factor=1",
      ],
      ...["--window-position=0,0", `--window-size=${this.#size.width},${this.#size.height}`],
      `--user-data-dir=${join(this.#folder, "kiosk")}`,
    ];
    const before = await this.pixels();
    this.run("kiosk", CHROMIUM, [...flags, url]);
    const deadline = Date.now() + KIOSK_TIME_MAX_MS;
    while ((await this.pixels()).equals(before)) {
      if (Date.now() > deadline) throw new Error("the screen does not change");
    }
  }

  /** What the screen shows: three bytes (red, green, blue) a pixel. */
  async pixels(): Promise<Buffer> {
    const command = ["-display", this.env.DISPLAY, "-window", "root", "-depth", "8", "rgb:-"];
    const { stdout } = await promisify(execFile)("import", command, {
      encoding: "buffer",
      maxBuffer: 64 * 1024 * 1024,
    });
    return stdout;
  }

  /** Keeps what the screen shows as a PNG. */
  async screenshot(path: string): Promise<void> {
    await this.#succeeds("import", ["-window", "root", path]);
  }

  async stop(): Promise<void> {
    for (const program of this.#programs.reverse()) await program.end();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
