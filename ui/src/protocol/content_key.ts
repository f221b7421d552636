// The content key of an end-to-end encrypted stream: 32 random bytes, base64url, in the fragment of its link (`#k=...`), which
// browsers send to no server.

/** 32 bytes in base64url without padding. */
const KEY = /^[A-Za-z0-9_-]{43}$/;

/** A new key, as it stands in a link. */
export function newContentKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

/** The fragment that carries a key; empty for none. */
export function keyFragment(key: string | null): string {
  return key === null ? "" : `#k=${key}`;
}

/** The key in a fragment, or null where there is none, or not a whole one. */
export function keyOfFragment(fragment: string): string | null {
  const key = new URLSearchParams(fragment.replace(/^#/, "")).get("k");
  return key !== null && KEY.test(key) ? key : null;
}

/** The bytes of a key that `keyOfFragment` or `newContentKey` gave. */
export function keyBytes(key: string): Uint8Array<ArrayBuffer> {
  const text = atob(key.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}
