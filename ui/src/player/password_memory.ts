// The password that let a viewer into a stream, kept for as long as this tab is open.

const NAME = "live-player.password.";

export function recallPassword(streamId: string): string | null {
  try {
    return sessionStorage.getItem(NAME + streamId);
  } catch {
    // Storage is closed to this page: the person is asked again.
    return null;
  }
}

export function rememberPassword(streamId: string, password: string): void {
  try {
    sessionStorage.setItem(NAME + streamId, password);
  } catch {
    // As above.
  }
}

export function forgetPassword(streamId: string): void {
  try {
    sessionStorage.removeItem(NAME + streamId);
  } catch {
    // As above.
  }
}
