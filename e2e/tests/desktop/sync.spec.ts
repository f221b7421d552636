// Sound and picture that belong together arrive together: a page flashes and beeps at once, and what a viewer gets is compared.
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { SCREEN } from "../../src/chromium.ts";
import { Display } from "../../src/display.ts";
import { expect, test } from "../../src/fixtures.ts";
import { type MediaMessage, ProtocolViewer } from "../../src/protocol_viewer.ts";
import { percentile } from "../../src/wall_clock.ts";

const run = promisify(execFile);
const SAMPLE_RATE = 8_000;
/** Speech is felt to be out of step beyond about 125 ms either way (ITU-R BT.1359); the page's own sound output is part of this. */
const OFFSET_MS_MAX = 125;

/** Flashes and beeps once a second, both due at the same moment of the sound output's own clock. */
const FLASH_AND_BEEP = `<!doctype html><html lang="en"><meta charset="utf-8"><title>flash and beep</title>
<style>html,body{margin:0;height:100%;background:#000}</style><body><script>
const context = new AudioContext();
const gain = context.createGain(); gain.gain.value = 0; gain.connect(context.destination);
const tone = context.createOscillator(); tone.frequency.value = 880; tone.connect(gain); tone.start();
let due = 0;
const paint = () => {
  const { contextTime, performanceTime } = context.getOutputTimestamp();
  const heard = contextTime + (performance.now() - performanceTime) / 1000;
  if (context.currentTime > due + 0.5) {
    due = Math.ceil(context.currentTime + 0.5);
    gain.gain.setValueAtTime(1, due);
    gain.gain.setValueAtTime(0, due + 0.25);
  }
  document.body.style.background = performanceTime > 0 && heard >= due && heard < due + 0.25 ? "#fff" : "#000";
  requestAnimationFrame(paint);
};
paint();
</script></body></html>`;

/** The time of a chunk's first sample in seconds (`tfdt`, ISO/IEC 14496-12 8.8.12; both tracks count microseconds). */
function timeOf(chunk: MediaMessage): number {
  const at = chunk.payload.indexOf("tfdt");
  return Number(chunk.payload.readBigUInt64BE(at + 8)) / 1e6;
}

/** When a level rises above the middle of its range. */
function onsets(levels: { time: number; level: number }[]): number[] {
  const values = levels.map(({ level }) => level);
  const middle = (Math.max(...values) + Math.min(...values)) / 2;
  return levels.flatMap(({ time, level }, index) => {
    const before = levels[index - 1];
    return before && before.level < middle && level >= middle ? [time] : [];
  });
}

test("a flash and its beep arrive together", async ({ system }) => {
  const display = await Display.start(SCREEN);
  const server = createServer((_request, response) =>
    response.setHeader("content-type", "text/html").end(FLASH_AND_BEEP),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const folder = await mkdtemp(join(tmpdir(), "dead-streaming-sync-"));
  try {
    await display.startPipewire({ sound: true });
    await display.kiosk(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    const flags = ["--source", "screen", "--sound", "system", "--title", "Flash and beep"];
    const { link } = await system.broadcast(flags, display.env);
    const viewer = await ProtocolViewer.watch(link);
    const seconds = (track: number) => {
      const chunks = viewer.chunks(track);
      const [first, last] = [chunks[0], chunks.at(-1)];
      return first && last ? timeOf(last) - timeOf(first) : 0;
    };
    await viewer.until(() => seconds(1) > 12 && seconds(2) > 12, 60_000);
    viewer.close();

    const picture = join(folder, "picture.mp4");
    await writeFile(picture, viewer.file(1));
    const brightness = ["signalstats", "metadata=print:key=lavfi.signalstats.YAVG:file=-"].join(",");
    const shown = await run("ffmpeg", ["-v", "error", "-copyts", "-i", picture, "-vf", brightness, "-f", "null", "-"], {
      maxBuffer: 64 * 1024 * 1024,
    });
    const flashes = onsets(
      [...shown.stdout.matchAll(/pts_time:(\S+)\s+lavfi\.signalstats\.YAVG=(\S+)/g)].map(([, time, level]) => ({
        time: Number(time),
        level: Number(level),
      })),
    );

    const sound = join(folder, "sound.mp4");
    await writeFile(sound, viewer.file(2));
    const heard = await run(
      "ffmpeg",
      ["-v", "error", "-i", sound, "-ac", "1", "-ar", `${SAMPLE_RATE}`, "-f", "s16le", "-"],
      {
        encoding: "buffer",
        maxBuffer: 64 * 1024 * 1024,
      },
    );
    const begin = timeOf(viewer.chunks(2)[0] as MediaMessage);
    const window = SAMPLE_RATE / 200;
    const beeps = onsets(
      Array.from({ length: Math.floor(heard.stdout.length / 2 / window) }, (_, index) => {
        let level = 0;
        for (let i = 0; i < window; i++) level += Math.abs(heard.stdout.readInt16LE((index * window + i) * 2));
        return { time: begin + (index * window) / SAMPLE_RATE, level };
      }),
    );

    const offsetsMs = flashes.flatMap((flash) => {
      const nearest = Math.min(...beeps.map((beep) => Math.abs(beep - flash)));
      const beep = beeps.find((time) => Math.abs(time - flash) === nearest);
      return beep !== undefined && nearest < 0.5 ? [(beep - flash) * 1000] : [];
    });
    console.log(`beep after flash, ms: ${offsetsMs.map((ms) => ms.toFixed(0)).join(" ")}`);
    expect(offsetsMs.length).toBeGreaterThan(5);
    expect(Math.abs(percentile(offsetsMs, 0.5))).toBeLessThan(OFFSET_MS_MAX);
  } finally {
    server.close();
    await display.stop();
    await rm(folder, { recursive: true, force: true });
  }
});
