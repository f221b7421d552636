// Watches a stream for some seconds and writes its picture track to a file. usage: watch_to_file LINK FILE SECONDS
import { writeFile } from "node:fs/promises";
import { ProtocolViewer } from "./protocol_viewer.ts";

const [link, file, seconds] = process.argv.slice(2);
if (!link || !file || !seconds) {
  console.error("usage: watch_to_file LINK FILE SECONDS");
  process.exit(2);
}
const viewer = await ProtocolViewer.watch(link);
await viewer.until(({ media }) => media.length > 0);
await new Promise((resolve) => setTimeout(resolve, Number(seconds) * 1000));
await writeFile(file, viewer.file(1));
viewer.close();
