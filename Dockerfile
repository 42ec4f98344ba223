# Works with every builder, also the classic one: nothing needs BuildKit.
#
# Two builds from the same commit, with the same base and the same SOURCE_DATE_EPOCH, have the same layers: all files
# get that time. See docs/releases.md.

# A tag is enough for a build of your own. The release workflow passes the digest that the tag had, too.
ARG BASE=docker.io/library/node:24-bookworm-slim
ARG BASE_DIGEST

# The production dependencies, in their own stage so that the layer is reused when only src/ changes.
FROM ${BASE}${BASE_DIGEST:+@$BASE_DIGEST} AS dependencies
ARG SOURCE_DATE_EPOCH=0
WORKDIR /image/app
COPY package.json package-lock.json ./
COPY scripts/prune-dependencies.sh /
# Modes are set because files of a checkout made under a strict umask are readable by their owner only.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
 && sh /prune-dependencies.sh . \
 && rm package-lock.json node_modules/.package-lock.json \
 && chmod -R u=rwX,go=rX . \
 && find /image -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

FROM ${BASE}${BASE_DIGEST:+@$BASE_DIGEST} AS build
ARG SOURCE_DATE_EPOCH=0
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/build.mjs scripts/copy-assets.mjs scripts/
COPY src src
RUN npm run --silent build \
 && find dist -type f \( -name '*.map' -o -name '*.d.ts' \) -delete \
 && chmod -R u=rwX,go=rX dist \
 && chmod a+x dist/cli/cio-webhook.sh \
 && install -d /image/app \
 && mv dist /image/app \
 && find /image -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

FROM ${BASE}${BASE_DIGEST:+@$BASE_DIGEST}
ARG SOURCE_DATE_EPOCH=0
# A volume mounted at /keys gets this owner: docker-compose.yml stores the signing key in it. The link puts the commands
# on the PATH: `docker exec <container> cio-webhook consumers`.
RUN install -d -o node -g node -m 0700 /keys \
 && ln -s /app/dist/cli/cio-webhook.sh /usr/local/bin/cio-webhook \
 && touch -h -d "@$SOURCE_DATE_EPOCH" /keys /usr/local/bin/cio-webhook /usr/local/bin
ENV NODE_ENV=production
# To the root: a folder that a builder creates for COPY or WORKDIR has the time of the build.
COPY --from=dependencies /image/ /
COPY --from=build /image/ /
WORKDIR /app
# The files belong to root, so that the service cannot change its own code.
USER node
# The second one is the console, which is off unless CONSOLE_PORT is set.
EXPOSE 3000 3100
STOPSIGNAL SIGTERM
# The script gives up after 2 s. The rest of the timeout is for its start on a busy machine.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
  CMD ["node", "/app/dist/ops/healthcheck.js"]
# A script with Node's options, which it replaces itself by: Node is PID 1.
ENTRYPOINT ["cio-webhook"]
CMD ["serve"]
# Last, because they differ in each build.
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG BASE
ARG BASE_DIGEST
LABEL org.opencontainers.image.title="cio-webhook" \
      org.opencontainers.image.description="Receives Customer.io webhooks and appends clean events to a log in Redis" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.base.name="$BASE" \
      org.opencontainers.image.base.digest="${BASE_DIGEST:-unknown}" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
