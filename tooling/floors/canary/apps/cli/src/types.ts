// caught by: nothing
import type { Router } from "../../../packages/api/src/index.ts";
export type R = Router;
