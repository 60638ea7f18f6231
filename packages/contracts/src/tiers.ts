import { z } from "zod";

/** What a package holds; each type has retention rules of its own (seed 001). */
export const packageTypeSchema = z.enum([
  "user_data",
  "app_logs",
  "audit_logs",
  "business_data",
  "job_package",
  "cache",
]);
export type PackageType = z.infer<typeof packageTypeSchema>;

/** Where packages live, by age. A tier is what the seeds call a bucket. */
export const tierSchema = z.enum(["hot", "warm", "cold", "offsite"]);
export type Tier = z.infer<typeof tierSchema>;
