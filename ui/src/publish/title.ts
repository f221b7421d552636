// What the directory accepts as a title, checked before it is asked.

/** Longest title in characters; the directory has the same bound. */
export const TITLE_CHARS_MAX = 120;

// Control characters, line and paragraph separators, and the direction overrides that let a title disguise itself.
const BREAKS_A_LINE = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u;

/** What is wrong with a title, in words, or nothing. */
export function titleProblem(title: string): string | undefined {
  const trimmed = title.trim();
  if (trimmed === "") return "Give your stream a title, so people know what they are about to watch.";
  const characters = [...trimmed].length;
  if (characters > TITLE_CHARS_MAX)
    return `That title is ${characters - TITLE_CHARS_MAX} characters too long. At most ${TITLE_CHARS_MAX} fit.`;
  if (BREAKS_A_LINE.test(trimmed)) return "That title has a line break or an invisible control character in it.";
  return undefined;
}
