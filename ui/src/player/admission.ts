// How a viewer gets in: asks the directory with the ticket it has, with the password that is known, or with one that a person
// types. Knows nothing of relays.

import { ApiFailure, type ApiFailureCode } from "../protocol/api_failure";
import type { WatchAnswer } from "../protocol/messages";
import { ticketFacts } from "../protocol/ticket";
import { Forgotten } from "./forgotten";
import { Renewal } from "./renewal";
import type { FailureCode } from "./state";

/** How long the directory may take to answer. */
export const API_TIME_MS_MAX = 10_000;
/** An answer that was waited for this long when the network changed will not come. */
const OVERDUE_MS = 1000;
/** How long to wait when the directory asks for patience without saying how much. */
export const BUSY_MS = 10_000;

/** What lets a viewer in: its ticket, which is renewed, or the stream's password; or nothing, where none is needed. */
export interface Credentials {
  ticket?: string;
  password?: string;
  /** The relay that did not serve, when one did not. */
  failed?: string;
}

export interface WatchApi {
  /** Rejects with `ApiFailure`. */
  watch(streamId: string, credentials: Credentials): Promise<WatchAnswer>;
}

/** Why a person is asked for the password. */
export interface PasswordWanted {
  why: "required" | "wrong" | "too_many";
  /** How long the directory takes no further try. */
  waitMs: number;
}

export interface Passwords {
  /** The one that let this viewer in before. */
  recall(): string | null;
  remember(password: string): void;
  forget(): void;
  /** Asks a person. */
  ask(wanted: PasswordWanted): Promise<string>;
}

export type Admission =
  | { kind: "in"; answer: WatchAnswer }
  /** Try again, after at least `waitMs`; `busy` when the directory asked for it. */
  | { kind: "again"; waitMs: number; busy: boolean }
  /** The ticket is of no use any more. */
  | { kind: "stale" }
  /** The directory does not know the stream, although it did. */
  | { kind: "unknown" }
  /** It has not known it for so long that it is over. */
  | { kind: "ended" }
  | { kind: "failed"; code: FailureCode; message: string };

type Refusal = Exclude<Admission, { kind: "in" }>;

const FINAL: ReadonlySet<ApiFailureCode> = new Set([
  "invalid_request",
  "not_found",
  "method_not_allowed",
  "viewer_removed",
]);
const STALE: ReadonlySet<ApiFailureCode> = new Set(["ticket_invalid", "ticket_expired", "unauthorized"]);
const PASSWORD: ReadonlySet<ApiFailureCode> = new Set(["password_required", "password_wrong", "invalid_password"]);

export class Admissions {
  readonly renewal = new Renewal();
  readonly forgotten = new Forgotten();
  #ticket: string | null = null;
  /** Whether the directory has ever named the stream. */
  #known = false;
  /** The question that waits for its answer. */
  #open: { since: number; giveUp: () => void } | null = null;

  constructor(
    private readonly streamId: string,
    private readonly api: WatchApi,
    private readonly passwords: Passwords,
    private readonly signal: AbortSignal,
    private readonly random: () => number,
  ) {}

  /** The newest ticket. */
  get ticket(): string {
    return this.#ticket ?? "";
  }

  /** Asks in, with whatever it takes, after the relay `failed`. */
  async ask(failed: string | null = null): Promise<Admission> {
    const after = failed === null ? {} : { failed };
    let password = this.passwords.recall();
    while (!this.signal.aborted) {
      if (this.#ticket) {
        const renewed = await this.renew(failed);
        if (renewed.kind !== "stale") return renewed;
      }
      try {
        const answer = await this.#watch(password === null ? after : { password, ...after });
        if (password !== null) this.passwords.remember(password);
        return { kind: "in", answer };
      } catch (error) {
        const failure = failureOf(error);
        const wanted = passwordWanted(failure, password !== null);
        if (!wanted) return this.#refusal(failure);
        if (wanted.why !== "too_many") this.passwords.forget();
        password = await this.#askPerson(wanted);
      }
    }
    return { kind: "again", waitMs: 0, busy: false };
  }

  /** Renews the ticket; the viewer stays who it is. Asks nobody. */
  async renew(failed: string | null = null): Promise<Admission> {
    try {
      const credentials = failed === null ? { ticket: this.ticket } : { ticket: this.ticket, failed };
      return { kind: "in", answer: await this.#watch(credentials) };
    } catch (error) {
      const failure = failureOf(error);
      if (STALE.has(failure.code) || PASSWORD.has(failure.code)) {
        this.#ticket = null;
        return { kind: "stale" };
      }
      const refusal = this.#refusal(failure);
      this.renewal.failed(performance.now(), refusal.kind === "again" ? refusal.waitMs : 0, this.random());
      return refusal;
    }
  }

  /** The network is another one: what was asked over the last one is not waited for. */
  networkChanged(): void {
    if (this.#open && performance.now() - this.#open.since > OVERDUE_MS) this.#open.giveUp();
  }

  /** What a person types; null when nobody waits for it any more. */
  #askPerson(wanted: PasswordWanted): Promise<string | null> {
    return new Promise((resolve) => {
      const stopped = () => resolve(null);
      this.signal.addEventListener("abort", stopped, { once: true });
      this.passwords.ask(wanted).then((password) => {
        this.signal.removeEventListener("abort", stopped);
        resolve(password);
      });
    });
  }

  async #watch(credentials: Credentials): Promise<WatchAnswer> {
    const answer = await this.#inTime(this.api.watch(this.streamId, credentials));
    const { assignment, ask_again_ms: askAgainMs = null } = answer;
    const { ticket } = assignment;
    this.#known = true;
    this.forgotten.heardOf();
    this.#ticket = ticket;
    this.renewal.begin(performance.now(), ticketFacts(ticket).lifeMs, this.random(), askAgainMs);
    return answer;
  }

  /** The answer, or a rejection as `unreachable` when it takes too long. */
  #inTime<T>(answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const giveUp = () => reject(new ApiFailure("unreachable", "The server did not answer in time."));
      const timer = setTimeout(giveUp, API_TIME_MS_MAX);
      const open = { since: performance.now(), giveUp };
      this.#open = open;
      answer.then(resolve, reject).finally(() => {
        clearTimeout(timer);
        if (this.#open === open) this.#open = null;
      });
    });
  }

  #refusal({ code, message, retryAfterMs }: ApiFailure): Refusal {
    if (code === "stream_not_found" && this.#known) {
      return { kind: this.forgotten.unknown(performance.now()) ? "ended" : "unknown" };
    }
    if (code === "stream_not_found" || FINAL.has(code)) return { kind: "failed", code, message };
    const busy = code === "too_many_requests";
    return { kind: "again", waitMs: retryAfterMs ?? (busy ? BUSY_MS : 0), busy };
  }
}

function passwordWanted(failure: ApiFailure, tried: boolean): PasswordWanted | null {
  if (PASSWORD.has(failure.code)) return { why: tried ? "wrong" : "required", waitMs: 0 };
  if (failure.code !== "too_many_requests" || !tried) return null;
  return { why: "too_many", waitMs: failure.retryAfterMs ?? BUSY_MS };
}

function failureOf(error: unknown): ApiFailure {
  if (error instanceof ApiFailure) return error;
  return new ApiFailure("unreachable", error instanceof Error ? error.message : String(error));
}
