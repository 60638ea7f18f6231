import ssh2, { type AnyAuthMethod, type Client, type ClientChannel, type ServerHostKeyAlgorithm } from "ssh2";
import { XVaultError } from "@xvault/kernel";
import { type Dialled, dial } from "./address.ts";
import { hostKeyFromBlob, inspectPrivateKey } from "./keys.ts";
import { Intake } from "./packet-intake.ts";
import { gatherWrites, handOn, useFastCiphers, watchEnd, widenWindow, windowFor } from "./ssh2-inside.ts";
import { type SilenceLimits, stallError, USUAL_SILENCE } from "./silence.ts";
import { Throttle } from "./throttle.ts";
import type { ConnectOptions, HostKey, ProbeOptions } from "./types.ts";

/** An authenticated SSH connection. */
export interface Link {
  readonly address: string;
  /** What the TCP handshake took, or more where something between ends the TCP connection and the server lies behind it. */
  readonly roundTripMs: number;
  readonly username: string;
  /** Set as soon as the connection has ended, by whomever. */
  readonly lost: XVaultError | null;
  /** What the server enciphers with. */
  readonly cipher: string;
  /** True while a limit keeps the server from sending: its silence says nothing then. */
  readonly heldBack: boolean;
  /** Beyond which silence is taken for a command that hangs. */
  readonly silence: SilenceLimits;
  /** Whether packets are enciphered the fast way. */
  readonly keyObjects: boolean;
  /** Runs a command. `attach` is called at once: what it adds to the channel misses nothing, not even an end in the same packet. */
  exec<T>(command: string, attach: (opened: OpenChannel) => T): Promise<T>;
  /** Tells what an answer of the server itself took. */
  observeRoundTrip(ms: number): void;
  subsystem<T>(name: string, attach: (opened: OpenChannel) => T): Promise<T>;
  close(): void;
}

export interface OpenChannel {
  channel: ClientChannel;
  /** Where a command's standard output is taken from; the channel itself only ends. Null where the channel gives all, as a subsystem's does. */
  intake: Intake | null;
  /** To be called after reading from the channel. */
  consumed(): void;
  /** Whether the server itself ended what it sends. A stream that ends because the link broke looks the same otherwise. */
  ended(): boolean;
}

/**
 * Asks a server for its host key and hangs up before any authentication begins.
 *
 * @throws HOST_UNRESOLVED, TARGET_FORBIDDEN, HOST_UNREACHABLE, CANCELLED
 */
export async function probeHostKey(options: ProbeOptions): Promise<HostKey> {
  const dialled = await dial(options);
  const client = new ssh2.Client();
  dialled.handOn(handOn(client, dialled.socket));
  return new Promise((resolve, reject) => {
    let found: HostKey | null = null;
    const cancel = () => client.destroy();
    options.signal?.addEventListener("abort", cancel, { once: true });
    client.on("error", () => {}); // what matters is whether the key arrived; 'close' follows
    client.on("close", () => {
      options.signal?.removeEventListener("abort", cancel);
      if (found) resolve(found);
      else if (options.signal?.aborted) reject(new XVaultError("CANCELLED"));
      else
        reject(
          new XVaultError("HOST_UNREACHABLE", `${options.host} port ${options.port} does not speak SSH.`, {
            fix: "Check that the port is the one of the SSH server.",
          }),
        );
    });
    client.connect({
      sock: dialled.socket,
      username: "probe",
      readyTimeout: options.timeoutMs ?? 15_000,
      authHandler: [],
      hostVerifier: (blob: Buffer) => {
        found = hostKeyFromBlob(blob);
        return false;
      },
    });
  });
}

/** Refuses names that a shell, a log line or another program could take for something else. */
export function checkUsername(username: string): void {
  if (username === "" || username.length > 64 || username.startsWith("-") || /[\p{C}\p{Z}@:]/u.test(username)) {
    throw new XVaultError("USERNAME_INVALID");
  }
}

/** Opens and authenticates a connection; errors as in {@link connectSource}. */
export async function openLink(options: ConnectOptions): Promise<Link> {
  checkUsername(options.username);
  const methods = authMethods(options);
  const dialled = await dial(options);
  const client = new ssh2.Client();
  dialled.handOn(handOn(client, dialled.socket));
  let lost: XVaultError | null = null;
  let keyObjects = false;
  let cipher = "";
  gatherWrites(dialled.socket);
  client.on("handshake", ({ sc }) => {
    cipher = sc.cipher;
    keyObjects = useFastCiphers(client);
  });
  await handshake(client, dialled, options, methods);
  client.on("error", (cause) => {
    lost ??= new XVaultError("CONNECTION_LOST", undefined, { cause });
  });
  client.on("close", () => {
    lost ??= new XVaultError("CONNECTION_LOST");
  });
  let roundTripMs = dialled.roundTripMs;
  const silence = { ...USUAL_SILENCE, ...options.silence };
  const window = () => windowFor(roundTripMs);
  const throttle = options.bandwidth ? new Throttle(options.bandwidth, options.throttleClock) : null;
  const open = <T>(
    start: (done: (error: Error | undefined, channel: ClientChannel) => void) => void,
    attach: (opened: OpenChannel) => T,
    intake: Intake | null,
  ) =>
    new Promise<T>((resolve, reject) => {
      if (lost) return reject(lost);
      const closed = () => reject(lost ?? new XVaultError("CONNECTION_LOST"));
      client.once("close", closed);
      let late = false;
      const patience = setTimeout(() => {
        late = true;
        reject(stallError("The server, asked to run a command or SFTP,", silence.answer));
      }, silence.answer).unref();
      try {
        start((error, channel) => {
          client.removeListener("close", closed);
          clearTimeout(patience);
          if (late) return channel?.close();
          if (error) return reject(lost ?? error);
          const ended = watchEnd(channel, () => lost === null);
          const consumed = widenWindow(channel, window, { throttle, intake }) ?? (() => {});
          resolve(attach({ channel, intake, consumed, ended }));
        });
      } catch (error) {
        reject(lost ?? new XVaultError("CONNECTION_LOST", undefined, { cause: error }));
      }
    });
  return {
    address: dialled.address,
    get roundTripMs() {
      return roundTripMs;
    },
    observeRoundTrip: (ms) => {
      roundTripMs = Math.max(dialled.roundTripMs, ms);
    },
    username: options.username,
    get lost() {
      return lost;
    },
    get heldBack() {
      return throttle?.holds ?? false;
    },
    silence,
    get cipher() {
      return cipher;
    },
    get keyObjects() {
      return keyObjects;
    },
    exec: (command, attach) => open((done) => client.exec(command, done), attach, new Intake()),
    subsystem: (name, attach) => open((done) => client.subsys(name, done), attach, null),
    close: () => {
      lost ??= new XVaultError("CONNECTION_LOST", "The connection was closed.");
      client.end();
      dialled.socket.destroySoon();
    },
  };
}

/** Every way by which the credential can be presented. The passphrase is tried before anything is sent. */
function authMethods(options: ConnectOptions): AnyAuthMethod[] {
  const { username, credential } = options;
  if (credential.kind === "key") {
    inspectPrivateKey(credential.privateKey, credential.passphrase);
    const key = `${credential.privateKey.replaceAll("\r\n", "\n").trim()}\n`;
    return [
      { type: "publickey", username, key, ...(credential.passphrase ? { passphrase: credential.passphrase } : {}) },
    ];
  }
  const { password } = credential;
  let answered = false;
  return [
    { type: "password", username, password },
    {
      type: "keyboard-interactive",
      username,
      // Only one hidden prompt is a password prompt; a second factor or a repeated question is not answered with the password.
      prompt: (_name, _instructions, _lang, prompts, finish) => {
        const hidden = prompts.length === 1 && prompts[0]?.echo !== true && !answered;
        answered = true;
        finish(hidden ? [password] : prompts.map(() => ""));
      },
    },
  ];
}

const HOST_KEY_ALGORITHMS: Record<string, ServerHostKeyAlgorithm[]> = {
  "ssh-ed25519": ["ssh-ed25519"],
  "ssh-rsa": ["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"],
  "rsa-sha2-512": ["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"],
  "rsa-sha2-256": ["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"],
  "ecdsa-sha2-nistp256": ["ecdsa-sha2-nistp256"],
  "ecdsa-sha2-nistp384": ["ecdsa-sha2-nistp384"],
  "ecdsa-sha2-nistp521": ["ecdsa-sha2-nistp521"],
};

function handshake(client: Client, dialled: Dialled, options: ConnectOptions, methods: AnyAuthMethod[]): Promise<void> {
  const pinned = Buffer.from(options.hostKey.key, "base64");
  const wanted = HOST_KEY_ALGORITHMS[hostKeyFromBlob(pinned).algorithm];
  let presented: HostKey | null = null;
  let verified = false;
  let failure: Error | null = null;
  return new Promise((resolve, reject) => {
    const cancel = () => client.destroy();
    const settle = (error: XVaultError | null) => {
      options.signal?.removeEventListener("abort", cancel);
      client.removeAllListeners("error").removeAllListeners("close").removeAllListeners("ready");
      client.on("error", () => {});
      if (!error) return resolve();
      client.destroy();
      reject(error);
    };
    options.signal?.addEventListener("abort", cancel, { once: true });
    client.on("error", (error) => {
      failure ??= error;
    });
    client.on("ready", () => settle(null));
    client.on("close", () => {
      if (options.signal?.aborted) return settle(new XVaultError("CANCELLED"));
      settle(explain(options, failure, presented, verified));
    });
    client.connect({
      sock: dialled.socket,
      username: options.username,
      readyTimeout: options.timeoutMs ?? 15_000,
      keepaliveInterval: options.keepaliveMs ?? 15_000,
      keepaliveCountMax: 3,
      authHandler: nextMethod(methods),
      algorithms: {
        // GCM first: it is the fastest of those that authenticate, where processors have AES.
        cipher: [
          "aes128-gcm@openssh.com",
          "aes256-gcm@openssh.com",
          "chacha20-poly1305@openssh.com",
          "aes128-ctr",
          "aes192-ctr",
          "aes256-ctr",
        ],
        compress: ["none"],
        // A server has several keys; it must present the one that was confirmed.
        ...(wanted ? { serverHostKey: wanted } : {}),
      },
      hostVerifier: (blob: Buffer) => {
        presented = hostKeyFromBlob(blob);
        verified = blob.equals(pinned);
        return verified;
      },
    });
  });
}

/** Offers each method once, those that the server would refuse anyway left out. */
function nextMethod(methods: AnyAuthMethod[]) {
  const left = [...methods];
  return (allowed: string[] | null, _partial: boolean | null, next: (method: AnyAuthMethod) => void) => {
    let method = left.shift();
    while (method && allowed && !allowed.includes(method.type)) method = left.shift();
    // ssh2 takes `false` for 'no more', which its types do not know.
    next((method ?? false) as AnyAuthMethod);
  };
}

function explain(
  options: ConnectOptions,
  failure: (Error & { level?: string; code?: unknown }) | null,
  presented: HostKey | null,
  verified: boolean,
): XVaultError {
  const cause = failure ?? undefined;
  const where = `${options.host} port ${options.port}`;
  if (presented && !verified) {
    return new XVaultError(
      "HOST_KEY_CHANGED",
      `The server presented the host key ${presented.fingerprint} instead of ${options.hostKey.fingerprint}. No credential was sent.`,
      { cause, data: { presented: presented.fingerprint, expected: options.hostKey.fingerprint } },
    );
  }
  if (!presented && /host key/i.test(failure?.message ?? "")) {
    return new XVaultError(
      "HOST_KEY_CHANGED",
      `The server no longer has a ${options.hostKey.algorithm} host key, the kind that was confirmed. No credential was sent.`,
      { cause, data: { presented: null, expected: options.hostKey.fingerprint } },
    );
  }
  if (failure?.level === "client-authentication" || (verified && /authentication/i.test(failure?.message ?? ""))) {
    return new XVaultError("LOGIN_REFUSED", `The server refused the login of '${options.username}'.`, { cause });
  }
  if (failure?.level === "client-timeout") {
    return new XVaultError("HOST_UNREACHABLE", `${where} did not finish the SSH handshake in time.`, { cause });
  }
  if (!presented) {
    return new XVaultError("HOST_UNREACHABLE", `${where} does not speak SSH, or hung up at once.`, { cause });
  }
  return new XVaultError("CONNECTION_LOST", `${where} hung up during the login.`, { cause });
}
