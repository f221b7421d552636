// What the player is doing, in one word for people and programs, from the facts that its parts report.

import type { ErrorCode } from "../protocol/messages";
import type { PasswordWanted } from "./admission";

export type FailureCode = ErrorCode | "unreachable" | "unsupported_media";

/** Why an end-to-end encrypted stream is not shown. */
export type LockedWhy =
  /** The link has no key, or not a whole one. */
  | "no_key"
  /** The link's key opens nothing of what comes. */
  | "wrong_key"
  /** The link has a key, but what comes is not encrypted. */
  | "not_sealed"
  /** Browsers open nothing on a page that came over plain http. */
  | "insecure_context";

export type PlayerState =
  | { kind: "idle" }
  /** Asking the directory, then the relay. */
  | { kind: "connecting" }
  /** The relay answered; no picture yet. */
  | { kind: "waiting_for_media" }
  | { kind: "playing" }
  /** The viewer stopped the picture; it goes on at the live edge. */
  | { kind: "paused" }
  /** Connected, but the picture has run dry. */
  | { kind: "stalled" }
  /** The machine has no network. */
  | { kind: "offline" }
  /** `busy`: a server has asked for patience. */
  | { kind: "reconnecting"; attempt: number; busy: boolean }
  /** Only for those who know the password. */
  | { kind: "needs_password"; wanted: PasswordWanted }
  /** End-to-end encrypted, and not to be opened. */
  | { kind: "locked"; why: LockedWhy }
  /** The broadcaster's connection broke; it may come back. */
  | { kind: "broadcaster_away" }
  | { kind: "ended" }
  | { kind: "failed"; code: FailureCode; message: string }
  /** The browser wants a click before anything may play. */
  | { kind: "needs_click" };

export type PlayerEvent =
  | { type: "started" }
  | { type: "stopped" }
  | { type: "watching" }
  | { type: "lost"; attempt: number; busy: boolean }
  /** Whether the machine has no network, and nothing comes. */
  | { type: "network"; gone: boolean }
  | { type: "password_wanted"; wanted: PasswordWanted }
  | { type: "password_given" }
  | { type: "locked"; why: LockedWhy }
  | { type: "opened" }
  | { type: "broadcaster"; present: boolean }
  | { type: "picture" }
  | { type: "ran_dry" }
  | { type: "paused" }
  | { type: "resumed" }
  | { type: "blocked" }
  | { type: "ended" }
  | { type: "failed"; code: FailureCode; message: string };

/** The facts behind a state. */
export interface PlayerModel {
  phase: "idle" | "live" | "ended" | "failed";
  link: "connecting" | "open" | "lost";
  attempt: number;
  busy: boolean;
  offline: boolean;
  password: PasswordWanted | null;
  locked: LockedWhy | null;
  picture: "none" | "moving" | "dry";
  present: boolean;
  paused: boolean;
  blocked: boolean;
  failure: { code: FailureCode; message: string } | null;
}

export const IDLE: PlayerModel = {
  phase: "idle",
  link: "connecting",
  attempt: 0,
  busy: false,
  offline: false,
  password: null,
  locked: null,
  picture: "none",
  present: true,
  paused: false,
  blocked: false,
  failure: null,
};

export function reduce(model: PlayerModel, event: PlayerEvent): PlayerModel {
  if (event.type === "started") return { ...IDLE, phase: "live" };
  if (event.type === "stopped") return IDLE;
  // Ended, failed and idle are final: what arrives late from a closing part changes nothing.
  if (model.phase !== "live") return model;
  switch (event.type) {
    case "watching":
      return { ...model, link: "open", attempt: 0, present: true };
    case "lost":
      return { ...model, link: "lost", attempt: event.attempt, busy: event.busy };
    case "network":
      return { ...model, offline: event.gone };
    case "password_wanted":
      return { ...model, password: event.wanted };
    case "password_given":
      return { ...model, password: null, link: "connecting" };
    case "locked":
      return { ...model, locked: event.why };
    case "opened":
      return { ...model, locked: null };
    case "broadcaster":
      return { ...model, present: event.present };
    case "picture":
      return { ...model, picture: "moving", blocked: false };
    case "ran_dry":
      return model.picture === "moving" ? { ...model, picture: "dry" } : model;
    case "paused":
      return { ...model, paused: true };
    case "resumed":
      return { ...model, paused: false, blocked: false };
    case "blocked":
      return { ...model, blocked: true };
    case "ended":
      return { ...model, phase: "ended" };
    case "failed":
      return { ...model, phase: "failed", failure: { code: event.code, message: event.message } };
  }
}

export function stateOf(model: PlayerModel): PlayerState {
  if (model.phase === "idle") return { kind: "idle" };
  if (model.phase === "ended") return { kind: "ended" };
  if (model.failure) return { kind: "failed", ...model.failure };
  if (model.locked) return { kind: "locked", why: model.locked };
  if (model.password) return { kind: "needs_password", wanted: model.password };
  if (model.offline) return { kind: "offline" };
  if (model.link === "lost") return { kind: "reconnecting", attempt: model.attempt, busy: model.busy };
  if (model.link === "connecting") return { kind: "connecting" };
  if (model.paused) return { kind: "paused" };
  // Away is said once the last picture has been shown, not while the buffer still plays.
  if (!model.present && model.picture !== "moving") return { kind: "broadcaster_away" };
  if (model.blocked) return { kind: "needs_click" };
  if (model.picture === "none") return { kind: "waiting_for_media" };
  return model.picture === "dry" ? { kind: "stalled" } : { kind: "playing" };
}

export function sameState(a: PlayerState, b: PlayerState): boolean {
  if (a.kind !== b.kind) return false;
  if (a.kind === "reconnecting" && b.kind === "reconnecting") return a.attempt === b.attempt && a.busy === b.busy;
  if (a.kind === "locked" && b.kind === "locked") return a.why === b.why;
  // Each wrong password is news.
  if (a.kind === "needs_password" && b.kind === "needs_password") return a.wanted === b.wanted;
  return true;
}
