// caught by: nothing
import "../../archive/src/index.ts";
import "../../kernel/src/index.ts";
import { inside } from "./inside.ts";
export const legal = inside;
