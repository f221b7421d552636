// A machine-readable clock: the wall time painted as black and white blocks, read back from the pixels of a video. What one page
// paints and another reads tells the latency from one screen to the other, when both run on one machine.
//
// Two rows of blocks at the top left: a white and a black block to find the frame by, then 20 bits of the wall time in
// milliseconds, most significant first; the row below holds the inverse, so that a blurred or foreign picture is not taken for one.

/** Edge of a block in pixels; large enough to survive H.264 and a scaled picture. */
export const BLOCK_PX = 32;
/** Bits of the time: it wraps after 2^20 ms, 17.5 minutes. */
export const TIME_BITS = 20;
export const WRAP_MS = 2 ** TIME_BITS;

/** A page that paints the clock with every frame of its screen, and a moving picture under it. */
export function clockPage(title: string): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${title}</title>
<style>html,body{margin:0;background:#223;overflow:hidden}canvas{display:block}</style></head><body><canvas></canvas><script>
const canvas = document.querySelector("canvas");
const context = canvas.getContext("2d", { alpha: false });
const fit = () => { canvas.width = innerWidth; canvas.height = innerHeight; };
addEventListener("resize", fit); fit();
const paint = () => {
  const wallMs = Math.round(performance.timeOrigin + performance.now());
  const { width, height } = canvas;
  context.fillStyle = "#223"; context.fillRect(0, 0, width, height);
  for (let i = 0; i < 12; i++) {
    const angle = wallMs / 900 + i;
    context.fillStyle = "hsl(" + ((wallMs / 20 + i * 30) % 360) + " 70% 55%)";
    context.fillRect(width / 2 + Math.cos(angle) * width / 3, height / 2 + Math.sin(angle * 1.3) * height / 4, 60, 60);
  }
  const bits = [1, 0];
  for (let bit = ${TIME_BITS - 1}; bit >= 0; bit--) bits.push(Math.floor((wallMs % ${WRAP_MS}) / 2 ** bit) % 2);
  bits.forEach((bit, column) => {
    for (const row of [0, 1]) {
      context.fillStyle = (bit ^ row) ? "#fff" : "#000";
      context.fillRect(column * ${BLOCK_PX}, row * ${BLOCK_PX}, ${BLOCK_PX}, ${BLOCK_PX});
    }
  });
  requestAnimationFrame(paint);
};
paint();
</script></body></html>`;
}

/** One reading of a video's frames. */
export interface Reading {
  /** From the moment the picture was painted to the moment its frame was due on the screen, in ms. */
  latenciesMs: number[];
  /** Time between two frames shown, in ms. */
  gapsMs: number[];
  /** Frames in which no clock could be found. */
  unreadable: number;
  /** Frames that were shown without the page being told in time to read them. */
  missed: number;
  /** Width and height of the last frame. */
  width: number;
  height: number;
}

/**
 * Runs inside a page (it refers to nothing outside itself): reads the clock in every frame that `<live-player>`'s video shows for
 * `durationMs`, or until so many frames were read as `frames` says. `scale` is the video's width over the width of the screen on which the clock was painted.
 */
export function readClock(o: { durationMs: number; screenWidth: number; frames?: number }): Promise<Reading> {
  const BLOCK = 32;
  const BITS = 20;
  const WRAP = 2 ** 20;
  const find = (): HTMLVideoElement | null => {
    const player = document.querySelector("live-player") as (HTMLElement & { video?: HTMLVideoElement }) | null;
    return player?.video ?? document.querySelector("video");
  };
  return new Promise((resolve, reject) => {
    const video = find();
    if (!video) return reject(new Error("there is no video in the page"));
    const canvas = document.createElement("canvas");
    canvas.width = (BITS + 2) * BLOCK;
    canvas.height = 2 * BLOCK;
    const context = canvas.getContext("2d", { willReadFrequently: true, alpha: false });
    if (!context) return reject(new Error("no canvas"));
    const reading: Reading = { latenciesMs: [], gapsMs: [], unreadable: 0, missed: 0, width: 0, height: 0 };
    const end = performance.now() + o.durationMs;
    let last = 0;
    let presented = 0;
    const timer = setTimeout(() => resolve(reading), o.durationMs + 1000);
    const read = (shownAt: number) => {
      const scale = video.videoWidth / o.screenWidth;
      context.drawImage(video, 0, 0, canvas.width * scale, canvas.height * scale, 0, 0, canvas.width, canvas.height);
      const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
      const bit = (column: number, row: number) => {
        const x = column * BLOCK + BLOCK / 2;
        const y = row * BLOCK + BLOCK / 2;
        const level = data[(y * canvas.width + x) * 4 + 1] ?? 128;
        return level > 170 ? 1 : level < 85 ? 0 : -1;
      };
      let value = 0;
      let valid = bit(0, 0) === 1 && bit(1, 0) === 0;
      for (let column = 0; column < BITS + 2; column++) {
        const upper = bit(column, 0);
        if (upper < 0 || upper === bit(column, 1)) valid = false;
        if (column >= 2) value = value * 2 + upper;
      }
      reading.width = video.videoWidth;
      reading.height = video.videoHeight;
      if (last > 0) reading.gapsMs.push(shownAt - last);
      last = shownAt;
      if (!valid) {
        reading.unreadable += 1;
        return;
      }
      const wall = (performance.timeOrigin + shownAt) % WRAP;
      reading.latenciesMs.push(((wall - value + WRAP + WRAP / 2) % WRAP) - WRAP / 2);
    };
    const frame = (now: number, metadata: VideoFrameCallbackMetadata) => {
      if (presented > 0) reading.missed += Math.max(0, metadata.presentedFrames - presented - 1);
      presented = metadata.presentedFrames;
      read(Math.max(now, metadata.expectedDisplayTime || 0));
      if (performance.now() < end && reading.latenciesMs.length < (o.frames ?? Number.POSITIVE_INFINITY)) {
        video.requestVideoFrameCallback(frame);
      } else {
        clearTimeout(timer);
        resolve(reading);
      }
    };
    video.requestVideoFrameCallback(frame);
  });
}

/** The value below which `share` (0 to 1) of the values lie. */
export function percentile(values: number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
