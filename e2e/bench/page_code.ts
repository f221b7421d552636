// What a page's own code costs: the time that its scripts run, as the browser itself counts it, without decoding, drawing, and the
// browser's own work.
import type { Page } from "@playwright/test";

export interface PageCode {
  /** Share of a core that scripts of the main thread take, with whatever they call. */
  scripts: number;
  /** The same of all that the main thread does. */
  mainThread: number;
}

/** Watches a page while `body` runs. */
export async function pageCode(page: Page, body: () => Promise<void>): Promise<PageCode> {
  const devTools = await page.context().newCDPSession(page);
  await devTools.send("Performance.enable");
  const read = async () => {
    const { metrics } = await devTools.send("Performance.getMetrics");
    const value = (name: string) => metrics.find((metric) => metric.name === name)?.value ?? Number.NaN;
    return { at: value("Timestamp"), scripts: value("ScriptDuration"), tasks: value("TaskDuration") };
  };
  const before = await read();
  await body();
  const after = await read();
  await devTools.detach();
  const seconds = after.at - before.at;
  return {
    scripts: (after.scripts - before.scripts) / seconds,
    mainThread: (after.tasks - before.tasks) / seconds,
  };
}
