// What follows from the end of a connection to a relay. Pure.

import type { ErrorCode, ToViewer } from "../protocol/messages";
import type { FailureCode } from "./state";

/** How a stay was over. */
export type Outcome =
  | { kind: "ended" }
  | { kind: "failed"; code: FailureCode; message: string }
  /** The directory must be asked again; `now` without a pause. */
  | { kind: "ask"; now: boolean }
  | { kind: "next"; busy: boolean };

export const NEXT: Outcome = { kind: "next", busy: false };

/** Errors that no other relay and no new ticket can mend. */
const FINAL: ReadonlySet<ErrorCode> = new Set(["unsupported_protocol", "invalid_request", "viewer_removed"]);
/** The ticket is of no use any more, as after a sleep: the relay is as good as any. */
const TICKET: ReadonlySet<ErrorCode> = new Set(["ticket_invalid", "ticket_expired", "unauthorized"]);
/** Errors after which the directory knows better than the list. The broadcaster may be back with other tracks than the one that
 * was asked for: the relay is not to blame. */
const ASK_AGAIN: ReadonlySet<ErrorCode> = new Set(["stream_not_found", "relay_revoked", "unknown_track"]);

type RelayError = Extract<ToViewer, { type: "error" }>;

export function outcomeOf({ code, message }: RelayError): Outcome {
  if (FINAL.has(code)) return { kind: "failed", code, message };
  if (wantsTicket(code) || ASK_AGAIN.has(code)) return { kind: "ask", now: false };
  return { kind: "next", busy: code === "too_many_requests" };
}

/** Whether the relay refuses nothing but the ticket. */
export function wantsTicket(code: ErrorCode): boolean {
  return TICKET.has(code);
}
