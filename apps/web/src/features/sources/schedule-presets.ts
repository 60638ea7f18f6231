import type { ScheduleChoice } from "./draft.ts";

export type Preset = "hourly" | "daily" | "weekly" | "cron" | "none";

export const WEEKDAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/** What a schedule form holds: the preset and its details. `time` is 'HH:MM'. */
export interface ScheduleForm {
  preset: Preset;
  time: string;
  weekday: number;
  cron: string;
}

/** The form that shows a cron expression: as a preset where it is one. */
export function formOf(cron: string | null): ScheduleForm {
  const plain = { time: "02:00", weekday: 0, cron: cron ?? "0 2 * * *" };
  if (cron === null) return { preset: "none", ...plain };
  if (/^\d+ \* \* \* \*$/.test(cron)) return { preset: "hourly", ...plain };
  const fixed = /^(\d{1,2}) (\d{1,2}) \* \* (\*|[0-6])$/.exec(cron);
  if (!fixed) return { preset: "cron", ...plain };
  const [, minute = "0", hour = "0", day = "*"] = fixed;
  const time = `${hour.padStart(2, "0")}:${minute.padStart(2, "0")}`;
  return day === "*" ? { ...plain, preset: "daily", time } : { ...plain, preset: "weekly", time, weekday: Number(day) };
}

/** The cron expression that a form stands for; null for no schedule. */
export function cronOf(form: ScheduleForm): string | null {
  const [hour = 0, minute = 0] = form.time.split(":").map(Number);
  switch (form.preset) {
    case "hourly":
      return "0 * * * *";
    case "daily":
      return `${minute} ${hour} * * *`;
    case "weekly":
      return `${minute} ${hour} * * ${form.weekday}`;
    case "cron":
      return form.cron.trim();
    case "none":
      return null;
  }
}

/** A schedule in words: 'Every day at 02:00 (Europe/Rome)'. */
export function scheduleInWords(schedule: ScheduleChoice): string {
  const form = formOf(schedule.cron);
  const zone = ` (${schedule.timezone})`;
  switch (form.preset) {
    case "hourly": {
      const minute = (schedule.cron.split(" ")[0] ?? "0").padStart(2, "0");
      return minute === "00" ? "Every hour" : `Every hour at :${minute}`;
    }
    case "daily":
      return `Every day at ${form.time}${zone}`;
    case "weekly":
      return `Every ${WEEKDAYS[form.weekday] ?? "week"} at ${form.time}${zone}`;
    default:
      return `${schedule.cron}${zone}`;
  }
}
