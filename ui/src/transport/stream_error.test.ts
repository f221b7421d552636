import { afterEach, expect, it, vi } from "vitest";
import { streamError } from "./stream_error";

afterEach(() => void vi.unstubAllGlobals());

class Newer {
  constructor(
    readonly message: string,
    readonly options: { streamErrorCode: number },
  ) {}
  get streamErrorCode() {
    return this.options.streamErrorCode;
  }
}
class Older {
  readonly streamErrorCode: number;
  constructor(init: unknown) {
    if (typeof init !== "object") throw new TypeError("The provided value is not of type 'WebTransportErrorInit'.");
    this.streamErrorCode = (init as Newer).streamErrorCode;
  }
}

it.each([Newer, Older])("carries its code in every browser: %o", (browsers) => {
  vi.stubGlobal("WebTransportError", browsers);
  expect([streamError("skipped").streamErrorCode, streamError("stalled").streamErrorCode]).toEqual([1, 2]);
});
