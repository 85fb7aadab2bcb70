# One static binary and nothing else: no shell, no libc, no CA files (the roots are inside the binary).
# Build the binary first, on the host or in CI, so that the image needs no compiler:
#   ./scripts/build_static.sh && docker build -t sol_volume_bot .
# Run it with its configuration, secrets and data mounted; the image's user must own the last two:
#   mkdir -p data && touch .env && chmod 600 .env && sudo chown 65532 data .env
#   docker run --network host --user 65532 \
#     -v "$PWD/config:/config:ro" -v "$PWD/.env:/.env:ro" -v "$PWD/data:/data" sol_volume_bot run --mode paper
FROM scratch
ARG TARGET=x86_64-unknown-linux-musl
COPY target/${TARGET}/release/sol_volume_bot /sol_volume_bot
COPY config/config.toml /config/config.toml
USER 65532:65532
WORKDIR /
ENTRYPOINT ["/sol_volume_bot"]
CMD ["run", "--config", "/config/config.toml", "--data-dir", "/data"]
