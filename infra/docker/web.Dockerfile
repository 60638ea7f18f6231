# The edge: one origin for browsers, TLS included. The hub serves the web UI and the APIs, each worker its own bytes.
# Build from the repository's root: docker build -f infra/docker/web.Dockerfile .
FROM caddy:2.10-alpine AS caddy
# A plain copy drops the file capability for ports below 1024, which a container without privileges may not exec.
RUN cp /usr/bin/caddy /caddy

FROM alpine:3.22
RUN apk add --no-cache ca-certificates \
 && adduser -D -H -u 1000 caddy \
 && install -d -o caddy -g caddy /data /config
ENV XDG_DATA_HOME=/data XDG_CONFIG_HOME=/config
COPY --from=caddy /caddy /usr/local/bin/caddy
COPY infra/proxy/Caddyfile /etc/caddy/Caddyfile
USER caddy
VOLUME /data
EXPOSE 8080 8443
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8079/"]
CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]
