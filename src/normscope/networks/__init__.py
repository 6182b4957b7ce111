"""The networks of the papers. Each takes a norm, its place, and the convolutions that get it."""

from normscope.networks._deep_linear import DeepLinear, deep_linear
from normscope.networks._lenet import LeNet, lenet
from normscope.networks._resnet import ResNet, resnet
from normscope.networks.placement import PLACES, Place

__all__ = ["PLACES", "DeepLinear", "LeNet", "Place", "ResNet", "deep_linear", "lenet", "resnet"]
