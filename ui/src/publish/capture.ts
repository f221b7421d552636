// Asks the person for a screen, window or tab, with its sound where the browser gives it.
import { QUALITIES, type Quality } from "./codec";
import { canReadSound } from "./frames";

export interface Captured {
  video: MediaStreamVideoTrack;
  sound: MediaStreamAudioTrack | undefined;
  /** Things worth knowing that are no failure, in sentences. */
  notices: string[];
  stop(): void;
}

/** Why nothing was captured, in words. `cancelled`: the person changed their mind, which is no failure. */
export class CaptureFailure extends Error {
  constructor(
    message: string,
    readonly cancelled = false,
  ) {
    super(message);
  }
}

/** Asks. Has to be called from a click. */
export async function capture(quality: Quality, withSound: boolean): Promise<Captured> {
  const { width, frameRate } = QUALITIES[quality];
  const asksForSound = withSound && canReadSound();
  let stream: MediaStream;
  try {
    stream = await navigator.mediaDevices.getDisplayMedia({
      // A square bound: what is taller than wide is brought to its size by the encoder.
      video: { width: { max: width }, height: { max: width }, frameRate: { max: frameRate } },
      // The defaults are made for speech: they would turn music into mono and swallow it.
      audio: asksForSound && {
        echoCancellation: false,
        noiseSuppression: false,
        autoGainControl: false,
        channelCount: 2,
      },
      ...CHROMIUM_WISHES,
    });
  } catch (error) {
    throw refusal(error);
  }
  const [video] = stream.getVideoTracks() as MediaStreamVideoTrack[];
  const [sound] = stream.getAudioTracks() as MediaStreamAudioTrack[];
  const stop = () => {
    for (const track of stream.getTracks()) track.stop();
  };
  if (!video) {
    stop();
    throw new CaptureFailure("The browser gave no picture.");
  }
  video.contentHint = "detail"; // keeps text sharp rather than motion smooth
  const notices: string[] = [];
  if (withSound && !sound) notices.push(NO_SOUND);
  return { video, sound, notices, stop };
}

/** Hints that other browsers ignore. */
const CHROMIUM_WISHES = { systemAudio: "include", surfaceSwitching: "include", selfBrowserSurface: "include" };

const NO_SOUND =
  "No sound is being sent: the browser gave none. Chrome gives the sound of a tab on every system, and of the whole screen on " +
  "Windows and some Macs; the desktop app also sends system sound on Linux.";

function refusal(error: unknown): CaptureFailure {
  const name = error instanceof DOMException ? error.name : "";
  switch (name) {
    case "NotAllowedError":
      return new CaptureFailure(
        "Nothing was shared. If you did not close the dialog yourself, your system may not let this browser record the screen.",
        true,
      );
    case "NotFoundError":
      return new CaptureFailure("There is no screen or window to share.");
    case "NotReadableError":
      return new CaptureFailure("The system refused to hand over the picture. Try another window or screen.");
    default:
      return new CaptureFailure("The browser could not start sharing.");
  }
}
