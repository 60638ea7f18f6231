import type { Role, Session, Workspace } from "@xvault/contracts";
import { defineStore } from "pinia";
import { computed, ref, shallowRef } from "vue";
import { onAccessChange, setAccess, setWorkspace } from "../../lib/access.ts";
import { api, refreshSession } from "../../lib/api.ts";
import { reportOf } from "../../lib/errors.ts";
import { queryClient } from "../../lib/query.ts";

const REMEMBERED = "xvault-workspace";
/** Says that this browser has signed in, so that a newcomer's first page asks for no session. It is no secret and grants nothing. */
const HAD_SESSION = "xvault-signed-in";
const RANK: Record<Role, number> = { viewer: 0, operator: 1, admin: 2, owner: 3 };

type SignUp = Parameters<typeof api.auth.signUp.mutate>[0];

/** Who is signed in, and in which workspace this tab works. */
export const useSession = defineStore("session", () => {
  const session = shallowRef<Session | null>(null);
  const workspaceId = ref<string | null>(null);
  const started = ref(false);

  const user = computed(() => session.value?.user ?? null);
  const workspaces = computed<Workspace[]>(() => session.value?.workspaces ?? []);
  const workspace = computed(() => workspaces.value.find(({ id }) => id === workspaceId.value) ?? null);
  const isPlatformAdmin = computed(() => user.value?.is_platform_admin ?? false);

  onAccessChange((next) => {
    session.value = next;
    if (next === null) return localStorage.removeItem(HAD_SESSION);
    localStorage.setItem(HAD_SESSION, "yes");
    if (!next.workspaces.some(({ id }) => id === workspaceId.value)) {
      const remembered = sessionStorage.getItem(REMEMBERED) ?? localStorage.getItem(REMEMBERED);
      const found = next.workspaces.find(({ id }) => id === remembered) ?? next.workspaces[0];
      choose(found?.id ?? null);
    }
  });

  // Signing out in one tab ends the session that all tabs share: none goes on showing what it has read.
  addEventListener("storage", ({ key, newValue }) => {
    if (key === HAD_SESSION && newValue === null && session.value !== null) end();
  });

  function choose(id: string | null): void {
    workspaceId.value = id;
    setWorkspace(id);
    if (id === null) return;
    sessionStorage.setItem(REMEMBERED, id);
    localStorage.setItem(REMEMBERED, id);
  }

  /** Takes the session up that the browser's cookie still holds, if any. @throws UNAVAILABLE when the hub does not answer. */
  async function start(): Promise<void> {
    try {
      if (localStorage.getItem(HAD_SESSION) !== null) await refreshSession();
    } catch (error) {
      if (reportOf(error).retry) throw error;
    }
    started.value = true;
  }

  async function signIn(email: string, password: string): Promise<void> {
    setAccess(await api.auth.signIn.mutate({ email, password }));
  }

  async function signUp(input: SignUp): Promise<void> {
    const next = await api.auth.signUp.mutate(input);
    const made = next.workspaces.at(-1);
    if (made) choose(made.id);
    setAccess(next);
  }

  async function signOut(): Promise<void> {
    try {
      await api.auth.signOut.mutate();
    } finally {
      end();
    }
  }

  function end(): void {
    setAccess(null);
    choose(null);
    sessionStorage.removeItem(REMEMBERED);
    queryClient.clear();
  }

  function switchWorkspace(id: string): void {
    choose(id);
    queryClient.clear();
  }

  /** Puts a changed workspace (a new name) in place of the old one. */
  function replaceWorkspace(changed: Workspace): void {
    if (!session.value) return;
    const list = session.value.workspaces.map((known) => (known.id === changed.id ? changed : known));
    session.value = { ...session.value, workspaces: list };
  }

  /** True when the person's role in this workspace is `role` or above. */
  function may(role: Role): boolean {
    return workspace.value !== null && RANK[workspace.value.role] >= RANK[role];
  }

  return {
    session,
    started,
    user,
    workspaces,
    workspace,
    isPlatformAdmin,
    start,
    signIn,
    signUp,
    signOut,
    switchWorkspace,
    replaceWorkspace,
    may,
  };
});
