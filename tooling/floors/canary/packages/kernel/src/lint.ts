// caught by: floor-kernel
// lint: typescript(no-explicit-any) typescript(no-floating-promises) node(no-process-env) eslint(no-console) typescript(consistent-type-imports)
import { Router } from "../../api/src/index.ts";
export async function later(router: Router, thing: any): Promise<string> {
  console.log(thing);
  return router.name + process.env["HOME"];
}
later({ name: "" }, 1);
