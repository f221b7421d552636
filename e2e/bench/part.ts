// One part of the measurements.
import type { Stage } from "./stage.ts";

export interface Part {
  /** As on the command line. */
  name: string;
  /** The heading of its figures. */
  title: string;
  /** How its figures come about, for people: a paragraph. */
  about?: string;
  /** Left out unless it is asked for by its name. */
  byNameAlone?: boolean;
  measure: (stage: Stage) => Promise<void>;
}
