// Programs begin their messages small and end them without a full stop; people don't.

/** The message of a program as a sentence. The name of a command keeps its small letter. */
export function sentence(message: string): string {
  const whole = /^ffmpeg\b/.test(message) ? message : message.charAt(0).toUpperCase() + message.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}

/** Whatever was thrown, as a sentence. */
export function sentenceOfError(error: unknown): string {
  return sentence(error instanceof Error ? error.message : String(error));
}
