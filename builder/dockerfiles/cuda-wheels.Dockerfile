# The CUDA toolkit of NVIDIA's wheels (context `cuda`: one folder per component) as /usr/local/cuda.
#
# The wheels hold libraries under their versioned names only, and no driver: links and an empty stub stand in.
ARG FROM
FROM ${FROM}
RUN --network=none \
    --mount=type=bind,from=cuda,target=/wheels \
    --mount=type=bind,source=steps,target=/steps \
    sh /steps/install-cuda-wheels.sh
ENV PATH=/usr/local/cuda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
