// Installs xVault's packages when the lock file has changed since the last time, and makes sure that a Node 24 is there.
// Runs before `npm start` and `npm test`, on whatever Node the machine has (18 or later), so: plain JavaScript, no packages.
// `npm install --no-save` and not `npm ci`: the latter rejects a lock file that lacks other platforms' packages.
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const WANTED_NODE = 24;
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, "node_modules");
const stampFile = join(modules, ".xvault-setup");

/** What the installed packages depend on: the lock file and the kind of machine. */
function wantedStamp() {
  const hash = createHash("sha256").update(readFileSync(join(root, "package-lock.json")));
  return hash.update(`${process.platform}-${process.arch}`).digest("hex");
}

function installedStamp() {
  try {
    return readFileSync(stampFile, "utf8").trim();
  } catch {
    return "";
  }
}

/** The cause and the remedy behind npm's output, for the failures that people meet. */
const CAUSES = [
  [
    /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH/,
    "The package registry is not reachable.",
    "Check the network, the proxy (HTTPS_PROXY) and `npm config get registry`, then run the command again.",
  ],
  [/CERT_|SELF_SIGNED|UNABLE_TO_VERIFY/, "The registry's certificate is not trusted.", "Set NODE_EXTRA_CA_CERTS."],
  [/ENOSPC/, "The disk is full.", "Free about 2 GB and run the command again."],
  [
    /EACCES|EPERM/,
    "Files here belong to another user.",
    `Give ${root} to the user who runs this, or run as its owner.`,
  ],
  [/EINTEGRITY/, "A package is not what the lock file expects.", "Run `npm cache clean --force`, then try again."],
  [/E40[13]/, "The package registry refuses access.", "Check the credentials in your .npmrc."],
];

function failInstall(output, code) {
  const [, cause, fix] = CAUSES.find(([pattern]) => pattern.test(output)) ?? [
    null,
    `npm stopped with exit code ${code}.`,
    "Read npm's output above; `npm install --no-save` repeats this step alone.",
  ];
  process.stderr.write(`\n${output.trim().split("\n").slice(-40).join("\n")}\n\n`);
  process.stderr.write(`xVault: installing its packages failed. ${cause}\n  What to do: ${fix}\n`);
  process.exit(1);
}

/** Shows that something goes on: one line that counts on a terminal, a line every 15 s elsewhere. */
function showProgress(text) {
  const started = Date.now();
  const seconds = () => Math.round((Date.now() - started) / 1000);
  const live = process.stdout.isTTY;
  process.stdout.write(live ? `${text} …` : `${text} …\n`);
  const timer = setInterval(
    () => process.stdout.write(live ? `\r${text} … ${seconds()} s` : `  still installing, ${seconds()} s\n`),
    live ? 1000 : 15_000,
  );
  return (done) => {
    clearInterval(timer);
    process.stdout.write(`${live ? "\r\u001b[K" : ""}${done} in ${seconds()} s.\n`);
  };
}

async function install() {
  const first = !existsSync(modules);
  const done = showProgress(
    first ? "Installing xVault's packages (once, about a minute)" : "xVault's packages changed: installing them",
  );
  // NODE_ENV=production or an `omit` in someone's npmrc must not leave out what building and testing need.
  const args = ["install", "--no-save", "--no-audit", "--no-fund", "--include=dev", "--include=optional"];
  const npm = process.env["npm_execpath"];
  const byNode = npm !== undefined && /\.c?js$/.test(npm);
  const child = byNode
    ? spawn(process.execPath, [npm, ...args], { cwd: root, stdio: ["ignore", "pipe", "pipe"] })
    : spawn("npm", args, { cwd: root, stdio: ["ignore", "pipe", "pipe"], shell: process.platform === "win32" });
  let output = "";
  const keep = (chunk) => {
    output = (output + chunk).slice(-64_000);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  const code = await new Promise((resolve) => {
    child.on("error", (error) => resolve(keep(String(error)) ?? 1));
    child.on("close", resolve);
  });
  if (code !== 0) failInstall(output, code);
  done("Packages installed");
}

/** The version of the Node which npm scripts will run on, or null where it does not start. */
function installedNode() {
  const own = join(modules, ".bin", process.platform === "win32" ? "node.cmd" : "node");
  if (!existsSync(own)) return process.versions.node;
  try {
    const shell = process.platform === "win32";
    return execFileSync(shell ? `"${own}"` : own, ["--version"], { encoding: "utf8", shell })
      .trim()
      .replace(/^v/, "");
  } catch {
    return null;
  }
}

function checkNode() {
  const version = installedNode();
  if (version !== null && Number.parseInt(version, 10) >= WANTED_NODE) return;
  const has = version === null ? "the one in node_modules does not start here" : `this machine has ${version}`;
  const fix =
    process.platform === "darwin"
      ? "On macOS install it yourself (nodejs.org, `brew install node@24` or `nvm install 24`)"
      : "On this kind of machine install it yourself (nodejs.org or `nvm install 24`)";
  process.stderr.write(`xVault needs Node ${WANTED_NODE} or later; ${has}.\n  What to do: ${fix}, then try again.\n`);
  process.exit(1);
}

const wanted = wantedStamp();
if (installedStamp() !== wanted) {
  await install();
  checkNode();
  mkdirSync(modules, { recursive: true });
  writeFileSync(stampFile, `${wanted}\n`);
}
