# Python 3.6 and TensorFlow 1.14, from the folder of the sources:
#
#   docker build -f docker/tf1.Dockerfile -t stylegan2:tf1 .
#   docker build -f docker/tf1.Dockerfile -t stylegan2:tf1-cuda \
#       --build-arg BASE=nvidia/cuda:10.0-cudnn7-devel-ubuntu18.04 .
#
# It runs as docker/tf2.Dockerfile says.
ARG BASE=ubuntu:18.04
FROM ${BASE}
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-dev python3-venv g++ \
    && rm -rf /var/lib/apt/lists/*
COPY requirements /src/requirements
RUN python3 -m venv /venv \
    && /venv/bin/python -m pip install --no-cache-dir -r /src/requirements/pip.txt \
    && /venv/bin/python -m pip install --no-cache-dir -r /src/requirements/tf1.txt
COPY . /src
RUN /venv/bin/python -m pip install --no-cache-dir --no-deps /src
ENV PATH=/venv/bin:${PATH} LANG=C.UTF-8
WORKDIR /work
CMD ["stylegan2-doctor"]
