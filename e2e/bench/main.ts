// Measures the product and writes docs/performance.md. usage: npm run bench -- [--quick] [--table] [--to FOLDER] [PART...]
import "./release_binaries.ts";
import { join, resolve } from "node:path";
import { appToAppPart, screenToAppPart } from "./app.ts";
import { capacityPart } from "./capacity.ts";
import { capturePart } from "./capture.ts";
import { type Chart, draw } from "./chart.ts";
import { costPart } from "./cost.ts";
import { driftPart } from "./drift.ts";
import { fanOutPart } from "./fan_out.ts";
import { type Figure, isBusy, isMet } from "./figure.ts";
import { pageToPagePart, pageToPageSoundPart, screenToPagePart } from "./glass_to_glass.ts";
import { lateJoinPart } from "./late_join.ts";
import { lossyPart } from "./lossy.ts";
import { describeBuild, describeMachine } from "./machine.ts";
import { moqPart } from "./moq.ts";
import type { Part } from "./part.ts";
import { merge, readResults, without, writeResults } from "./results.ts";
import { Stage, sleep } from "./stage.ts";
import { streamsPart } from "./streams.ts";
import { webTransportPart } from "./webtransport.ts";

const ROOT = resolve(import.meta.dirname, "../..");
/** Between two parts, so that the end of one is not in the other. */
const REST_MS = 2_000;
/** No part may hold the others up for longer: the longest, drift, takes eleven minutes. */
const PART_TIME_MAX_MS = 20 * 60_000;

/** Browsers put their whole log into an error. */
const ERROR_CHARS_MAX = 1_000;

/** All the people of a measurement come from one address: no limit that goes by address is in their way. */
Object.assign(process.env, {
  CONNECTIONS_PER_ADDRESS: "0",
  WATCHES_PER_MINUTE: "1000000",
  CALLS_PER_MINUTE: "1000000",
  CREATES_PER_MINUTE: "1000000",
});

const PARTS: Part[] = [
  pageToPagePart,
  pageToPageSoundPart,
  screenToPagePart,
  screenToAppPart,
  appToAppPart,
  lateJoinPart,
  capturePart,
  costPart,
  fanOutPart,
  capacityPart,
  streamsPart,
  webTransportPart,
  moqPart,
  lossyPart,
  driftPart,
];

function print(figure: Figure): void {
  const met = isMet(figure);
  const target = figure.target ? `${figure.target.text}: ${met ? "met" : "MISSED"}` : "";
  const { loadBefore, loadAfter, othersCores } = figure.around;
  const around = `load ${loadBefore.toFixed(2)} → ${loadAfter.toFixed(2)}, others ${othersCores.toFixed(2)} cores`;
  console.log(`  ${figure.what}\n    ${figure.result}   ${target}\n    ${figure.notes}`);
  console.log(`    ${around}${isBusy(figure) ? ": the machine is not calm" : ""}`);
}

/** What was measured, in lines of a few words. */
function summary(figures: Figure[]): string {
  const cells = figures.map((figure) => {
    const target = figure.target ? `${figure.target.text}: ${isMet(figure) ? "met" : "MISSED"}` : "";
    return [figure.result, target, figure.what];
  });
  const width = (column: number) => Math.max(...cells.map((row) => row[column]?.length ?? 0));
  const [result, target] = [width(0), width(1)];
  const lines = cells.map(([a = "", b = "", c]) => `${a.padEnd(result)}  ${b.padEnd(target)}  ${c}`);
  const busiest = Math.max(0, ...figures.filter(isBusy).map(({ around }) => around.othersCores));
  if (busiest > 0) lines.push("", `The machine was not calm: other programs used up to ${busiest.toFixed(2)} cores.`);
  return lines.join("\n");
}

interface Arguments {
  /** Short runs, whose figures are too rough to be quoted. */
  quick: boolean;
  /** Prints a table at the end, and no details before it. */
  table: boolean;
  folder: string;
  parts: Part[];
}

function parseArguments(args: string[]): Arguments {
  const rest = [...args];
  let quick = false;
  let table = false;
  let folder = join(ROOT, "docs");
  const names: string[] = [];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (arg === "--quick") quick = true;
    else if (arg === "--table") table = true;
    else if (arg === "--to") folder = resolve(rest.shift() ?? folder);
    else names.push(arg);
  }
  const unknown = names.filter((name) => !PARTS.some((part) => part.name === name));
  if (unknown.length > 0) {
    console.error(`no such part: ${unknown.join(", ")}; there are ${PARTS.map(({ name }) => name).join(", ")}`);
    process.exit(2);
  }
  const isAsked = (part: Part) => (names.length === 0 ? !part.byNameAlone : names.includes(part.name));
  return { quick, table, folder, parts: PARTS.filter(isAsked) };
}

async function measure(part: Part, stage: Stage): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error("took too long")), PART_TIME_MAX_MS);
  });
  try {
    await Promise.race([part.measure(stage), late]);
  } finally {
    clearTimeout(timer);
    await stage.close();
  }
}

async function main(): Promise<void> {
  const { quick, table, folder, parts } = parseArguments(process.argv.slice(2));
  const machine = describeMachine();
  const build = describeBuild();
  for (const [name, value] of Object.entries(machine)) console.log(`${name}: ${value}`);
  console.log(`Commit: ${build.commit}${build.optimised ? "" : ", not the release build"}`);
  let results = await readResults(folder);
  const all: Figure[] = [];
  let failures = 0;
  let current: Stage | undefined;
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => void (current?.close() ?? Promise.resolve()).finally(() => process.exit(1)));
  }
  for (const part of parts) {
    console.log(`\n${part.name}`);
    const found: Figure[] = [];
    const drawn: Chart[] = [];
    const onFigure = (figure: Figure) => {
      if (!table) print(figure);
      found.push(figure);
    };
    current = new Stage({ part: part.name, build, quick, onFigure, onChart: (chart) => void drawn.push(chart) });
    try {
      await measure(part, current);
      // What a part no longer measures has no place in the document; what failed this time has.
      results = without(results, part.name);
    } catch (error) {
      failures += 1;
      console.error(`  failed: ${String(error).slice(0, ERROR_CHARS_MAX)}`);
    }
    results = { figures: merge(results.figures, found), charts: merge(results.charts, drawn) };
    await writeResults(folder, PARTS, machine, results);
    all.push(...found);
    await sleep(REST_MS);
  }
  if (results.charts.length > 0) await draw(folder);
  if (table) console.log(`\n${summary(all)}`);
  console.log(`\nWritten to ${join(folder, "performance.md")}.`);
  if (failures > 0) console.error(`${failures} parts failed; what they had measured before stands.`);
  process.exitCode = failures > 0 ? 1 : 0;
}

await main();
