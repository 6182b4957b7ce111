"""The networks of the sources. Each takes a norm, where to place it, and which convolutions get it."""

from normscope.networks._lenet import LeNet, lenet
from normscope.networks._resnet import ResNet, resnet
from normscope.networks.placement import PLACES, Place

__all__ = ["PLACES", "LeNet", "Place", "ResNet", "lenet", "resnet"]
