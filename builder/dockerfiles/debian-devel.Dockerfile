# Compilers and build tools on a Debian or Ubuntu image; the CUDA toolkit is the image's own, where it has one.
ARG FROM
FROM ${FROM}
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
      ca-certificates ccache cmake g++ libssl-dev ninja-build \
 && rm -rf /var/lib/apt/lists/*
