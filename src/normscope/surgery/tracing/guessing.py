"""An input for a model, guessed from its first layer and the signature of its forward pass."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from normscope.errors import InputError
from normscope.forward_pass import run
from normscope.generators import generators_kept
from normscope.nn.module_kinds import is_layer, modules, sizes, spatial_dims
from normscope.surgery.copies import copied, device_and_dtype

_SIDES = (32, 28, 64, 224, 16, 8, 128, 299)
_LENGTHS = (1024, 4000, 16000)  # of sound, in samples
_TOKENS = 5
_IDS = (2, 7)


def guessed_input(model: nn.Module) -> Any:
    """A random input of two samples that the model accepts, guessed from its first layer.

    - A convolution gives the number of channels; squares (lines, cubes) of several sizes are tried.
    - An embedding gives ids, (2, 7).
    - A linear layer, a recurrent layer or an attention gives the number of features: (2, features) or, for sequences,
      (2, 5, features). Sequences are tried first if the model has recurrent or attention layers of ``torch.nn``.

    If the forward pass requires several arguments, all get this tensor. Models that name their ``main_input_name``, as
    those of transformers do, get it by this name; ``decoder_input_ids`` are ids, too.

    Raises:
        InputError: if no guess runs through the model.
    """
    error: Exception | None = None
    trial: nn.Module | None = None
    for x in _guesses(model):
        trial = trial or copied(model).eval()
        try:
            with generators_kept(model):
                run(trial, x)
        except Exception as raised:  # whatever a user's model raises, the guess was wrong
            error = raised
        else:
            return x
    last = (
        f" (the last raised {type(error).__name__}: {str(error).splitlines()[0]})" if str(error or "") else ""
    )
    raise InputError(
        f"no input that {type(model).__name__} accepts could be guessed{last}: give an example input x."
    )


def leaves_dims_open(model: nn.Module) -> bool:
    """Whether inputs of several numbers of dimensions suit the model's first layer: any but a convolution."""
    first = _first(model)
    return first is None or not (is_layer(first) and spatial_dims(first))


def _guesses(model: nn.Module) -> Iterator[Any]:
    for tensor in _first_tensors(model):
        parameters = inspect.signature(model.forward).parameters
        required = [
            p for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty
        ]
        main = getattr(model, "main_input_name", None)
        if len(required) > 1:
            yield (tensor,) * len(required)
        elif main in parameters:
            yield {main: tensor}
        else:
            yield tensor
        if main in parameters and "decoder_input_ids" in parameters:
            yield {main: tensor, "decoder_input_ids": _ids(model, *_embeddings(model))}


def _first_tensors(model: nn.Module) -> Iterator[Tensor]:
    """Candidates for the first argument, likely ones first."""
    first = _first(model)
    if isinstance(first, nn.Embedding | nn.EmbeddingBag):
        yield _ids(model, first)
    elif first is not None:
        for shape in _shapes(model, first):
            x = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
            yield x.to(*device_and_dtype(first, model))


def _first(model: nn.Module) -> nn.Module | None:
    kinds = (nn.Embedding, nn.EmbeddingBag, nn.RNNBase, nn.MultiheadAttention)
    return next((one for _, one in modules(model) if is_layer(one) or isinstance(one, kinds)), None)


def _shapes(model: nn.Module, first: nn.Module) -> Iterator[tuple[int, ...]]:
    if is_layer(first) and (dims := spatial_dims(first)):
        width, _ = sizes(first)
        sides = (*_known_sides(model), *_SIDES, *(_LENGTHS if dims == 1 else ()))
        yield from ((width, *(side,) * dims) for side in sides)
        if width == 1:  # the model adds the channel
            yield from ((side,) * dims for side in sides)
        return
    if isinstance(first, nn.RNNBase):
        width = first.input_size
    elif isinstance(first, nn.MultiheadAttention):
        width = first.embed_dim
    else:
        assert is_layer(first)
        width, _ = sizes(first)
    shapes = [(width,), (_TOKENS, width)]
    sequential = any(isinstance(one, nn.RNNBase | nn.MultiheadAttention) for one in model.modules())
    yield from reversed(shapes) if sequential else shapes


def _known_sides(model: nn.Module) -> Iterator[int]:
    """The length of an input's sides, where a configuration in the manner of transformers tells it."""
    config = getattr(model, "config", None)
    if isinstance(size := getattr(config, "image_size", None), int):
        yield size
    if isinstance(length := getattr(config, "max_source_positions", None), int):
        yield 2 * length  # Whisper's encoder halves it


def _embeddings(model: nn.Module) -> list[nn.Embedding]:
    return [one for one in model.modules() if isinstance(one, nn.Embedding)]


def _ids(model: nn.Module, *embeddings: nn.Embedding | nn.EmbeddingBag) -> Tensor:
    """Ids that each of the embeddings knows."""
    below = min((one.num_embeddings for one in embeddings), default=1)
    device, _ = device_and_dtype(embeddings[0] if embeddings else model, model)
    return torch.randint(below, _IDS, generator=torch.Generator().manual_seed(0)).to(device)
