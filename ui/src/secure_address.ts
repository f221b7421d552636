// Which addresses a browser trusts enough to share a screen, or to open what is encrypted, on a page that comes from them. Pure.

/** Whether pages of this address are secure contexts (W3C Secure Contexts 3.1): https, or this very machine. */
export function opensSealed(address: string): boolean {
  if (!URL.canParse(address)) return false;
  const { protocol, hostname } = new URL(address);
  if (protocol !== "http:") return protocol === "https:";
  return isLoopback(hostname);
}

/** Whether a host is this machine, by its name or number. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost") || host === "[::1]" || /^127(\.\d+){3}$/.test(host);
}
