// Who gets to see a stream to be, and who lets this person go live: what the form to go live asks beside picture and sound.
import type { Host } from "./host/host";
import { ApiFailure } from "./protocol/api_failure";
import type { Visibility } from "./protocol/generated/Visibility";
import { passwordProblem } from "./words/password";
import { sentenceOfError } from "./words/sentence";

const ASK_FOR_A_PASS = "Ask the person who runs this server for one.";

export class Access {
  visibility = $state<Visibility>("public");
  password = $state("");
  passwordWrong = $state("");
  /** End-to-end encrypted. */
  sealed = $state(false);
  /** Whether the directory asks for a pass. */
  passAsked = $state(false);
  /** As typed just now. */
  pass = $state("");
  /** Whether one is kept from before. */
  passKept = $state(false);
  passWrong = $state("");
  readonly #host: Host;

  constructor(host: Host) {
    this.#host = host;
    host.directory.info().then(
      ({ broadcast }) => {
        this.passAsked = broadcast === "passes";
      },
      // Whether it asks is found out when the stream is made.
      () => {},
    );
    host.pass.known().then(
      (known) => {
        this.passKept = known;
      },
      () => {},
    );
  }

  /** Whether all that is asked is there; what is missing is said at its field. */
  complete(): boolean {
    this.passwordWrong = this.visibility === "password" ? (passwordProblem(this.password) ?? "") : "";
    this.passWrong =
      this.passAsked && !this.passKept && this.pass.trim() === ""
        ? `This server asks for a pass. ${ASK_FOR_A_PASS}`
        : "";
    return this.passwordWrong === "" && this.passWrong === "";
  }

  /** What viewers must know, or null. */
  get viewersPassword(): string | null {
    return this.visibility === "password" ? this.password : null;
  }

  /** Keeps a pass that was typed. False when it can't be one, which is said at its field. */
  async keepPass(): Promise<boolean> {
    const typed = this.pass.trim();
    if (!this.passAsked || typed === "") return true;
    try {
      await this.#host.pass.keep(typed);
    } catch (error) {
      this.passWrong = sentenceOfError(error);
      return false;
    }
    this.pass = "";
    this.passKept = true;
    return true;
  }

  /** What this person shows to the directory; empty for nothing. */
  get ownPass(): string {
    return this.passAsked ? this.#host.pass.text() : "";
  }

  /** Says at its field why the directory refused; false when it is about no field here. */
  refused(error: unknown): boolean {
    if (!(error instanceof ApiFailure)) return false;
    switch (error.code) {
      case "pass_required":
        this.passAsked = true;
        this.passWrong = `This server asks for a pass. ${ASK_FOR_A_PASS}`;
        return true;
      case "pass_invalid":
        this.passAsked = true;
        this.passKept = false;
        this.passWrong = `This server does not take that pass. Look whether it is complete. ${ASK_FOR_A_PASS}`;
        return true;
      case "invalid_password":
        this.passwordWrong = sentenceOfError(error);
        return true;
      default:
        return false;
    }
  }
}
