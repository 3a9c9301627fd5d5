# llama-server from a source tree, and upstream's own test programs on it, for CPU and CUDA alike. Nothing is installed and nothing is fetched: what
# the build needs is in DEVEL, what the server needs besides its own libraries is in RUNTIME.
#
# Contexts: the main one holds steps/; SOURCE names the one that is the tree; `plan` holds what the plan says, one
# file each; `record` holds the build record.
#
# Each tree has a context name of its own: BuildKit takes a file for unchanged when its size and time are those it
# last saw under that name, and all our trees have the same times.
ARG DEVEL
ARG RUNTIME
ARG SOURCE
ARG SERVED=scratch

FROM ${SOURCE} AS source

FROM ${RUNTIME} AS runtime

FROM ${DEVEL} AS configured
RUN --network=none \
    --mount=type=bind,source=steps,target=/steps \
    --mount=type=bind,from=plan,target=/plan \
    --mount=type=bind,from=source,target=/src,rw \
    bash /steps/configure.sh

FROM scratch AS evidence
COPY --from=configured /build/CMakeCache.txt /build/compile_commands.json /build/configure.log /

FROM configured AS compiled
ARG COMPILE_CACHE
ARG COMPILE_LOG
ARG JOBS
RUN --network=none \
    --mount=type=bind,source=steps,target=/steps \
    --mount=type=bind,from=plan,target=/plan \
    --mount=type=bind,from=source,target=/src,rw \
    --mount=type=cache,id=${COMPILE_CACHE},target=/ccache \
    --mount=type=cache,id=${COMPILE_LOG},target=/log \
    JOBS=${JOBS} bash /steps/compile.sh targets

# BuildKit passes on 200 KiB of output a second and 2 MiB a step at most. The compilers' whole output is kept aside
# and fetched from here afterwards, also when compiling failed. COMPILED is `targets` or `tests`; ATTEMPT is different
# each time.
FROM configured AS log-keeper
ARG COMPILE_LOG
ARG COMPILED
ARG ATTEMPT
RUN --network=none \
    --mount=type=cache,id=${COMPILE_LOG},target=/log \
    touch "/log/$ATTEMPT" && rm "/log/$ATTEMPT" && touch "/log/$COMPILED.log" && cp "/log/$COMPILED.log" /compile.log

FROM scratch AS log
COPY --from=log-keeper /compile.log /

FROM compiled AS gathered
ARG EPOCH
RUN --network=none \
    --mount=type=bind,source=steps,target=/steps \
    --mount=type=bind,from=plan,target=/plan \
    --mount=type=bind,from=runtime,target=/runtime \
    --mount=type=bind,from=record,target=/record \
    EPOCH=${EPOCH} bash /steps/gather.sh

FROM runtime AS served
ARG GPUS
COPY --link --from=gathered /out/ /
ENV HOME=/var/lib/llama \
    LLAMA_ARG_HOST=0.0.0.0 \
    LLAMA_ARG_PORT=8080 \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    NVIDIA_VISIBLE_DEVICES=${GPUS}
USER 10001:10001
WORKDIR /var/lib/llama
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=2 CMD ["llama-health"]
ENTRYPOINT ["llama-server"]
CMD []

# The test programs are never in the served image. SERVED is its name on the engine: it is taken from there and not made
# again, so that what is tested is what is served.
FROM ${SERVED} AS on-engine

FROM compiled AS tests-compiled
ARG COMPILE_CACHE
ARG COMPILE_LOG
ARG JOBS
RUN --network=none \
    --mount=type=bind,source=steps,target=/steps \
    --mount=type=bind,from=plan,target=/plan \
    --mount=type=bind,from=source,target=/src,rw \
    --mount=type=cache,id=${COMPILE_CACHE},target=/ccache \
    --mount=type=cache,id=${COMPILE_LOG},target=/log \
    JOBS=${JOBS} bash /steps/compile.sh tests

FROM tests-compiled AS tests-gathered
ARG EPOCH
RUN --network=none \
    --mount=type=bind,source=steps,target=/steps \
    --mount=type=bind,from=plan,target=/plan \
    --mount=type=bind,from=on-engine,target=/served \
    EPOCH=${EPOCH} bash /steps/gather-tests.sh

FROM on-engine AS tests
COPY --link --from=tests-gathered /out/ /
HEALTHCHECK NONE
ENTRYPOINT ["test-backend-ops"]
CMD []
