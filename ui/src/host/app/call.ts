// Calls of the app's own process, with its failures as the pages know them.
import { type InvokeArgs, invoke } from "@tauri-apps/api/core";
import { ApiFailure, type ApiFailureCode } from "../../protocol/api_failure";
import type { CommandError } from "../../protocol/generated/CommandError";

/** Rejects with `ApiFailure`: a code and a sentence for people. */
export async function call<T = void>(command: string, args?: InvokeArgs): Promise<T> {
  try {
    return await invoke<T>(command, args);
  } catch (error) {
    throw failure(error);
  }
}

function failure(error: unknown): ApiFailure {
  const { code, message } = (typeof error === "object" && error !== null ? error : {}) as Partial<CommandError>;
  // Codes that only the app has pass as they are: pages show the sentence and act on the directory's codes alone.
  if (code && message) return new ApiFailure(code as ApiFailureCode, message);
  return new ApiFailure("internal", typeof error === "string" ? error : "The app failed.");
}
