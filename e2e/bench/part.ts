// One part of the measurements.
import type { Stage } from "./stage.ts";

export interface Part {
  /** As on the command line. */
  name: string;
  /** The heading of its figures. */
  title: string;
  measure: (stage: Stage) => Promise<void>;
}
