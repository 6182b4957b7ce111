"""The networks of the sources. Each takes a norm, where to place it, and which convolutions get it."""

from normscope.networks.lenet import LeNet, lenet
from normscope.networks.placement import PLACES, Place

__all__ = ["PLACES", "LeNet", "Place", "lenet"]
