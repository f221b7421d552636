// How good a password is, in words, and what is wrong with one. The directory slows guessing down to some sixty tries a minute,
// so a password for an evening need not be a password for a bank.

/** The directory has the same bounds, in characters. */
export const PASSWORD_CHARS_MIN = 4;
export const PASSWORD_CHARS_MAX = 128;
/** Bits of guesswork: below the first a patient stranger gets in within days, from the second on nobody does. */
const WEAK_BITS = 26;
const STRONG_BITS = 50;
/** What everybody tries first. */
const FIRST_TRIES =
  /^(?:pass(?:word|wort)?|secret|stream(?:ing)?|live|admin|test|hallo|hello|welcome|letmein|qwert[yz]\w*|abc\w{0,3}|iloveyou|dragon)?\d{0,4}!?$/i;

export interface PasswordHint {
  tone: "none" | "bad" | "weak" | "good";
  words: string;
}

/** What keeps a stream from getting this password, or nothing. */
export function passwordProblem(password: string): string | undefined {
  const characters = [...password].length;
  if (characters === 0) return "Choose a password, or let people in without one.";
  if (characters < PASSWORD_CHARS_MIN) return `A password has at least ${PASSWORD_CHARS_MIN} characters.`;
  if (characters > PASSWORD_CHARS_MAX) return `A password has at most ${PASSWORD_CHARS_MAX} characters.`;
  return undefined;
}

export function passwordHint(password: string): PasswordHint {
  if (password === "") return { tone: "none", words: "You tell it to the people who should watch." };
  const problem = passwordProblem(password);
  if (problem) return { tone: "bad", words: problem };
  if (FIRST_TRIES.test(password)) return { tone: "weak", words: "Among the first that anybody tries." };
  const bits = guessworkBits(password);
  if (bits < WEAK_BITS) return { tone: "weak", words: "Easy to guess. A longer one, or a few words, would be better." };
  if (bits < STRONG_BITS) return { tone: "good", words: "Good for an evening." };
  return { tone: "good", words: "Strong." };
}

/** A rough measure: the size of the alphabet in use, for each character that is neither a repetition nor the next of a row. */
function guessworkBits(password: string): number {
  const kinds: [RegExp, number][] = [
    [/[a-z]/, 26],
    [/[A-Z]/, 26],
    [/\d/, 10],
    [/[^a-zA-Z\d]/, 20],
  ];
  const alphabet = kinds.reduce((sum, [kind, size]) => sum + (kind.test(password) ? size : 0), 0);
  const codes = [...password].map((character) => character.codePointAt(0) ?? 0);
  const news = codes.filter((code, i) => i === 0 || Math.abs(code - (codes[i - 1] ?? 0)) > 1);
  return news.length * Math.log2(alphabet);
}
