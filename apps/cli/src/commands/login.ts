import { hostname } from "node:os";
import { askSecret, askText, readStdin } from "../ask.ts";
import { command, JSON_ARG } from "../command.ts";
import { EXIT, UsageError } from "../exit-codes.ts";
import { hubApi } from "../hub/api.ts";
import { createHubClient, DEFAULT_URL, hubUrl, isExposed, openHub } from "../hub/client.ts";
import { forgetLogin, loadLogin, type SavedLogin, saveLogin } from "../hub/saved-login.ts";
import { isInteractive } from "../world.ts";

export const loginCommand = command({
  name: "login",
  description: "Sign in to a hub; the token is kept in a file that only you can read.",
  args: {
    url: { type: "string", description: `Address of the hub (default: XVAULT_URL, else ${DEFAULT_URL})` },
    email: { type: "string", description: "Your e-mail address; asked for otherwise" },
    "password-stdin": { type: "boolean", description: "Read the password from standard input" },
    token: { type: "string", description: "Use this API token instead of a password" },
    "token-stdin": { type: "boolean", description: "Read an API token from standard input" },
    workspace: { type: "string", description: "Id of the workspace, when you are in several" },
    ...JSON_ARG,
  },
  examples: [
    "xvault login",
    "xvault login --url https://backup.example.com --email me@example.com --password-stdin < password.txt",
    "xvault login --url https://backup.example.com --token-stdin < token.txt",
  ],
  async act({ args, world, output, signal }) {
    const { configFile } = world.environment;
    if (args["password-stdin"] && args["token-stdin"])
      throw new UsageError("Standard input holds a password or a token, not both.");
    const saved = await loadLogin(configFile).catch(() => null);
    const url = hubUrl(args.url ?? world.environment.url ?? saved?.url ?? DEFAULT_URL);
    if (isExposed(url)) output.warn(`${url} is not encrypted: whoever listens on the way can read the token.`);

    const given = args.token ?? (args["token-stdin"] ? await readStdin(world, "token") : undefined);
    let login: SavedLogin;
    if (given === undefined) {
      const email = args.email ?? (await askText({ world, unasked: new UsageError("--email is missing.") }, "E-mail"));
      const password = args["password-stdin"]
        ? await readStdin(world, "password")
        : await askSecret(
            { world, unasked: new UsageError("Pipe the password in with --password-stdin.") },
            "Password",
          );
      const answer = await hubApi(createHubClient(url, undefined, signal)).signIn({
        email,
        password,
        name: `command line on ${hostname()}`.slice(0, 120),
        ...(args.workspace === undefined ? {} : { workspace_id: args.workspace }),
      });
      login = {
        version: 1,
        url,
        token: answer.token,
        email: answer.user.email,
        workspace: { id: answer.workspace.id, name: answer.workspace.name },
        expires_at: answer.api_token.expires_at,
      };
    } else {
      const me = await hubApi(createHubClient(url, given, signal)).me();
      login = {
        version: 1,
        url,
        token: given,
        ...(me.user ? { email: me.user.email } : {}),
        ...(me.workspace ? { workspace: { id: me.workspace.id, name: me.workspace.name } } : {}),
      };
    }
    await saveLogin(configFile, login);
    const { token: _, version: __, ...shown } = login;
    output.message("login", shown);
    output.line(
      `Signed in to ${url}${login.email ? ` as ${login.email}` : ""}${login.workspace ? `, workspace ${login.workspace.name}` : ""}.`,
    );
    if (isInteractive(world)) output.note(`The token is kept in ${configFile}.`);
    return EXIT.ok;
  },
});

export const logoutCommand = command({
  name: "logout",
  description: "Forget the sign-in on this machine. Revoke the token itself in the web interface.",
  args: JSON_ARG,
  async act({ world, output }) {
    const had = await forgetLogin(world.environment.configFile);
    output.message("logout", { signed_in: had });
    output.line(had ? "Signed out on this machine." : "You were not signed in.");
    return EXIT.ok;
  },
});

export const whoamiCommand = command({
  name: "whoami",
  description: "Who you are signed in as, and where.",
  args: JSON_ARG,
  async act({ world, output, signal }) {
    const hub = await openHub(world, signal);
    const me = await hubApi(hub).me();
    output.message("whoami", { url: hub.url, ...me });
    output.line(me.user ? `${me.user.email} (${me.user.name}) at ${hub.url}` : `A token at ${hub.url}`);
    if (me.workspace) {
      output.line(
        `workspace ${me.workspace.name}, role ${me.workspace.role}, restore key held by the ${me.workspace.key_mode}`,
      );
    }
    if (me.scopes) output.line(`scopes: ${me.scopes.join(", ")}`);
    return EXIT.ok;
  },
});
