// Why a call to the directory failed: one of its stable codes, or `unreachable` when no answer came.

import type { ErrorCode } from "./generated/ErrorCode";

export type ApiFailureCode = ErrorCode | "unreachable";

export class ApiFailure extends Error {
  readonly code: ApiFailureCode;

  constructor(code: ApiFailureCode, message: string) {
    super(message);
    this.name = "ApiFailure";
    this.code = code;
  }
}
