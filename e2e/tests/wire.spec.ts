// What comes out of a relay is what other tools accept.
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "../src/fixtures.ts";
import { ProtocolViewer } from "../src/protocol_viewer.ts";

const run = promisify(execFile);

test("what a relay sends is, put together, an MP4 that ffmpeg decodes without a warning", async ({ system }) => {
  const { link } = await system.broadcast(["--source", "test", "--title", "On the wire"]);
  const viewer = await ProtocolViewer.watch(link);
  await viewer.until((seen) => seen.chunks(1).length >= 120);
  viewer.close();
  const folder = await mkdtemp(join(tmpdir(), "dead-streaming-wire-"));
  try {
    const file = join(folder, "picture.mp4");
    const chunks = viewer.chunks(1);
    await writeFile(file, viewer.file(1));
    const decoded = await run("ffmpeg", [
      "-v",
      "warning",
      "-i",
      file,
      "-fps_mode",
      "passthrough",
      "-enc_time_base",
      "-1",
      "-f",
      "null",
      "-",
    ]);
    expect(decoded.stderr).toBe("");
    const entries = "stream=codec_name,width,height,nb_read_frames";
    const probed = await run("ffprobe", [
      "-v",
      "warning",
      "-count_frames",
      "-show_entries",
      entries,
      "-of",
      "json",
      file,
    ]);
    expect(probed.stderr).toBe("");
    const [stream] = JSON.parse(probed.stdout).streams;
    expect(stream.codec_name).toBe("h264");
    expect(Number(stream.nb_read_frames)).toBe(chunks.length);
    expect(chunks[0]?.key).toBe(true);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
