"""The networks of the sources. Each takes a norm, where to place it, and which convolutions get it."""

from normscope.networks.lenet import LeNet, lenet
from normscope.networks.placement import PLACES, Place
from normscope.networks.resnet import ResNet, resnet

__all__ = ["PLACES", "LeNet", "Place", "ResNet", "lenet", "resnet"]
