import { expect, test } from "vitest";
import { s3ConfigSchema } from "./storages.ts";

test("a bucket may be named for the workspace, and is a bucket's name in any case", () => {
  const takes = (bucket: string) => s3ConfigSchema.safeParse({ bucket }).success;
  for (const name of ["abc", "backups-of.acme", "xvault-{tenant_id}", "{tenant_id}"])
    expect(takes(name), name).toBe(true);
  for (const name of ["ab", "Abc", "-abc", "abc-", "a_b", "{tenant}", "{tenant_id}-{tenant_id}", "x".repeat(64)])
    expect(takes(name), name).toBe(false);
  expect(takes(`${"x".repeat(28)}{tenant_id}`)).toBe(false);
});
