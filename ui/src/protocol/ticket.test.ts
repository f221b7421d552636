import { expect, it } from "vitest";
import { TICKET_LIFE_MS, ticketFacts } from "./ticket";

const ticket = (claims: unknown) => `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.signature`;

it("tells how long a ticket lives, and its viewer", () => {
  expect(ticketFacts(ticket({ iat: 1000, exp: 1120, epo: 3, vwr: "00abcdef01234567" }))).toEqual({
    lifeMs: 120_000,
    viewer: "00abcdef01234567",
  });
});

it.each([
  "",
  "ticket",
  "a.b.c",
  "..",
  ticket(null),
  ticket([7]),
  ticket({ iat: "x", exp: 1 }),
  ticket({ iat: 5, exp: 5 }),
])("leaves open what %j does not tell", (text) => {
  expect(ticketFacts(text)).toEqual({ lifeMs: TICKET_LIFE_MS, viewer: null });
});
