// Why a call to the directory failed: one of its stable codes, or `unreachable` when no answer came.

import type { ErrorCode } from "./generated/ErrorCode";

export type ApiFailureCode = ErrorCode | "unreachable";

export class ApiFailure extends Error {
  readonly code: ApiFailureCode;
  /** How long the directory asks to wait before the next try; null when it does not say. */
  readonly retryAfterMs: number | null;

  constructor(code: ApiFailureCode, message: string, retryAfterMs: number | null = null) {
    super(message);
    this.name = "ApiFailure";
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}
