// The path of the page as state, and moving between pages without loading anew.
import { tick } from "svelte";
import { type Route, routeOf } from "./route";

let path = $state(location.pathname);
let fragment = $state(location.hash);

export const router = {
  get route(): Route {
    return routeOf(path);
  },
  get path(): string {
    return path;
  },
  /** What stands after the path, with its `#`; empty for nothing. No server ever sees it. */
  get fragment(): string {
    return fragment;
  },
};

/** Goes to a page of ours. */
export async function goTo(target: string): Promise<void> {
  if (target !== location.pathname + location.hash) history.pushState(null, "", target);
  await show();
}

/** Makes links and the browser's buttons work. Called once. */
export function startRouter(): void {
  addEventListener("popstate", () => void show());
  document.addEventListener("click", (event) => {
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (!plain || event.defaultPrevented || !link || link.target || link.origin !== location.origin) return;
    if (link.hash && link.pathname === location.pathname) return;
    event.preventDefault();
    void goTo(link.pathname + link.hash);
  });
}

async function show(): Promise<void> {
  const onlyFragment = path === location.pathname && fragment !== location.hash;
  path = location.pathname;
  fragment = location.hash;
  if (onlyFragment) return;
  await tick();
  scrollTo(0, 0);
  // Who can't see the page change hears the new page's heading.
  document.querySelector<HTMLElement>("main h1")?.focus({ preventScroll: true });
}
