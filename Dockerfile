# SPDX-License-Identifier: MIT
#
# diplex alone: built in the first stage; the second has one program, the libraries it loads and its file. It runs as an
# ordinary user, whichever, and writes only below /tmp (the admin socket, and bodies too large for memory), so everything
# else may be read-only:
#     docker build -t diplex .
#     docker run -p 8080:8080 -v ./diplex.yaml:/etc/diplex/diplex.yaml:ro \
#         --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges diplex
# For other processors: docker buildx build --platform linux/amd64,linux/arm64 (docs/quickstart-compose.md).

ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        gcc libc6-dev cmake ninja-build pkg-config libevent-dev libc-ares-dev libcurl4-openssl-dev libyaml-dev
WORKDIR /diplex
COPY CMakeLists.txt CMakePresets.json LICENSE ./
COPY config config
COPY include include
COPY src src
RUN cmake --preset release -DCMAKE_INSTALL_PREFIX=/usr \
    && cmake --build build/release \
    && DESTDIR=/out cmake --install build/release --strip

FROM ${BASE}
# libcurl is loaded at run time, so `ldd` does not show it: health checks and the commands that ask a running diplex need
# it. What only people read is left out, as the base itself leaves it out, and so is what apt leaves behind.
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        -o Dpkg::Options::=--path-exclude='/usr/share/doc/*' -o Dpkg::Options::=--path-include='/usr/share/doc/*/copyright' \
        -o Dpkg::Options::=--path-exclude='/usr/share/man/*' -o Dpkg::Options::=--path-exclude='/usr/share/locale/*' \
        libevent-core-2.1-7 libc-ares2 libcurl4 libyaml-0-2 \
    && groupadd --system --gid 10001 diplex \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin diplex \
    && install -d -m 1777 /var/spool/diplex \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log /var/cache/debconf/*-old /var/cache/ldconfig/aux-cache \
        /var/lib/dpkg/*-old /etc/passwd- /etc/shadow- /etc/group- /etc/gshadow-
COPY --from=build /out/usr/bin/diplex /usr/bin/diplex
COPY config/diplex.yaml /etc/diplex/diplex.yaml
LABEL org.opencontainers.image.title="diplex" \
    org.opencontainers.image.description="One port, two Djangos: an edge proxy for gunicorn and uvicorn" \
    org.opencontainers.image.version="0.1.0" \
    org.opencontainers.image.licenses="MIT"
# A number, because Kubernetes' runAsNonRoot cannot look names up. Any other works as well.
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=5s --retries=3 CMD ["diplex", "healthcheck"]
ENTRYPOINT ["diplex"]
CMD ["run"]
