// What a ticket says of itself, read without checking its signature: enough to know when to renew it, never a reason to trust it.

/** How long tickets are good for, where one does not tell. */
export const TICKET_LIFE_MS = 600_000;

export interface TicketFacts {
  /** From its issue to its end. */
  lifeMs: number;
  /** Who watches with it. */
  viewer: string | null;
}

/** Never throws: what can't be read is left open. */
export function ticketFacts(ticket: string): TicketFacts {
  const { iat, exp, vwr } = claimsOf(ticket);
  const lifeS = typeof iat === "number" && typeof exp === "number" ? exp - iat : 0;
  return {
    lifeMs: lifeS > 0 ? lifeS * 1000 : TICKET_LIFE_MS,
    viewer: typeof vwr === "string" ? vwr : null,
  };
}

/** The claims of a JSON Web Token (RFC 7519 3). */
function claimsOf(token: string): Record<string, unknown> {
  try {
    const base64 = (token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
    const claims: unknown = JSON.parse(atob(base64));
    return typeof claims === "object" && claims !== null ? (claims as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
