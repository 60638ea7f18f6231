import type { Job, JobEvent } from "@xvault/contracts";
import { onScopeDispose, ref, shallowRef } from "vue";
import { api, refreshSession } from "../../lib/api.ts";
import { reportOf } from "../../lib/errors.ts";
import { isOver } from "./words.ts";

/** After a broken stream: how long until the job is asked for again. Milliseconds. */
const RECONNECT_AFTER = 3000;
/** More lines than these make the page slow; the oldest go. */
const MAX_EVENTS = 5000;

/** A job as it is now and its log, kept fresh by the hub until the job is over or the page is left. */
export function useJobWatch(id: string) {
  const job = shallowRef<Job | null>(null);
  const events = shallowRef<JobEvent[]>([]);
  const error = shallowRef<unknown>(null);
  /** False while the connection is being made again. */
  const live = ref(false);
  let stop = () => {};
  let renewed = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function take(news: JobEvent[]): void {
    // A stream that was opened again tells the log from its beginning.
    const known = new Set(events.value.map((event) => event.id));
    const fresh = news.filter((event) => !known.has(event.id));
    if (fresh.length > 0) events.value = [...events.value, ...fresh].sort((a, b) => a.id - b.id).slice(-MAX_EVENTS);
  }

  function again(): void {
    live.value = false;
    if (job.value && isOver(job.value)) return;
    clearTimeout(timer);
    timer = setTimeout(open, RECONNECT_AFTER);
  }

  /** A stream tells what went wrong inside itself, and the link would ask again for ever: what asking cannot help ends here. */
  function broken(cause: unknown): void {
    live.value = false;
    const { code, retry } = reportOf(cause);
    if ((code === "TOKEN_EXPIRED" || code === "UNAUTHENTICATED") && !renewed) {
      renewed = true;
      stop();
      refreshSession().then(open, (failure: unknown) => (error.value = failure));
    } else if (!retry) {
      stop();
      error.value = cause;
    }
  }

  function open(): void {
    stop();
    const subscription = api.jobs.watch.subscribe(
      { id },
      {
        onData(update) {
          live.value = true;
          renewed = false;
          error.value = null;
          if (update.kind === "job") job.value = update.job;
          else take(update.events);
        },
        onConnectionStateChange(connection) {
          if (connection.state === "connecting" && connection.error) broken(connection.error);
        },
        onError(cause) {
          broken(cause);
          if (error.value === null) again();
        },
        onComplete: again,
      },
    );
    stop = () => subscription.unsubscribe();
  }

  open();
  onScopeDispose(() => {
    clearTimeout(timer);
    stop();
  });

  return { job, events, error, live, restart: open };
}
