// Asks for a stream's password over the cover.

export const PASSWORD_PROMPT = `
<form class="password" hidden>
  <input type="password" name="password" aria-label="Password of the stream" placeholder="Password" autocomplete="off" autocapitalize="off"
    spellcheck="false" enterkeyhint="go" maxlength="128" required data-testid="stream-password">
  <button type="submit" data-testid="give-password">Watch</button>
</form>`;

export class PasswordPrompt {
  readonly #form: HTMLFormElement;
  #waits: ReturnType<typeof setTimeout> | undefined;

  constructor(form: HTMLFormElement, given: (password: string) => void, signal: AbortSignal) {
    this.#form = form;
    form.addEventListener(
      "submit",
      (event) => {
        event.preventDefault();
        const password = this.#field.value;
        if (password !== "" && !this.#button.disabled) given(password);
      },
      { signal },
    );
    signal.addEventListener("abort", () => clearTimeout(this.#waits));
  }

  /** Shows itself; nothing can be sent before `waitMs` are over. */
  ask(waitMs: number): void {
    clearTimeout(this.#waits);
    this.#form.hidden = false;
    this.#button.disabled = waitMs > 0;
    if (waitMs > 0) {
      this.#waits = setTimeout(() => {
        this.#button.disabled = false;
      }, waitMs);
    }
    // Who is busy elsewhere on the page is not pulled away.
    const { activeElement } = document;
    if (activeElement === null || activeElement === document.body || activeElement.contains(this.#host)) {
      this.#field.focus({ preventScroll: true });
    }
    this.#field.select();
  }

  hide(): void {
    clearTimeout(this.#waits);
    this.#form.hidden = true;
  }

  get #host(): Node | null {
    const root = this.#form.getRootNode();
    return root instanceof ShadowRoot ? root.host : null;
  }

  get #field(): HTMLInputElement {
    return this.#form.elements.namedItem("password") as HTMLInputElement;
  }

  get #button(): HTMLButtonElement {
    return this.#form.querySelector("button") as HTMLButtonElement;
  }
}
