// The time as state, for everything on a page that counts.

let nowMs = $state(Date.now());

// The page lives as long as this timer.
setInterval(() => {
  nowMs = Date.now();
}, 1000);

export const time = {
  /** This machine's time in milliseconds, once a second. */
  get nowMs(): number {
    return nowMs;
  },
};
