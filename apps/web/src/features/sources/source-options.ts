import { type BandwidthWindow, type SourceOptions, sourceOptionsSchema } from "@xvault/contracts";
import { formatBytes } from "@xvault/kernel";
import { cleanTypedPath } from "./path-selection.ts";

/** A number as it is typed, and the unit that it counts. An empty number is no limit. */
export interface Measure {
  amount: string;
  unit: number;
}

interface Unit {
  value: number;
  label: string;
}

const KIB = 1024;
const DAY = 86_400;
/** From the largest down, as `measureOf` looks for one that fits. */
export const SIZE_UNITS: Unit[] = [
  { value: KIB ** 4, label: "TiB" },
  { value: KIB ** 3, label: "GiB" },
  { value: KIB ** 2, label: "MiB" },
  { value: KIB, label: "KiB" },
  { value: 1, label: "bytes" },
];
export const AGE_UNITS: Unit[] = [
  { value: DAY, label: "days" },
  { value: 3600, label: "hours" },
  { value: 60, label: "minutes" },
  { value: 1, label: "seconds" },
];
export const RATE_UNITS: Unit[] = [
  { value: KIB ** 3, label: "GiB/s" },
  { value: KIB ** 2, label: "MiB/s" },
  { value: KIB, label: "KiB/s" },
  { value: 1, label: "bytes/s" },
];

export interface WindowForm {
  /** For the list on screen alone. */
  key: number;
  /** '0' for Sunday to '6', as check boxes have it. */
  days: string[];
  from: string;
  to: string;
  timezone: string;
  rate: Measure;
}

/** What the form of a source's options holds. */
export interface OptionsForm {
  markers: string[];
  smallest: Measure;
  largest: Measure;
  /** Files changed within this time alone. */
  newest: Measure;
  /** Files not changed for this time alone. */
  oldest: Measure;
  oneFileSystem: boolean;
  transport: SourceOptions["transport"];
  rate: Measure;
  windows: WindowForm[];
  /** Absolute paths of files that nobody has a reason to change. */
  canaries: string[];
}

function measureOf(value: number | null | undefined, units: Unit[], usual: number): Measure {
  if (value == null) return { amount: "", unit: usual };
  const unit = units.find((one) => value > 0 && value % one.value === 0)?.value ?? 1;
  return { amount: String(value / unit), unit };
}

let serial = 0;

/** A window to begin with: working hours. */
export function newWindow(timezone: string): WindowForm {
  const rate = { amount: "1", unit: KIB ** 2 };
  return { key: (serial += 1), days: ["1", "2", "3", "4", "5"], from: "08:00", to: "18:00", timezone, rate };
}

export function formOfOptions(options: Partial<SourceOptions>): OptionsForm {
  return {
    markers: [...(options.exclude_if_present ?? [])],
    smallest: measureOf(options.min_file_bytes, SIZE_UNITS, KIB ** 2),
    largest: measureOf(options.max_file_bytes, SIZE_UNITS, KIB ** 3),
    newest: measureOf(options.newer_than_seconds, AGE_UNITS, DAY),
    oldest: measureOf(options.older_than_seconds, AGE_UNITS, DAY),
    oneFileSystem: options.one_file_system ?? false,
    transport: options.transport ?? "auto",
    rate: measureOf(options.bytes_per_second, RATE_UNITS, KIB ** 2),
    windows: (options.bandwidth ?? []).map(({ days, from, to, timezone, bytes_per_second }) => ({
      key: (serial += 1),
      days: days.map(String),
      from,
      // A field for times knows no 24:00; midnight of the next day is the same.
      to: to === "24:00" ? "00:00" : to,
      timezone,
      rate: measureOf(bytes_per_second, RATE_UNITS, KIB ** 2),
    })),
    canaries: [...(options.canaries ?? [])],
  };
}

/** Null for no limit; NaN for what is no number. */
function valueOf({ amount, unit }: Measure): number | null {
  const text = amount.trim();
  if (text === "") return null;
  return /^\d+([.,]\d+)?$/.test(text) ? Math.round(Number(text.replace(",", ".")) * unit) : Number.NaN;
}

/** What the hub is sent. Every option is named, so that one which was taken out of the form goes. */
export function optionsOfForm(form: OptionsForm): Required<SourceOptions> {
  return {
    exclude_if_present: form.markers,
    min_file_bytes: valueOf(form.smallest),
    max_file_bytes: valueOf(form.largest),
    newer_than_seconds: valueOf(form.newest),
    older_than_seconds: valueOf(form.oldest),
    one_file_system: form.oneFileSystem,
    transport: form.transport,
    bytes_per_second: valueOf(form.rate),
    bandwidth: form.windows.map(({ days, from, to, timezone, rate }) => ({
      days: days.map(Number).toSorted((a, b) => a - b),
      from,
      to,
      timezone,
      bytes_per_second: valueOf(rate),
    })),
    canaries: form.canaries,
  };
}

/** What keeps the form from being saved, by the field that it stands at: 'largest', 'windows.0.days', … */
export function problemsOf(form: OptionsForm): Record<string, string> {
  const problems: Record<string, string> = {};
  const options = optionsOfForm(form);
  const { min_file_bytes: least, max_file_bytes: most } = options;
  const { newer_than_seconds: newer, older_than_seconds: older } = options;
  const numbers = { smallest: least, largest: most, newest: newer, oldest: older } as const;
  for (const [field, value] of Object.entries(numbers)) {
    if (Number.isNaN(value)) problems[field] = "Enter a number, or leave it empty for no limit.";
  }
  if (least != null && most != null && least > most)
    problems["largest"] = "This is less than the smallest size: no file fits.";
  if (newer != null && older != null && older > newer)
    problems["oldest"] = "This is longer than the time above: no file fits.";
  if (form.markers.length > 20) problems["markers"] = "At most 20 names.";
  if (form.markers.some((name) => name.includes("/") || name === "." || name === ".." || name.length > 255)) {
    problems["markers"] = "Names of files alone, without '/'.";
  }
  const canary = canaryProblem(form.canaries);
  if (canary) problems["canaries"] = canary;
  const slow = rateProblem(options.bytes_per_second);
  if (slow) problems["rate"] = slow;
  for (const [at, window] of options.bandwidth?.entries() ?? []) {
    const field = `windows.${at}`;
    if (window.days.length === 0) problems[`${field}.days`] = "Choose at least one day.";
    if (window.from === "" || window.to === "") problems[`${field}.times`] = "Enter both times.";
    const tooSlow = rateProblem(window.bytes_per_second);
    if (tooSlow) problems[`${field}.rate`] = tooSlow;
  }
  // What the contract refuses besides is not lost either.
  if (Object.keys(problems).length === 0 && !sourceOptionsSchema.safeParse(options).success) {
    problems["form"] = "The hub would not take these options. Check the numbers.";
  }
  return problems;
}

/** What the contract says of them. */
function canaryProblem(paths: string[]): string | null {
  const [issue] = sourceOptionsSchema.shape.canaries.safeParse(paths).error?.issues ?? [];
  if (!issue) return null;
  const [at] = issue.path;
  if (typeof at === "number") {
    return issue.code === "custom" ? `${paths[at]} is not ${issue.message}.` : `${paths[at]}: ${issue.message}.`;
  }
  return issue.code === "too_big" ? `At most ${issue.maximum} files.` : issue.message;
}

/** The paths that somebody typed, one a line, each as clean as it can be made. */
export function linesOfPaths(text: string): string[] {
  const lines = text.split("\n").map((line) => line.trim());
  return [...new Set(lines.filter(Boolean).map((line) => cleanTypedPath(line) ?? line))];
}

function rateProblem(value: number | null | undefined): string | null {
  if (value == null) return null;
  if (Number.isNaN(value)) return "Enter a number, or leave it empty for full speed.";
  return value < KIB ? "At least 1 KiB/s, or a backup never ends." : null;
}

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
/** The week as people read it, from Monday on. */
const WEEK = [1, 2, 3, 4, 5, 6, 0];
export const DAY_ITEMS = WEEK.map((day) => ({ value: String(day), label: DAYS[day] ?? "" }));

function daysInWords(days: number[]): string {
  if (days.length === 7) return "every day";
  const places = WEEK.flatMap((day, place) => (days.includes(day) ? [place] : []));
  const names = places.map((place) => DAY_ITEMS[place]?.label);
  const inRow = places.length > 2 && places.every((place, index) => place === (places[0] ?? 0) + index);
  return inRow ? `${names[0]}–${names.at(-1)}` : names.join(", ");
}

function windowInWords({ days, from, to, timezone, bytes_per_second }: BandwidthWindow): string {
  const speed = bytes_per_second === null ? "at full speed" : `at up to ${formatBytes(bytes_per_second)}/s`;
  return `Read ${speed} ${daysInWords(days)} ${from}–${to} (${timezone}).`;
}

function ageInWords(seconds: number): string {
  const { amount, unit } = measureOf(seconds, AGE_UNITS, DAY);
  const word = AGE_UNITS.find(({ value }) => value === unit)?.label ?? "seconds";
  return `${amount} ${amount === "1" ? word.slice(0, -1) : word}`;
}

/** A source's options in words, those alone that differ from what is usual. */
export function optionsInWords(options: SourceOptions): string[] {
  const words: string[] = [];
  const { min_file_bytes: least, max_file_bytes: most } = options;
  const { newer_than_seconds: newer, older_than_seconds: older } = options;
  if (options.exclude_if_present?.length) {
    words.push(`Folders that hold ${options.exclude_if_present.join(" or ")} are taken without what is in them.`);
  }
  if (least != null) words.push(`Files smaller than ${formatBytes(least)} are left out.`);
  if (most != null) words.push(`Files larger than ${formatBytes(most)} are left out.`);
  if (newer != null) words.push(`Only files changed within ${ageInWords(newer)}.`);
  if (older != null) words.push(`Only files not changed for ${ageInWords(older)}.`);
  if (options.one_file_system) words.push("Other mounted file systems are left out.");
  if (options.transport !== "auto") {
    words.push(options.transport === "tar" ? "Read by the server's own tar alone." : "Read over SFTP alone.");
  }
  if (options.bytes_per_second != null) words.push(`Read at up to ${formatBytes(options.bytes_per_second)}/s.`);
  for (const window of options.bandwidth ?? []) words.push(windowInWords(window));
  if (options.canaries?.length) words.push(`Nothing expires once a canary changes: ${options.canaries.join(", ")}.`);
  return words;
}
