/** A page that the sidebar and the command palette offer. */
export interface NavigationEntry {
  label: string;
  icon: string;
  to: string;
  exact?: boolean;
}

export const MAIN: NavigationEntry[] = [
  { label: "Overview", icon: "i-lucide-layout-dashboard", to: "/", exact: true },
  { label: "Sources", icon: "i-lucide-server", to: "/sources" },
  { label: "Jobs", icon: "i-lucide-list-checks", to: "/jobs" },
  { label: "Snapshots", icon: "i-lucide-archive", to: "/snapshots" },
  { label: "Packages", icon: "i-lucide-package", to: "/packages" },
  { label: "Checks", icon: "i-lucide-shield-check", to: "/checks" },
  { label: "Restore", icon: "i-lucide-history", to: "/restore" },
  { label: "Storage", icon: "i-lucide-database", to: "/storage" },
];

export const WORKSPACE: NavigationEntry[] = [
  { label: "Retention", icon: "i-lucide-hourglass", to: "/retention" },
  { label: "Keys", icon: "i-lucide-key-round", to: "/keys" },
  { label: "Team", icon: "i-lucide-users", to: "/team" },
  { label: "API tokens", icon: "i-lucide-braces", to: "/tokens" },
  { label: "Notifications", icon: "i-lucide-bell", to: "/notifications" },
  { label: "API", icon: "i-lucide-square-terminal", to: "/api-reference" },
  { label: "Audit log", icon: "i-lucide-scroll-text", to: "/audit" },
  { label: "Settings", icon: "i-lucide-settings", to: "/settings" },
];

export const ADMIN: NavigationEntry[] = [
  { label: "Workers", icon: "i-lucide-cpu", to: "/admin/workers" },
  { label: "Tenants", icon: "i-lucide-building-2", to: "/admin/tenants" },
  { label: "Storages for all", icon: "i-lucide-hard-drive", to: "/admin/storages" },
  { label: "All jobs", icon: "i-lucide-list-tree", to: "/admin/jobs" },
  { label: "Restore for a tenant", icon: "i-lucide-life-buoy", to: "/admin/restore" },
];
