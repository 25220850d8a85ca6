# Python 3.12 and TensorFlow 2, from the folder of the sources:
#
#   docker build -f docker/tf2.Dockerfile -t stylegan2:tf2 .
#   docker build -f docker/tf2.Dockerfile -t stylegan2:tf2-cuda \
#       --build-arg TENSORFLOW=tf2-cuda .
#
# With the folder of your data and runs in place of the image's /work:
#
#   docker run --rm -it --gpus=all --shm-size=1g -u $(id -u):$(id -g) -e HOME=/work -v $PWD:/work \
#       stylegan2:tf2-cuda stylegan2-train --config=config-e-fr
ARG BASE=ubuntu:24.04
FROM ${BASE}
ARG TENSORFLOW=tf2
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-dev python3-venv g++ \
    && rm -rf /var/lib/apt/lists/*
COPY requirements /src/requirements
RUN python3 -m venv /venv \
    && /venv/bin/python -m pip install --no-cache-dir -r /src/requirements/pip.txt \
    && /venv/bin/python -m pip install --no-cache-dir \
        -r /src/requirements/tf2-common.txt -r /src/requirements/${TENSORFLOW}.txt
COPY . /src
RUN /venv/bin/python -m pip install --no-cache-dir --no-deps /src
ENV PATH=/venv/bin:${PATH} LANG=C.UTF-8
WORKDIR /work
CMD ["stylegan2-doctor"]
