// Which page a path is. Pure.
import { keyFragment, keyOfFragment } from "./protocol/content_key";

export type Route =
  | { page: "home" }
  | { page: "browse" }
  | { page: "watch"; id: string }
  | { page: "live" }
  | { page: "not_found" };

/** 32 hexadecimal digits. People may paste them in capitals. */
const STREAM_ID = /^[0-9a-f]{32}$/;

export function routeOf(path: string): Route {
  const parts = path.split("/").filter((part) => part !== "");
  const [first, second] = parts;
  if (parts.length === 0 || path === "/index.html") return { page: "home" };
  if (parts.length === 1 && first === "view") return { page: "browse" };
  if (parts.length === 1 && first === "live") return { page: "live" };
  const id = second?.toLowerCase() ?? "";
  if (parts.length === 2 && first === "view" && STREAM_ID.test(id)) return { page: "watch", id };
  return { page: "not_found" };
}

/** The path of a stream's page, with the key that opens it, from a link or an id that a person has pasted, or none. */
export function pastedStream(text: string): string | undefined {
  const found = /(?:^|\/view\/)([0-9a-f]{32})(?:$|[/?#])/i.exec(text.trim());
  const fragment = /#.*$/.exec(text.trim())?.[0] ?? "";
  return found?.[1] && `/view/${found[1].toLowerCase()}${keyFragment(keyOfFragment(fragment))}`;
}
