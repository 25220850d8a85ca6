"""TensorFlow helpers: sessions, networks, optimizers, summaries and custom ops, on both engines."""

from dnnlib.tflib import autosummary, custom_ops, engine, layout, network, optimizer, tfutil
from dnnlib.tflib.network import Network
from dnnlib.tflib.optimizer import Optimizer
from dnnlib.tflib.tfutil import *  # noqa: F403
