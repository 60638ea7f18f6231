-- Row-level security on every table, FORCED so that it binds the owner too. What no policy lets through does not exist for a role.
-- The roles are made before migrations run; what they may do with the rows that they see, src/access/grants.ts says.
ALTER TABLE "tenants" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "tenants" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "memberships" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "memberships" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "tenant_data_keys" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "tenant_data_keys" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "tenant_keys" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "tenant_keys" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "api_tokens" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "api_tokens" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "sources" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "sources" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "credentials" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "credentials" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "schedules" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "schedules" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "jobs" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "jobs" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "job_events" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "job_events" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "snapshots" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "snapshots" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "audit_log" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "audit_log" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "audit_heads" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "audit_heads" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "users" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "users" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "sessions" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "sessions" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "refresh_tokens" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "refresh_tokens" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "workers" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "workers" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "worker_enrollments" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "worker_enrollments" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "platform_keys" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "platform_keys" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "rate_limits" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "rate_limits" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
CREATE POLICY "own_workspace" ON "tenants" FOR ALL TO xvault_app
  USING (id = nullif(current_setting('app.tenant', true), '')::uuid)
  WITH CHECK (id = nullif(current_setting('app.tenant', true), '')::uuid);
--> statement-breakpoint
CREATE POLICY "own_workspace" ON "memberships" FOR ALL TO xvault_app
  USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
--> statement-breakpoint
CREATE POLICY "own_workspace" ON "tenant_data_keys" FOR ALL TO xvault_app
  USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
--> statement-breakpoint
CREATE POLICY "own_workspace" ON "tenant_keys" FOR ALL TO xvault_app
  USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
--> statement-breakpoint
CREATE POLICY "own_workspace" ON "api_tokens" FOR ALL TO xvault_app
  USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
--> statement-breakpoint
CREATE POLICY "own_workspace" ON "sources" FOR ALL TO xvault_app
  USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
--> statement-breakpoint
CREATE POLICY "own_workspace" ON "credentials" FOR ALL TO xvault_app
  USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
--> statement-breakpoint
CREATE POLICY "own_workspace" ON "schedules" FOR ALL TO xvault_app
  USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
--> statement-breakpoint
CREATE POLICY "own_workspace" ON "jobs" FOR ALL TO xvault_app
  USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
--> statement-breakpoint
CREATE POLICY "own_workspace" ON "job_events" FOR ALL TO xvault_app
  USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
--> statement-breakpoint
CREATE POLICY "own_workspace" ON "snapshots" FOR ALL TO xvault_app
  USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
--> statement-breakpoint
CREATE POLICY "own_workspace" ON "audit_log" FOR ALL TO xvault_app
  USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
--> statement-breakpoint
CREATE POLICY "own_workspace" ON "audit_heads" FOR ALL TO xvault_app
  USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
--> statement-breakpoint
-- Published snapshots are never deleted by a workspace: only what an attempt reserved and did not publish.
CREATE POLICY "only_unpublished_go" ON "snapshots" AS RESTRICTIVE FOR DELETE TO xvault_app
  USING (state = 'pending');
--> statement-breakpoint
-- People are global; a workspace sees its members.
CREATE POLICY "members" ON "users" FOR SELECT TO xvault_app
  USING (EXISTS (SELECT 1 FROM memberships AS m WHERE m.user_id = users.id AND m.tenant_id = nullif(current_setting('app.tenant', true), '')::uuid));
--> statement-breakpoint
-- Platform facts that belong to nobody: where a worker's data listener is, and the public halves of the hub's keys.
CREATE POLICY "everybody_reads" ON "workers" FOR SELECT TO xvault_app USING (true);
--> statement-breakpoint
CREATE POLICY "everybody_reads" ON "platform_keys" FOR SELECT TO xvault_app USING (true);
--> statement-breakpoint
-- Sign-in, token look-up, scheduler, reaper and platform admin look across workspaces. No policy for credentials.
CREATE POLICY "platform" ON "users" FOR ALL TO xvault_system USING (true) WITH CHECK (true);
--> statement-breakpoint
CREATE POLICY "platform" ON "sessions" FOR ALL TO xvault_system USING (true) WITH CHECK (true);
--> statement-breakpoint
CREATE POLICY "platform" ON "refresh_tokens" FOR ALL TO xvault_system USING (true) WITH CHECK (true);
--> statement-breakpoint
CREATE POLICY "platform" ON "tenants" FOR ALL TO xvault_system USING (true) WITH CHECK (true);
--> statement-breakpoint
CREATE POLICY "platform" ON "memberships" FOR ALL TO xvault_system USING (true) WITH CHECK (true);
--> statement-breakpoint
CREATE POLICY "platform" ON "tenant_data_keys" FOR ALL TO xvault_system USING (true) WITH CHECK (true);
--> statement-breakpoint
CREATE POLICY "platform" ON "tenant_keys" FOR ALL TO xvault_system USING (true) WITH CHECK (true);
--> statement-breakpoint
CREATE POLICY "platform" ON "api_tokens" FOR ALL TO xvault_system USING (true) WITH CHECK (true);
--> statement-breakpoint
CREATE POLICY "platform" ON "sources" FOR ALL TO xvault_system USING (true) WITH CHECK (true);
--> statement-breakpoint
CREATE POLICY "platform" ON "schedules" FOR ALL TO xvault_system USING (true) WITH CHECK (true);
--> statement-breakpoint
CREATE POLICY "platform" ON "jobs" FOR ALL TO xvault_system USING (true) WITH CHECK (true);
--> statement-breakpoint
CREATE POLICY "platform" ON "job_events" FOR ALL TO xvault_system USING (true) WITH CHECK (true);
--> statement-breakpoint
CREATE POLICY "platform" ON "snapshots" FOR ALL TO xvault_system USING (true) WITH CHECK (true);
--> statement-breakpoint
CREATE POLICY "platform" ON "workers" FOR ALL TO xvault_system USING (true) WITH CHECK (true);
--> statement-breakpoint
CREATE POLICY "platform" ON "worker_enrollments" FOR ALL TO xvault_system USING (true) WITH CHECK (true);
--> statement-breakpoint
CREATE POLICY "platform" ON "platform_keys" FOR ALL TO xvault_system USING (true) WITH CHECK (true);
--> statement-breakpoint
CREATE POLICY "platform" ON "rate_limits" FOR ALL TO xvault_system USING (true) WITH CHECK (true);
--> statement-breakpoint
CREATE POLICY "platform" ON "audit_log" FOR ALL TO xvault_system USING (true) WITH CHECK (true);
--> statement-breakpoint
CREATE POLICY "platform" ON "audit_heads" FOR ALL TO xvault_system USING (true) WITH CHECK (true);
