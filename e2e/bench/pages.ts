// Pages that fill a screen under measurement, beside the clock's.

const SENTENCE = "A screen on which nothing moves is what most screens show most of the time. ";

/** A page of text on which nothing moves. */
export const STILL_PAGE = `<!doctype html><html lang="en"><meta charset="utf-8"><title>A still page</title>
<style>body{margin:48px;font:22px/1.5 serif;columns:2;background:#fff}</style>
<body>${SENTENCE.repeat(40)}`;

/**
 * A page of text with a film at 30 frames/s over it: a picture full of detail, panned and slowly turned, so that every pixel of the
 * film changes with every frame and the encoder has to work for its bits.
 */
const filmPage = (
  width: number,
  height: number,
) => `<!doctype html><html lang="en"><meta charset="utf-8"><title>A film in a page</title>
<style>html{overflow:hidden}body{margin:48px;font:22px/1.5 serif;columns:2;background:#fff}
canvas{position:fixed;left:calc(50% - ${width / 2}px);top:calc(50% - ${height / 2}px)}</style>
<body>${SENTENCE.repeat(40)}<canvas width="${width}" height="${height}"></canvas><script>
const WIDE = 2048;
const scene = new OffscreenCanvas(WIDE, WIDE);
const paint = scene.getContext("2d", { alpha: false });
let seed = 1;
const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
for (let n = 0; n < 4000; n++) {
  const [x, y, size] = [random() * WIDE, random() * WIDE, 8 + random() * random() * 160];
  const shade = paint.createLinearGradient(x, y, x + size, y + size);
  shade.addColorStop(0, "hsl(" + random() * 360 + " 50% " + (20 + random() * 60) + "%)");
  shade.addColorStop(1, "hsl(" + random() * 360 + " 50% " + (20 + random() * 60) + "%)");
  paint.fillStyle = shade;
  paint.beginPath(); paint.ellipse(x, y, size, size * (0.3 + random()), random() * 3, 0, 7); paint.fill();
}
const film = document.querySelector("canvas").getContext("2d", { alpha: false });
let shown = -1;
const frame = (now) => {
  requestAnimationFrame(frame);
  const number = Math.floor(now * 30 / 1000);
  if (number === shown) return;
  shown = number;
  const at = number / 30;
  film.setTransform(1, 0, 0, 1, ${width / 2}, ${height / 2});
  film.rotate(Math.sin(at / 5) * 0.2);
  film.drawImage(scene, -WIDE / 2 + Math.sin(at / 3) * 400, -WIDE / 2 + Math.cos(at / 4) * 500);
};
requestAnimationFrame(frame);
</script>`;

/** With a film of 960x540. */
export const FILM_PAGE = filmPage(960, 540);

/** With a film of 1440x810, for a screen of 1920x1080. */
export const LARGE_FILM_PAGE = filmPage(1440, 810);
