// caught by: inside-of-package
import { inside } from "../../../packages/engine/src/inside.ts";
export const deep = inside;
