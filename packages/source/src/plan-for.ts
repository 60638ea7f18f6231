import type { SourceOptions } from "@xvault/contracts";
import type { PullPlan } from "./types.ts";

/** What a source's settings, as the hub has them, mean for listing and pulling. */
export function planFor(settings: {
  paths: readonly string[];
  excludes: readonly string[];
  options: SourceOptions;
}): PullPlan {
  const { paths, excludes, options } = settings;
  return {
    paths,
    excludes,
    oneFileSystem: options.one_file_system,
    transport: options.transport,
    excludeIfPresent: options.exclude_if_present,
    minFileBytes: options.min_file_bytes,
    maxFileBytes: options.max_file_bytes,
    newerThanSeconds: options.newer_than_seconds,
    olderThanSeconds: options.older_than_seconds,
  };
}
