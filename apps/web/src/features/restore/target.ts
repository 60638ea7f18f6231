import type { Source } from "@xvault/contracts";

export type Overwrite = "never" | "if-newer" | "if-changed" | "always";

export const OVERWRITE_CHOICES: { value: Overwrite; label: string; description: string }[] = [
  { value: "never", label: "Keep existing files", description: "What exists there already stays untouched." },
  {
    value: "if-newer",
    label: "Replace older files",
    description: "Existing files are replaced where the snapshot's are newer.",
  },
  {
    value: "if-changed",
    label: "Replace files that differ",
    description: "Existing files are replaced where size or time differ.",
  },
  { value: "always", label: "Replace every file", description: "Existing files of the same names are lost." },
];

/** A fresh directory's name for a restore of this snapshot. */
export const freshDirectory = (shortId: string) => `/var/tmp/xvault-restore-${shortId}`;

export interface RestorePlan {
  everything: boolean;
  entries: number;
  snapshotLabel: string;
  target: Pick<Source, "name"> | null;
  path: string;
  overwrite: Overwrite;
}

/** What a restore will do, in sentences, before it starts. */
export function planInWords(plan: RestorePlan): string[] {
  const what = plan.everything ? "All files" : plan.entries === 1 ? "One entry" : `${plan.entries} entries`;
  const where = plan.path === "/" ? "in their original places" : `below ${plan.path}`;
  const kept = {
    never: "Existing files stay as they are; what is missing is written.",
    "if-newer": "Existing files are replaced where the snapshot's are newer.",
    "if-changed": "Existing files are replaced where they differ.",
    always: "Existing files of the same names are replaced.",
  };
  return [
    `${what} of ${plan.snapshotLabel} will be written to ${plan.target?.name ?? "the source"}, ${where}.`,
    kept[plan.overwrite],
    "Before anything is written, the snapshot's signature is checked; every file is checked against its hash as it is written.",
  ];
}
