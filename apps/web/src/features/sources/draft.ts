import {
  type Credential,
  type HostKeyMessage,
  type PackageType,
  type SourceOptions,
  sourceOptionsSchema,
} from "@xvault/contracts";
import { defineStore } from "pinia";
import { computed, reactive, watch } from "vue";
import { localTimeZone } from "../../lib/time.ts";
import type { Tried } from "./queries.ts";

export interface ScheduleChoice {
  cron: string;
  timezone: string;
}

/** `storage` is a step only where there is something to choose from. */
export const STEPS = [
  "address",
  "host-key",
  "login",
  "test",
  "files",
  "schedule",
  "retention",
  "storage",
  "review",
] as const;
export type Step = (typeof STEPS)[number];

interface Draft {
  host: string;
  port: number;
  username: string;
  hostKey: HostKeyMessage | null;
  hostKeyConfirmed: boolean;
  /** As the hub shows it: no secret is ever in here. */
  credential: Credential | null;
  tested: boolean;
  paths: string[];
  excludes: string[];
  options: SourceOptions;
  schedule: ScheduleChoice | null;
  packageType: PackageType;
  /** Null: nobody chose; that, and none: the workers' disks. */
  storageIds: string[] | null;
  name: string;
}

const KEPT = "xvault-source-draft";

const empty = (): Draft => ({
  host: "",
  port: 22,
  username: "",
  hostKey: null,
  hostKeyConfirmed: false,
  credential: null,
  tested: false,
  paths: [],
  excludes: [],
  options: sourceOptionsSchema.parse({}),
  schedule: { cron: "0 2 * * *", timezone: localTimeZone() },
  packageType: "user_data",
  storageIds: null,
  name: "",
});

function kept(): Draft {
  try {
    return { ...empty(), ...(JSON.parse(sessionStorage.getItem(KEPT) ?? "{}") as Partial<Draft>) };
  } catch {
    return empty();
  }
}

/** The source that is being added. It survives going back, other pages, and a reload of this tab; it holds no secret. */
export const useSourceDraft = defineStore("source-draft", () => {
  const draft = reactive(kept());
  watch(draft, () => sessionStorage.setItem(KEPT, JSON.stringify(draft)));

  /** The connection so far, to try; null until host key and credential are there. */
  const tried = computed<Tried | null>(() => {
    const { host, port, username, hostKey, hostKeyConfirmed, credential } = draft;
    if (!hostKey || !hostKeyConfirmed || !credential || username === "") return null;
    return { connection: { host, port, username, host_key: hostKey, credential_id: credential.id } };
  });

  /** Up to which step the draft is complete: later ones cannot be opened yet. */
  const reached = computed<number>(() => {
    if (draft.host === "" || !draft.hostKey) return 0;
    if (!draft.hostKeyConfirmed) return 1;
    if (!tried.value) return 2;
    if (!draft.tested) return 3;
    if (draft.paths.length === 0) return 4;
    return STEPS.length - 1;
  });

  function setAddress(host: string, port: number, hostKey: HostKeyMessage): void {
    const same = draft.host === host && draft.port === port && draft.hostKey?.key === hostKey.key;
    Object.assign(draft, { host, port, hostKey });
    if (!same) Object.assign(draft, { hostKeyConfirmed: false, tested: false, paths: [] });
    if (draft.name === "") draft.name = host;
  }

  function clear(): void {
    Object.assign(draft, empty());
    sessionStorage.removeItem(KEPT);
  }

  return { draft, tried, reached, setAddress, clear };
});
