// What every view can reach: the host and the live list.
import { getContext, setContext } from "svelte";
import type { LiveList } from "./directory/live_list";
import type { Host } from "./host/host";

export interface AppContext {
  host: Host;
  list: LiveList;
}

const KEY = Symbol("app");

export function provide(context: AppContext): void {
  setContext(KEY, context);
}

export function app(): AppContext {
  return getContext<AppContext>(KEY);
}
