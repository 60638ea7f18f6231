import type { Job, JobEvent } from "@xvault/contracts";
import { onScopeDispose, ref, shallowRef } from "vue";
import { api } from "../../lib/api.ts";
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

  function open(): void {
    stop();
    const subscription = api.jobs.watch.subscribe(
      { id },
      {
        onStarted: () => (live.value = true),
        onData(update) {
          live.value = true;
          error.value = null;
          if (update.kind === "job") job.value = update.job;
          else take(update.events);
        },
        onError(cause) {
          const report = reportOf(cause);
          // What is missing or not allowed stays so; a connection comes back.
          if (report.retry) again();
          else error.value = cause;
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
