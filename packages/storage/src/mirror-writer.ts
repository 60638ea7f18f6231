import { isXVaultError, keepForGood } from "@xvault/kernel";
import { ended, exists } from "./failures.ts";
import type { MirrorMember } from "./mirror.ts";
import type { ObjectWriter } from "./object-store.ts";

/** What writers of one mirror share. */
export interface MirrorState {
  /** Members that are written to, in order; never empty. */
  healthy(): MirrorMember[];
  /** Gives a member up for the rest of the run. Throws `error` when it is the last one. */
  giveUp(member: MirrorMember, error: unknown): void;
  /** Writers at work, each told of a member that was given up. */
  writers: Set<MirrorWriter>;
  /** Keys that are being published: two writers must not win on different members. */
  publishing: Set<string>;
}

export interface MirrorWriter extends ObjectWriter {
  /** Goes on without this member. */
  drop(member: MirrorMember): void;
}

type Failure = readonly [member: MirrorMember, error: unknown];

/** Does the same for every member at once and waits for all. Gives what came out, and what failed. */
async function forEach<Part, T>(
  asked: readonly (readonly [MirrorMember, Part])[],
  work: (part: Part) => Promise<T> | T,
): Promise<{ done: [MirrorMember, T][]; failures: Failure[] }> {
  const done: [MirrorMember, T][] = [];
  const failures: Failure[] = [];
  const outcomes = await Promise.allSettled(asked.map(async ([, part]) => work(part)));
  for (const [at, [member]] of asked.entries()) {
    const outcome = outcomes[at];
    if (outcome?.status === "fulfilled") done.push([member, outcome.value]);
    else failures.push([member, outcome?.reason]);
  }
  return { done, failures };
}

const isTaken = ([, error]: Failure) => isXVaultError(error, "OBJECT_EXISTS");

/** Begins an object on every healthy member. */
export async function beginMirrored(state: MirrorState, key: string): Promise<ObjectWriter> {
  const asked = state.healthy().map((member) => [member, member.store] as const);
  const { done, failures } = await forEach(asked, (store) => store.create(key));
  const parts = new Map(done);
  try {
    for (const failure of failures) if (!isTaken(failure)) state.giveUp(...failure);
    if (failures.some(isTaken)) throw exists(key);
  } catch (error) {
    await Promise.all([...parts.values()].map((part) => part.abort()));
    throw error;
  }
  const writer = mirrorWriter(state, key, parts);
  state.writers.add(writer);
  // Whoever was given up while the object was being begun.
  const left = new Set(state.healthy());
  for (const member of parts.keys()) if (!left.has(member)) writer.drop(member);
  return writer;
}

function mirrorWriter(state: MirrorState, key: string, parts: Map<MirrorMember, ObjectWriter>): MirrorWriter {
  const { writers, publishing } = state;
  let size = 0;
  let stage: "open" | "closed" | "failed" | "over" = "open";
  let committing: Promise<void> | null = null;

  /** Does it on every part that is left, and gives up those that fail, unless all of them failed in a way that is `forgiven`. */
  const onParts = async (
    work: (part: ObjectWriter) => Promise<void> | void,
    forgiven?: (failure: Failure) => boolean,
  ) => {
    const { failures } = await forEach([...parts], work);
    // An abort meanwhile made them fail; a member that was dropped meanwhile counts no more.
    if (stage === "over") throw ended(key);
    const counted = failures.filter(([member]) => parts.has(member));
    if (forgiven && counted.length === parts.size && counted.every(forgiven)) throw counted[0]?.[1];
    try {
      for (const failure of counted) state.giveUp(...failure);
    } catch (error) {
      stage = "failed";
      throw error;
    }
  };
  const abortAll = async () => {
    await Promise.all([...parts.values()].map((part) => part.abort()));
  };
  const publish = async () => {
    if (publishing.has(key)) {
      await abortAll();
      throw exists(key);
    }
    publishing.add(key);
    try {
      await onParts((part) => part.commit(), isTaken);
    } finally {
      publishing.delete(key);
    }
  };

  const writer: MirrorWriter = {
    get sizeBytes() {
      return size;
    },
    async write(chunk) {
      if (stage !== "open") throw ended(key);
      const { length } = chunk;
      // None of them can know when the others are done with it.
      if (parts.size > 1) keepForGood(chunk);
      await onParts((part) => part.write(chunk));
      size += length;
    },
    async close() {
      if (stage !== "open") return;
      stage = "closed";
      await onParts((part) => part.close());
    },
    async commit() {
      if (stage === "failed" || stage === "over" || committing) throw ended(key);
      committing = publish();
      try {
        await committing;
      } finally {
        stage = "over";
        writers.delete(writer);
      }
    },
    async abort() {
      // Half of the members may have published already: a commit under way is left to end.
      await committing?.catch(() => {});
      if (committing || stage === "over") return;
      stage = "over";
      writers.delete(writer);
      await abortAll();
    },
    drop(member) {
      const part = parts.get(member);
      parts.delete(member);
      // Not waited for: a storage that is gone may never answer.
      void part?.abort();
    },
  };
  return writer;
}
