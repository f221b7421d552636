// Which relay of the list to try next: each once a round, beginning behind the one that served. Pure.

import type { RelayAddress } from "../protocol/messages";

export class RelayRound {
  #relays: readonly RelayAddress[];
  readonly #tried = new Set<string>();
  #from = 0;

  constructor(relays: readonly RelayAddress[]) {
    this.#relays = relays;
  }

  /**
   * Those of the wanted relays that the directory has named, in the order of the wish and at the directory's addresses: nobody else
   * says where viewers connect.
   */
  known(wanted: readonly RelayAddress[]): RelayAddress[] {
    return wanted.flatMap(({ name }) => this.#relays.filter((relay) => relay.name === name));
  }

  /** The relays that are left in this round, best first. */
  get left(): RelayAddress[] {
    const turned = [...this.#relays.slice(this.#from), ...this.#relays.slice(0, this.#from)];
    return turned.filter(({ name }) => !this.#tried.has(name));
  }

  /** All others than this one, in the order in which they are to be tried. */
  othersThan(name: string): RelayAddress[] {
    const at = this.#relays.findIndex((relay) => relay.name === name) + 1;
    return [...this.#relays.slice(at), ...this.#relays.slice(0, at)].filter((relay) => relay.name !== name);
  }

  /** A relay is being tried. */
  tries(name: string): void {
    this.#tried.add(name);
  }

  /** A relay has served well: when it fails a new round begins behind it. */
  served(name: string): void {
    this.#tried.clear();
    this.#tried.add(name);
    this.#from = this.#relays.findIndex((relay) => relay.name === name) + 1;
  }

  /** The directory has named relays anew. */
  renewed(relays: readonly RelayAddress[]): void {
    this.#relays = relays;
    this.#from = 0;
  }
}
