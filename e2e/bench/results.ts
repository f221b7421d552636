// Results are kept beside the document they make, so that a run of some parts leaves the others' figures standing.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CHARTS_FOLDER, type Chart } from "./chart.ts";
import { CALM_CORES_MAX, type Figure, isBusy, isMet } from "./figure.ts";
import type { Part } from "./part.ts";

/** What was measured, in this run and in earlier ones. */
export interface Results {
  figures: Figure[];
  charts: Chart[];
}

export async function readResults(folder: string): Promise<Results> {
  try {
    const kept = JSON.parse(await readFile(join(folder, "performance.json"), "utf8")) as Partial<Results>;
    return { figures: kept.figures ?? [], charts: kept.charts ?? [] };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return { figures: [], charts: [] };
    throw error;
  }
}

/** The results of all parts but one. */
export function without({ figures, charts }: Results, name: string): Results {
  const isOther = ({ part }: { part: string }) => part !== name;
  return { figures: figures.filter(isOther), charts: charts.filter(isOther) };
}

/** What there was, with what is new in place of that of the same id. */
export function merge<T extends { id: string }>(earlier: T[], now: T[]): T[] {
  const ids = new Set(now.map(({ id }) => id));
  return [...earlier.filter(({ id }) => !ids.has(id)), ...now];
}

export async function writeResults(
  folder: string,
  parts: Part[],
  machine: Record<string, string>,
  results: Results,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const order = parts.map(({ name }) => name);
  const known = <T extends { part: string }>(all: T[]) =>
    all.filter(({ part }) => order.includes(part)).sort((a, b) => order.indexOf(a.part) - order.indexOf(b.part));
  const kept = { figures: known(results.figures), charts: known(results.charts) };
  await writeFile(join(folder, "performance.json"), `${JSON.stringify({ machine, ...kept }, null, 2)}\n`);
  await writeFile(join(folder, "performance.md"), document(parts, machine, kept));
}

function document(parts: Part[], machine: Record<string, string>, { figures, charts }: Results): string {
  const titles = [...new Set(parts.map(({ title }) => title))];
  const sections = titles.flatMap((title) => {
    const names = parts.filter((part) => part.title === title).map(({ name }) => name);
    const own = figures.filter(({ part }) => names.includes(part));
    if (own.length === 0) return [];
    const about = parts.flatMap((part) => (part.title === title && part.about ? [part.about] : []));
    const again = `To measure again: \`npm --prefix e2e run bench -- ${names.join(" ")}\`.`;
    const drawn = charts.filter(({ part }) => names.includes(part)).map(image);
    const drawings = drawn.length === 0 ? [] : [drawn.join("\n")];
    return [[`## ${title}`, ...about, table(own), ...drawings, again].join("\n\n")];
  });
  return `# Performance

Measured, not estimated; written by \`make bench\`. Pictures are timed by a clock that is painted at one end and read back from
the pixels at the other, all on one machine, so nothing of the network's time is in it, and everything shares the machine's cores.
Percentiles are over all frames that could be read; frames without a readable clock, and frames that the page was told of too
late to read, are counted. To measure again: \`make bench\`; one part: the command below its table, after
\`cargo build --release --workspace\`. \`make bench-quick\` prints the table of fan-out on one core in less than three minutes.

${verdict(figures)}

${rows(["", ""], Object.entries(machine))}

${sections.join("\n\n")}
`;
}

function image({ id, title, build, at, quick }: Chart): string {
  const marks = `${quick ? " ‡" : ""}${build.optimised ? "" : " §"}`;
  const made = `${at.slice(0, 16).replace("T", " ")}, ${build.commit}${marks}`;
  return `![${title}](${CHARTS_FOLDER}/${id}.svg "${made}")`;
}

/** What the reader must know before quoting a figure. */
function verdict(figures: Figure[]): string {
  const sentences: string[] = [];
  const missed = figures.filter((figure) => isMet(figure) === false);
  const held = figures.filter((figure) => isMet(figure));
  sentences.push(`**${held.length} of ${held.length + missed.length} targets are met.**`);
  if (missed.length > 0) sentences.push(`Missed: ${missed.map(({ what }) => what).join("; ")}.`);
  const busy = figures.filter(isBusy);
  if (busy.length > 0) {
    const worst = Math.max(...busy.map(({ around }) => around.othersCores)).toFixed(2);
    sentences.push(
      `**The machine was not calm:** during ${busy.length} of ${figures.length} measurements, marked †, other programs used more than ${CALM_CORES_MAX} of a core (up to ${worst}). Those figures say little about the product.`,
    );
  }
  const quick = figures.filter((figure) => figure.quick).length;
  if (quick > 0)
    sentences.push(`**${quick} figures, marked ‡, come from a quick run** and are too short to be quoted.`);
  const slow = figures.filter(({ build }) => !build.optimised).length;
  if (slow > 0) sentences.push(`**${slow} figures, marked §, are not of the release build.**`);
  return sentences.join(" ");
}

function table(figures: Figure[]): string {
  const cells = figures.map((figure) => {
    const { loadBefore, loadAfter, othersCores } = figure.around;
    const marks = `${isBusy(figure) ? " †" : ""}${figure.quick ? " ‡" : ""}${figure.build.optimised ? "" : " §"}`;
    const met = isMet(figure);
    const target = figure.target ? `${figure.target.text}: ${met ? "met" : "**missed**"}` : "";
    return [
      figure.what,
      `**${figure.result}**${marks}`,
      target,
      figure.notes,
      `${loadBefore.toFixed(2)} → ${loadAfter.toFixed(2)}, ${othersCores.toFixed(2)}`,
      `${figure.at.slice(0, 16).replace("T", " ")}, ${figure.build.commit}`,
    ];
  });
  return rows(
    ["what", "result", "target", "more", "load average before → after, cores used by others", "when (UTC), commit"],
    cells,
  );
}

function rows(head: string[], body: string[][]): string {
  const line = (cells: string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...body.map(line)].join("\n");
}
