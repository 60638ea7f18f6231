import { group } from "../command.ts";
import { sendPackageCommand } from "./package-send.ts";

export const packageCommand = group("package", "Packages: what edge clients send by themselves.", {
  send: sendPackageCommand,
});
