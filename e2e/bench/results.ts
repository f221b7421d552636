// Results are kept beside the document they make, so that a run of some parts leaves the others' figures standing.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CALM_CORES_MAX, type Figure, isBusy, isMet } from "./figure.ts";
import type { Part } from "./part.ts";

interface Results {
  machine: Record<string, string>;
  figures: Figure[];
}

export async function readResults(folder: string): Promise<Figure[]> {
  try {
    return (JSON.parse(await readFile(join(folder, "performance.json"), "utf8")) as Results).figures;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** Earlier figures with the new ones in place of those of the same id. */
export function merge(earlier: Figure[], now: Figure[]): Figure[] {
  const ids = new Set(now.map(({ id }) => id));
  return [...earlier.filter(({ id }) => !ids.has(id)), ...now];
}

export async function writeResults(
  folder: string,
  parts: Part[],
  machine: Record<string, string>,
  figures: Figure[],
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const order = parts.map(({ name }) => name);
  const known = figures.filter(({ part }) => order.includes(part));
  known.sort((a, b) => order.indexOf(a.part) - order.indexOf(b.part));
  await writeFile(join(folder, "performance.json"), `${JSON.stringify({ machine, figures: known }, null, 2)}\n`);
  await writeFile(join(folder, "performance.md"), document(parts, machine, known));
}

function document(parts: Part[], machine: Record<string, string>, figures: Figure[]): string {
  const titles = [...new Set(parts.map(({ title }) => title))];
  const sections = titles.flatMap((title) => {
    const names = parts.filter((part) => part.title === title).map(({ name }) => name);
    const own = figures.filter(({ part }) => names.includes(part));
    return own.length === 0 ? [] : [`## ${title}\n\n${table(own)}`];
  });
  return `# Performance

Measured, not estimated; written by \`make bench\`. Pictures are timed by a clock that is painted at one end and read back from
the pixels at the other, all on one machine, so nothing of the network's time is in it, and everything shares the machine's cores.
Percentiles are over all frames that could be read; frames without a readable clock, and frames that the page was told of too
late to read, are counted. To measure again: \`make bench\`; one part: \`npm --prefix e2e run bench -- late_join\` after
\`cargo build --release --workspace\`.

${verdict(figures)}

${rows(["", ""], Object.entries(machine))}

${sections.join("\n\n")}
`;
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
