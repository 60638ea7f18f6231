import type { JobEvent, JobProgress } from "@xvault/contracts";
import { type Clock, systemClock } from "@xvault/kernel";

export type ReportedEvent = Omit<JobEvent, "id" | "attempt">;

/** How a running job shows itself: the step it is in, what it has done, what happened. Cheap to call for every file. */
export interface Reporter {
  /** Enters a step and says so in the log. */
  step(name: string, message: string): void;
  info(message: string): void;
  warning(message: string): void;
  error(message: string): void;
  /** Work that is known to lie ahead, once known. */
  expect(totals: { files: number; bytes: number }): void;
  /** Work that was done since the last call. */
  advance(done: { files?: number; bytes?: number; path?: string }): void;
}

/** The other half: what was reported so far, for whoever tells the hub. */
export interface ReportLog {
  reporter: Reporter;
  progress(): JobProgress;
  /** Takes the events that were not taken yet. */
  takeEvents(): ReportedEvent[];
}

/** Seconds over which the shown rate is averaged. */
const RATE_WINDOW = 10;
/** One run never logs more than this many events; what is beyond is counted and said in one line by the caller's summary. */
const MAX_EVENTS = 2000;

export function createReportLog(clock: Clock = systemClock): ReportLog {
  let step = "";
  let events: ReportedEvent[] = [];
  let logged = 0;
  let filesTotal: number | null = null;
  let bytesTotal: number | null = null;
  let files = 0;
  let bytes = 0;
  let path: string | null = null;
  const samples: { at: number; bytes: number }[] = [];

  const log = (level: ReportedEvent["level"], message: string) => {
    if (level !== "error" && logged >= MAX_EVENTS) return;
    logged += 1;
    events.push({ at: clock.now().toISOString(), step, level, message });
  };

  const rate = (): number | null => {
    const now = clock.now().getTime();
    samples.push({ at: now, bytes });
    while (samples.length > 2 && now - (samples[0]?.at ?? now) > RATE_WINDOW * 1000) samples.shift();
    const first = samples[0];
    if (!first || now - first.at < 500) return null;
    return ((bytes - first.bytes) * 1000) / (now - first.at);
  };

  return {
    reporter: {
      step: (name, message) => {
        step = name;
        log("info", message);
      },
      info: (message) => log("info", message),
      warning: (message) => log("warning", message),
      error: (message) => log("error", message),
      expect: (totals) => {
        filesTotal = totals.files;
        bytesTotal = totals.bytes;
      },
      advance: (done) => {
        files += done.files ?? 0;
        bytes += done.bytes ?? 0;
        if (done.path !== undefined) path = done.path;
      },
    },
    progress: () => {
      const perSecond = rate();
      // A source grows while it is read: never promise more than all.
      const share = bytesTotal ? Math.min(1, bytes / bytesTotal) : filesTotal ? Math.min(1, files / filesTotal) : null;
      const left = bytesTotal === null ? null : Math.max(0, bytesTotal - bytes);
      return {
        step,
        files_done: files,
        files_total: filesTotal,
        bytes_done: bytes,
        bytes_total: bytesTotal,
        percent: share === null ? null : Math.round(share * 1000) / 10,
        rate: perSecond === null ? null : Math.round(perSecond),
        eta_seconds: left === null || !perSecond ? null : Math.round(left / perSecond),
        current_path: path,
      };
    },
    takeEvents: () => {
      const taken = events;
      events = [];
      return taken;
    },
  };
}
