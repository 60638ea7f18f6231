import { createRouter, createWebHistory, type RouteRecordRaw, type Router } from "vue-router";
import { useSession } from "./features/accounts/session.ts";

declare module "vue-router" {
  interface RouteMeta {
    /** For those who are not signed in. */
    public?: boolean;
    /** For platform admins alone; needs no workspace. */
    admin?: boolean;
  }
}

const pages: RouteRecordRaw[] = [
  { path: "", name: "overview", component: () => import("./features/overview/OverviewPage.vue") },
  { path: "sources", name: "sources", component: () => import("./features/sources/SourcesPage.vue") },
  { path: "sources/new", name: "source-new", component: () => import("./features/sources/new/AddSourcePage.vue") },
  { path: "sources/:id", name: "source", component: () => import("./features/sources/SourcePage.vue"), props: true },
  { path: "jobs", name: "jobs", component: () => import("./features/jobs/JobsPage.vue") },
  { path: "jobs/:id", name: "job", component: () => import("./features/jobs/JobPage.vue"), props: true },
  { path: "snapshots", name: "snapshots", component: () => import("./features/snapshots/SnapshotsPage.vue") },
  {
    path: "snapshots/:id",
    name: "snapshot",
    component: () => import("./features/snapshots/SnapshotPage.vue"),
    props: true,
  },
  { path: "packages", name: "packages", component: () => import("./features/packages/PackagesPage.vue") },
  { path: "retention", name: "retention", component: () => import("./features/retention/RetentionPage.vue") },
  { path: "checks", name: "checks", component: () => import("./features/checks/ChecksPage.vue") },
  { path: "restore", name: "restore", component: () => import("./features/restore/RestorePage.vue") },
  { path: "storage", name: "storages", component: () => import("./features/storages/StoragesPage.vue") },
  {
    path: "storage/:id",
    name: "storage",
    component: () => import("./features/storages/StoragePage.vue"),
    props: true,
  },
  { path: "keys", name: "keys", component: () => import("./features/keys/KeysPage.vue") },
  { path: "team", name: "team", component: () => import("./features/members/TeamPage.vue") },
  { path: "tokens", name: "tokens", component: () => import("./features/tokens/TokensPage.vue") },
  {
    path: "notifications",
    name: "notifications",
    component: () => import("./features/notices/NotificationsPage.vue"),
  },
  {
    path: "notifications/webhooks/:id",
    name: "webhook",
    component: () => import("./features/notices/WebhookPage.vue"),
    props: true,
  },
  { path: "api-reference", name: "api-reference", component: () => import("./features/api-docs/ApiPage.vue") },
  { path: "audit", name: "audit", component: () => import("./features/audit/AuditPage.vue") },
  { path: "settings", name: "settings", component: () => import("./features/settings/SettingsPage.vue") },
  { path: "admin", redirect: "/admin/workers" },
  {
    path: "admin/workers",
    name: "admin-workers",
    component: () => import("./features/admin/WorkersPage.vue"),
    meta: { admin: true },
  },
  {
    path: "admin/tenants",
    name: "admin-tenants",
    component: () => import("./features/admin/TenantsPage.vue"),
    meta: { admin: true },
  },
  {
    path: "admin/storages",
    name: "admin-storages",
    component: () => import("./features/admin/AdminStoragesPage.vue"),
    meta: { admin: true },
  },
  {
    path: "admin/jobs",
    name: "admin-jobs",
    component: () => import("./features/admin/AdminJobsPage.vue"),
    meta: { admin: true },
  },
  {
    path: "admin/restore",
    name: "admin-restore",
    component: () => import("./features/admin/AdminRestorePage.vue"),
    meta: { admin: true },
  },
];

const routes: RouteRecordRaw[] = [
  {
    path: "/signin",
    name: "signin",
    component: () => import("./features/accounts/SignInPage.vue"),
    meta: { public: true },
  },
  {
    path: "/signup",
    name: "signup",
    component: () => import("./features/accounts/SignUpPage.vue"),
    meta: { public: true },
  },
  { path: "/", component: () => import("./shell/DashboardShell.vue"), children: pages },
  {
    path: "/:rest(.*)*",
    name: "not-found",
    component: () => import("./shell/NotFoundPage.vue"),
    meta: { public: true },
  },
];

/** All addresses of the web interface. Whoever is not signed in is sent to sign in, and back to the page afterwards. */
export function createAppRouter(): Router {
  const router = createRouter({
    history: createWebHistory(),
    routes,
    scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 },
  });
  router.beforeEach(async (to) => {
    const session = useSession();
    // A hub that is away is told on the page itself, by App.vue.
    if (!session.started) await session.start().catch(() => {});
    if (!session.started) return true;
    const signedIn = session.user !== null;
    if (!signedIn && !to.meta.public) return { name: "signin", query: to.path === "/" ? {} : { next: to.fullPath } };
    if (signedIn && (to.name === "signin" || to.name === "signup")) return { path: "/" };
    if (!signedIn || to.meta.public || to.meta.admin) return true;
    // An operator's account may belong to no workspace at all.
    if (session.workspace === null && session.isPlatformAdmin) return { name: "admin-workers" };
    return true;
  });
  return router;
}
