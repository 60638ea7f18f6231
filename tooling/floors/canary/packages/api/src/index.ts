export interface Router {
  name: string;
}
export const router: Router = { name: "canary" };
