import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { measureScript, megabytesBelow } from "../measure.ts";
import type { Program } from "../programs.ts";
import type { Session, Subject, Task } from "./subject.ts";

interface Peer {
  name: string;
  title: string;
  needs: Program[];
  /** Makes an empty store in the folder `$STORE`. */
  prepare?: string;
  /** Backs `$TREE` on the server up into `$STORE`. */
  backup: string;
  env?(task: Task, store: string): Record<string, string>;
}

const PASSWORD = "only for this comparison";
const RSYNC = `rsync --archive --delete --rsh="$SSH" "$DESTINATION:$TREE/" "$MIRROR/"`;

/** What people use today for the same work. */
export const PEERS: Subject[] = [
  {
    name: "pipe",
    title: "ssh tar | zstd -T0 -3 | age",
    needs: ["ssh", "tar", "zstd", "age", "age-keygen"],
    backup: `$SSH "$DESTINATION" "tar -C / -cf - '\${TREE#/}'" | zstd -q -T0 -3 | age -r "$RECIPIENT" -o "$STORE/$(date +%N).tar.zst.age"`,
  } satisfies Peer,
  {
    name: "rsync-restic",
    title: "rsync, then restic",
    needs: ["ssh", "rsync", "restic"],
    prepare: "restic init --quiet",
    backup: `${RSYNC} && restic backup --quiet "$MIRROR"`,
    env: (task, store) => ({
      RESTIC_REPOSITORY: store,
      RESTIC_PASSWORD: PASSWORD,
      RESTIC_CACHE_DIR: join(task.dir, "cache"),
    }),
  } satisfies Peer,
  {
    name: "rsync-borg",
    title: "rsync, then borg",
    needs: ["ssh", "rsync", "borg"],
    prepare: "borg init --encryption repokey-blake2",
    backup: `${RSYNC} && borg create --compression zstd,3 "::$(date +%N)" "$MIRROR"`,
    env: (task, store) => ({
      BORG_REPO: store,
      BORG_PASSPHRASE: PASSWORD,
      BORG_BASE_DIR: join(task.dir, "base"),
    }),
  } satisfies Peer,
  {
    name: "rclone",
    title: "rclone to crypt",
    needs: ["rclone"],
    backup: `rclone sync --quiet --sftp-skip-links "source:$TREE" target:`,
    env: (_task, store) => ({
      RCLONE_CONFIG_TARGET_TYPE: "crypt",
      RCLONE_CONFIG_TARGET_REMOTE: store,
      RCLONE_CONFIG_TARGET_PASSWORD: execFileSync("rclone", ["obscure", PASSWORD], { encoding: "utf8" }).trim(),
    }),
  } satisfies Peer,
].map(asSubject);

function asSubject(peer: Peer): Subject {
  return {
    name: peer.name,
    title: peer.title,
    needs: peer.needs,
    async open(task): Promise<Session> {
      const store = join(task.dir, "store");
      const mirror = join(task.dir, "mirror");
      for (const folder of [store, mirror]) mkdirSync(folder, { recursive: true });
      const { lab, rttMs } = task;
      const env = {
        ...(await lab.env(rttMs)),
        RCLONE_CONFIG: "",
        RCLONE_CONFIG_SOURCE_TYPE: "sftp",
        RCLONE_CONFIG_SOURCE_HOST: lab.sshd.host,
        RCLONE_CONFIG_SOURCE_PORT: String(await lab.portFor(rttMs)),
        RCLONE_CONFIG_SOURCE_USER: lab.sshd.username,
        RCLONE_CONFIG_SOURCE_KEY_FILE: join(lab.sshd.dir, "user_key"),
        TREE: task.set.root,
        STORE: store,
        MIRROR: mirror,
        ...peer.env?.(task, store),
      };
      if (peer.prepare) await measureScript(peer.prepare, env, task.limitS);
      return {
        async run() {
          const before = megabytesBelow(store);
          const { stdout: _, ...usage } = await measureScript(peer.backup, env, task.limitS);
          return { ...usage, output_mb: megabytesBelow(store) - before };
        },
        close: async () => rmSync(task.dir, { recursive: true, force: true }),
      };
    },
  };
}
