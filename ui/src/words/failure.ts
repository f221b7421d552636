// What failed, in words, with the way out.
import { ApiFailure } from "../protocol/api_failure";
import { sentence, sentenceOfError } from "./sentence";

/** Why a stream could not be started. */
export function goLiveFailure(error: unknown): string {
  if (!(error instanceof ApiFailure)) return sentenceOfError(error);
  switch (error.code) {
    case "no_relay":
      return "There is no relay that could carry your stream right now. Whoever runs this server has to start one; then try again.";
    case "too_many_streams":
      return "This server carries as many streams as it can. Try again when one of them is over.";
    case "too_many_requests": {
      const wait = error.retryAfterMs === null ? "a moment" : `${Math.ceil(error.retryAfterMs / 1000)} seconds`;
      return `The server asks for patience: too much came from your network address. Try again in ${wait}.`;
    }
    case "unreachable":
      return "The directory can't be reached. Check your connection, or ask whoever runs this server.";
    case "invalid_title":
      return sentence(`the directory did not take the title: ${error.message}`);
    default:
      return sentence(error.message);
  }
}
