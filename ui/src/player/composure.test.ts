import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { CALM_MS, Composure, type Loss } from "./composure";

const first: Loss = { attempt: 1, busy: false };
const second: Loss = { attempt: 2, busy: true };
let told: Loss[];
let life: AbortController;
let composure: Composure;

beforeEach(() => {
  vi.useFakeTimers();
  told = [];
  life = new AbortController();
  composure = new Composure((loss) => told.push(loss), life.signal);
});
afterEach(() => void vi.useRealTimers());

it("says nothing of a switch that is over within half a second", () => {
  expect([composure.lost(first, true), composure.lost(second, true)]).toEqual([true, false]);
  vi.advanceTimersByTime(CALM_MS - 1);
  composure.mended();
  vi.advanceTimersByTime(5000);
  expect([told, vi.getTimerCount()]).toEqual([[], 0]);
});

it("tells the newest of a loss that lasts, and from then on each", () => {
  composure.lost(first, true);
  composure.lost(second, true);
  vi.advanceTimersByTime(CALM_MS);
  expect(told).toEqual([second]);
  composure.lost(first, true);
  expect(told).toEqual([second, first]);
});

it("tells at once where no picture moves", () => {
  composure.lost(first, false);
  expect(told).toEqual([first]);
});

it("ends with its page", () => {
  composure.lost(first, true);
  life.abort();
  expect(vi.getTimerCount()).toBe(0);
});
