import * as C from "@xvault/contracts";
import { z } from "zod";
import { anyone, member, router, signedIn } from "../trpc.ts";

const visitor = (ctx: {
  ip: string;
  userAgent: string;
  requestId: string;
  cookie: import("../context.ts").RefreshCookie;
}) => ({
  ip: ctx.ip,
  userAgent: ctx.userAgent,
  requestId: ctx.requestId,
  cookie: ctx.cookie,
});
const nothing = z.object({});

export const authRouter = router({
  signUp: anyone
    .input(C.signUpInput)
    .output(C.sessionSchema)
    .mutation(({ ctx, input }) => ctx.services.auth.signUp(input, visitor(ctx))),
  signIn: anyone
    .input(C.signInInput)
    .output(C.sessionSchema)
    .mutation(({ ctx, input }) => ctx.services.auth.signIn(input, visitor(ctx))),
  refresh: anyone.output(C.sessionSchema).mutation(({ ctx }) => ctx.services.auth.refresh(visitor(ctx))),
  signOut: anyone.output(nothing).mutation(async ({ ctx }) => {
    await ctx.services.auth.signOut(visitor(ctx));
    return {};
  }),
  confirm: signedIn
    .input(z.object({ password: C.passwordSchema }))
    .output(C.sessionSchema)
    .mutation(({ ctx, input }) => ctx.services.auth.confirm(ctx.actor, input.password, visitor(ctx))),
  tokenSignIn: anyone
    .meta({
      openapi: { method: "POST", path: "/auth/token", tags: ["Account"], summary: "Sign in for an API token" },
      errors: ["CREDENTIALS_INVALID", "SCOPE_MISSING", "NOT_FOUND"],
    })
    .input(C.tokenSignInInput)
    .output(C.tokenSignInOutput)
    .mutation(({ ctx, input }) => ctx.services.auth.tokenSignIn(input, visitor(ctx))),
  me: signedIn
    .meta({
      openapi: { method: "GET", path: "/me", tags: ["Account"], summary: "Who this token speaks for", protect: true },
    })
    .input(nothing)
    .output(C.meSchema)
    .query(({ ctx }) => ({
      user: {
        id: ctx.actor.userId,
        email: ctx.actor.email,
        name: ctx.actor.name,
        is_platform_admin: ctx.actor.isPlatformAdmin,
      },
      workspace: ctx.actor.workspace && {
        id: ctx.actor.workspace.id,
        name: ctx.actor.workspace.name,
        key_mode: ctx.actor.workspace.keyMode,
        role: ctx.actor.workspace.role,
        created_at: ctx.actor.workspace.createdAt.toISOString(),
      },
      scopes: ctx.actor.scopes,
    })),
});

const byUser = z.object({ user_id: C.idSchema });

export const workspacesRouter = router({
  list: signedIn
    .meta({
      openapi: {
        method: "GET",
        path: "/workspaces",
        tags: ["Workspace"],
        summary: "Your workspaces; for a token, its own",
        protect: true,
      },
    })
    .output(z.array(C.workspaceSchema))
    .query(({ ctx }) => ctx.services.workspaces.list(ctx.actor)),
  rename: member("admin", "workspace:write")
    .meta({
      openapi: {
        method: "PATCH",
        path: "/workspace",
        tags: ["Workspace"],
        summary: "Rename the workspace",
        protect: true,
      },
    })
    .input(z.object({ name: C.nameSchema }))
    .output(C.workspaceSchema)
    .mutation(({ ctx, input }) => ctx.services.workspaces.rename(ctx.caller, input.name)),
  members: member("viewer", "members:read")
    .meta({
      openapi: {
        method: "GET",
        path: "/members",
        tags: ["Workspace"],
        summary: "The workspace's people",
        protect: true,
      },
    })
    .output(z.array(C.memberSchema))
    .query(({ ctx }) => ctx.services.workspaces.members(ctx.caller)),
  addMember: member("admin", "members:write", { confirmed: true })
    .meta({
      openapi: {
        method: "POST",
        path: "/members",
        tags: ["Workspace"],
        summary: "Add somebody who has an account",
        protect: true,
      },
      errors: ["CONFLICT"],
    })
    .input(C.addMemberInput)
    .output(C.memberSchema)
    .mutation(({ ctx, input }) => ctx.services.workspaces.addMember(ctx.caller, input)),
  setRole: member("admin", "members:write", { confirmed: true })
    .meta({
      openapi: {
        method: "PATCH",
        path: "/members/{user_id}",
        tags: ["Workspace"],
        summary: "Change somebody's role",
        protect: true,
      },
      errors: ["CONFLICT"],
    })
    .input(byUser.extend({ role: C.roleSchema }))
    .output(C.memberSchema)
    .mutation(({ ctx, input }) => ctx.services.workspaces.setRole(ctx.caller, input.user_id, input.role)),
  removeMember: member("admin", "members:write", { confirmed: true })
    .meta({
      openapi: {
        method: "DELETE",
        path: "/members/{user_id}",
        tags: ["Workspace"],
        summary: "Take somebody out of the workspace",
        protect: true,
      },
      errors: ["CONFLICT"],
    })
    .input(byUser)
    .output(nothing)
    .mutation(async ({ ctx, input }) => {
      await ctx.services.workspaces.removeMember(ctx.caller, input.user_id);
      return {};
    }),
});

export const tokensRouter = router({
  list: member("viewer", "tokens:read")
    .meta({
      openapi: {
        method: "GET",
        path: "/tokens",
        tags: ["Tokens"],
        summary: "Your API tokens; owners and admins see everybody's",
        protect: true,
      },
    })
    .output(z.array(C.apiTokenSchema))
    .query(({ ctx }) => ctx.services.tokens.list(ctx.caller)),
  create: member("viewer", null, { confirmed: true })
    .meta({
      openapi: { method: "POST", path: "/tokens", tags: ["Tokens"], summary: "Make an API token", protect: true },
    })
    .input(C.createTokenInput)
    .output(C.createdTokenSchema)
    .mutation(({ ctx, input }) => ctx.services.tokens.create(ctx.caller, input)),
  revoke: member("viewer", "tokens:revoke")
    .meta({
      openapi: { method: "DELETE", path: "/tokens/{id}", tags: ["Tokens"], summary: "Revoke a token", protect: true },
    })
    .input(z.object({ id: C.idSchema }))
    .output(nothing)
    .mutation(async ({ ctx, input }) => {
      await ctx.services.tokens.revoke(ctx.caller, input.id);
      return {};
    }),
});

export const auditRouter = router({
  list: member("viewer", "audit:read")
    .meta({
      openapi: { method: "GET", path: "/audit", tags: ["Audit"], summary: "Audit log, newest first", protect: true },
    })
    .input(C.pageInputSchema)
    .output(C.pageSchema(C.auditEntrySchema))
    .query(({ ctx, input }) => ctx.services.audit.list(ctx.caller, input)),
  archives: member("viewer", "audit:read")
    .meta({
      openapi: {
        method: "GET",
        path: "/audit/archives",
        tags: ["Audit"],
        summary: "Archived pieces of the audit log, newest first",
        description: "Each is a package. `begins` is the first entry that the database still has.",
        protect: true,
      },
    })
    .input(C.pageInputSchema)
    .output(C.auditArchivesSchema)
    .query(({ ctx, input }) => ctx.services.audit.archives(ctx.caller, input)),
  verify: member("viewer", "audit:read")
    .meta({
      openapi: {
        method: "GET",
        path: "/audit/verification",
        tags: ["Audit"],
        summary: "Recompute the audit chain",
        protect: true,
      },
    })
    .input(nothing)
    .output(C.auditCheckSchema)
    .query(({ ctx }) => ctx.services.audit.verify(ctx.caller)),
});

export const keysRouter = router({
  list: member("viewer", "snapshots:read")
    .meta({
      openapi: { method: "GET", path: "/keys", tags: ["Keys"], summary: "Recipients and root keys", protect: true },
    })
    .input(nothing)
    .output(C.keysSchema)
    .query(({ ctx }) => ctx.services.keys.list(ctx.caller)),
  change: member("owner", null, { confirmed: true })
    .meta({
      openapi: {
        method: "POST",
        path: "/keys/change",
        tags: ["Keys"],
        summary: "Encrypt new snapshots to another key",
        description: "Snapshots made before stay readable with the key they were made for.",
        protect: true,
      },
      errors: ["RECIPIENT_INVALID", "RECIPIENT_IS_PRIVATE"],
    })
    .input(C.changeKeyInput)
    .output(C.keysSchema)
    .mutation(({ ctx, input }) => ctx.services.keys.change(ctx.caller, input)),
  recoveryKit: member("owner", "keys:export", { confirmed: true })
    .meta({
      openapi: {
        method: "POST",
        path: "/keys/recovery-kit",
        tags: ["Keys"],
        summary: "Export the recovery kit",
        protect: true,
      },
      errors: ["KEY_CUSTOMER_HELD"],
    })
    .input(nothing)
    .output(C.recoveryKitSchema)
    .mutation(({ ctx }) => ctx.services.keys.recoveryKit(ctx.caller)),
});
