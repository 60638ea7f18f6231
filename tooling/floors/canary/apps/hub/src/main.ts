// caught by: nothing
import { router } from "../../../packages/api/src/index.ts";
export const hub = router;
