// The JSON text messages of a relay's socket: the generated types, and parsers that never throw. Unknown types and unknown
// fields are ignored, so that an older page lives with a newer relay.

import type { ClientHello } from "./generated/ClientHello";
import type { ErrorCode } from "./generated/ErrorCode";
import type { FromBroadcaster } from "./generated/FromBroadcaster";
import type { FromViewer } from "./generated/FromViewer";
import type { RelayAddress } from "./generated/RelayAddress";
import type { ToBroadcaster } from "./generated/ToBroadcaster";
import type { ToViewer } from "./generated/ToViewer";
import type { TrackInfo } from "./generated/TrackInfo";
import type { WatchAnswer } from "./generated/WatchAnswer";

export type {
  ClientHello,
  ErrorCode,
  FromBroadcaster,
  FromViewer,
  RelayAddress,
  ToBroadcaster,
  ToViewer,
  TrackInfo,
  WatchAnswer,
};

/** The version of the protocol that these pages speak. */
export const PROTOCOL_VERSION = 1;

export type Parsed<T> = { kind: "message"; message: T } | { kind: "unknown" } | { kind: "malformed"; reason: string };

type Fields = Record<string, unknown>;
type Check = (value: unknown) => boolean;

const isNumber: Check = (value) => typeof value === "number" && Number.isFinite(value);
const isString: Check = (value) => typeof value === "string";
const isBoolean: Check = (value) => typeof value === "boolean";
const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isList =
  (of: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(of);
const hasFields =
  (checks: Record<string, Check>): Check =>
  (value) =>
    isObject(value) && Object.entries(checks).every(([name, check]) => check(value[name]));

const isTrack = hasFields({
  track: isNumber,
  kind: (value) => value === "video" || value === "sound",
  codec: isString,
  width: isNumber,
  height: isNumber,
});
const isRelay = hasFields({ name: isString, url: isString });
const error = { code: isString, message: isString };
const viewers = { count: isNumber };

const TO_VIEWER: Record<ToViewer["type"], Record<string, Check>> = {
  watching: { stream: isString, tracks: isList(isTrack), selected: isList(isNumber) },
  skipped: { track: isNumber, chunks: isNumber },
  viewers,
  broadcaster: { present: isBoolean },
  move: { within_ms: isNumber, relays: (value) => value === undefined || isList(isRelay)(value) },
  stream_ended: {},
  error,
};

const TO_BROADCASTER: Record<ToBroadcaster["type"], Record<string, Check>> = {
  stream_registered: { stream: isString, relay: isString },
  received: { chunks: isNumber, bytes: isNumber },
  key_frame_wanted: { track: isNumber },
  viewers,
  audience: { viewers: isList(hasFields({ viewer: isString, since_ms: isNumber })) },
  error,
};

export const parseToViewer = (text: string): Parsed<ToViewer> => parse<ToViewer>(text, TO_VIEWER);
export const parseToBroadcaster = (text: string): Parsed<ToBroadcaster> => parse<ToBroadcaster>(text, TO_BROADCASTER);

function parse<T>(text: string, shapes: Record<string, Record<string, Check>>): Parsed<T> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { kind: "malformed", reason: "not JSON" };
  }
  if (!isObject(value) || typeof value.type !== "string") return { kind: "malformed", reason: "no type" };
  if (!Object.hasOwn(shapes, value.type)) return { kind: "unknown" };
  const shape = shapes[value.type] ?? {};
  for (const [name, check] of Object.entries(shape)) {
    if (!check(value[name])) return { kind: "malformed", reason: `${value.type}: bad ${name}` };
  }
  return { kind: "message", message: value as T };
}
