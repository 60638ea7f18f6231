import { z } from "zod";
import { idSchema } from "./common.ts";

/** A hint that a job waits. It carries ids alone: what the job is, only the hub says, to the worker that gets the lease. */
export const jobMessageSchema = z.object({ v: z.literal(1), jobId: idSchema, attempt: z.number().int().min(0) });
export type JobMessage = z.infer<typeof jobMessageSchema>;
