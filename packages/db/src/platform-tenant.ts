import type { TenantId } from "@xvault/kernel";

/** The nil UUID: stands where a workspace's id would, for what the platform does for itself. Never a workspace. */
export const PLATFORM_TENANT = "00000000-0000-0000-0000-000000000000" as TenantId;
