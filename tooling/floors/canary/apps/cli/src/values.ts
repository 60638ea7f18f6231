// caught by: api-as-types-only
import { router } from "../../../packages/api/src/index.ts";
export const r = router;
