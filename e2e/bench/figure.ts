// What a measurement gives, and what was going on around it.

/** One line of the results. */
export interface Figure {
  /** Stable: a later run of the same part replaces the figure of this name. */
  id: string;
  /** The part that measures it, as on the command line. */
  part: string;
  /** What was measured, for people. */
  what: string;
  /** What came out, for people. */
  result: string;
  /** The one number that is held against the target. */
  value: number;
  /** The target, when there is one: `value` may at most be this. */
  target?: { max: number; text: string };
  /** How, and what else was seen. */
  notes: string;
  around: Around;
  /** When, ISO 8601. */
  at: string;
  /** What was measured. */
  build: Build;
  /** Measured with `--quick`: too short to be quoted. */
  quick: boolean;
}

/** The version that a figure is of. */
export interface Build {
  /** With "+" when there were changes that are not committed. */
  commit: string;
  /** The release build; others say nothing about speed. */
  optimised: boolean;
}

/** The machine around a measurement. */
export interface Around {
  loadBefore: number;
  loadAfter: number;
  /** What processes other than the measurement's own used meanwhile, in cores. */
  othersCores: number;
}

/** A figure before the machine around it is added. */
export type Finding = Pick<Figure, "id" | "what" | "result" | "value" | "target" | "notes">;

/** More than this used by others, in cores, is not a calm machine. */
export const CALM_CORES_MAX = 0.15;

export const isBusy = (figure: Figure) => figure.around.othersCores > CALM_CORES_MAX;

export const isMet = (figure: Figure) => (figure.target ? figure.value <= figure.target.max : undefined);
