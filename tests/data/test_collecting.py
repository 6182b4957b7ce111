"""What a loader may return, and what is refused in a sentence."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from normscope.data.collecting import collect
from normscope.errors import DataError, InputError, UnknownNameError

X = np.arange(60, dtype=np.float32).reshape(10, 2, 3)
Y = np.arange(10) % 3


class Pairs(Dataset):
    """A map-style data set of arrays and plain numbers."""

    def __len__(self):
        return len(X)

    def __getitem__(self, index):
        return X[index], int(Y[index])


class Stream(IterableDataset):
    def __iter__(self):
        return zip(X, Y, strict=True)


class Sized:
    """Not torch's, but map-style."""

    def __len__(self):
        return len(X)

    def __getitem__(self, index):
        return X[index], Y[index]


def batches():
    for start in range(0, 10, 4):
        yield X[start : start + 4], Y[start : start + 4]


FORMS = {
    "arrays": lambda: (X, Y),
    "labels in a list": lambda: (X, Y.tolist()),
    "tensors in a list": lambda: [torch.from_numpy(X), torch.from_numpy(Y)],
    "a Dataset of arrays": Pairs,
    "a TensorDataset": lambda: TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)),
    "an IterableDataset": Stream,
    "a map-style object": Sized,
    "a DataLoader": lambda: DataLoader(Pairs(), batch_size=4),
    "a DataLoader of examples": lambda: DataLoader(Pairs(), batch_size=None),
    "a generator of batches": batches,
    "a list of batches": lambda: list(batches()),
    "two batches in a list": lambda: [(X[:4], Y[:4]), (X[4:], Y[4:])],
    "a list of examples": lambda: list(zip(X, Y, strict=True)),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("key", ["validation", "val", "test"])
def test_every_form_of_a_split_gives_the_same_arrays(form, key):
    pair = collect((FORMS[form](), (X[:4], Y[:4])), "my:load")
    mapping = collect({"train": (X[:4], Y[:4]), key: FORMS[form]()}, "my:load")
    for x, y in (pair.train, mapping.validation):
        np.testing.assert_array_equal(x, X)
        np.testing.assert_array_equal(y, Y)


def test_validation_comes_before_test_where_a_mapping_has_both():
    found = collect({"train": (X, Y), "test": (X[:2], Y[:2]), "validation": (X[:3], Y[:3])}, "my:load")
    assert len(found.validation[0]) == 3


def test_a_mapping_may_state_the_classes_and_that_floats_stay_as_they_are():
    found = collect({"train": (X, Y), "val": (X, Y), "classes": 7, "standardize": False}, "my:load")
    assert (found.classes, found.standardize) == (7, False)
    assert collect(((X, Y), (X, Y)), "my:load").standardize


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("1", 1), ("RGB", 3), ("RGBA", 3), ("P", 3)])
def test_pictures_of_pillow_become_channels_first(mode, channels):
    picture = Image.new(mode, (5, 4), 1)
    found = collect(([(picture, 0), (picture, 1)], [(picture, 0)]), "my:load")
    assert found.train[0].shape == (2, channels, 4, 5)
    assert found.train[0].dtype == np.uint8


def test_half_precision_and_gradients_are_no_obstacle():
    x = torch.ones(4, 2, dtype=torch.bfloat16, requires_grad=True)
    found = collect(((x, torch.zeros(4)), (x.half(), torch.zeros(4))), "my:load")
    assert found.train[0].tolist() == [[1, 1]] * 4
    assert found.validation[0].dtype == np.float16


@pytest.mark.parametrize(
    "x",
    [
        torch._neg_view(torch.tensor([[1.0, -2.0]] * 3)),
        torch.tensor([[1 - 1j, 1 + 2j]] * 3).conj().imag,
        torch.tensor([[-1.0, 2.0]] * 3).to(torch.float8_e4m3fn),
    ],
    ids=["negated", "conjugated", "float8"],
)
def test_tensors_that_numpy_does_not_take_as_they_are_give_their_numbers(x):
    found = collect(((x, torch.zeros(3)), (x, torch.zeros(3))), "my:load")
    np.testing.assert_array_equal(found.train[0], x.float().resolve_neg().numpy())
    assert set(found.train[0].ravel()) <= {-1, 1, 2, -2}


REFUSED = [
    (None, "returned a NoneType"),
    ((X, Y), "returned a tuple of ndarray, ndarray: return .train, validation."),
    (((X, Y),), "returned a tuple of tuple"),
    (((X, Y), (X, Y), (X, Y)), "returned a tuple of tuple, tuple, tuple"),
    ({"train": (X, Y)}, "a mapping with the keys 'train'"),
    ({"train": (X, Y), "tset": (X, Y)}, "unknown key .*'tset': did you mean test"),
    ({"train": (X, Y), "test": (X, Y), "classes": 1}, "states 1 classes"),
    ({"train": (X, Y), "test": (X, Y), "standardize": "no"}, "standardize='no'"),
    (((X, Y[:-1]), (X, Y)), "the train split has inputs of shape .10, 2, 3. and labels of shape .9,."),
    (((X, np.array(3)), (X, Y)), "the train split .*labels of shape"),
    (((X, Y), (X[:0], Y[:0])), "the validation split is empty"),
    (([], (X, Y)), "the train split is empty"),
    (((X, Y), 5), "the validation split is a int: give a pair"),
    (((X, Y), "data.npy"), "the validation split is a str"),
    (((X, Y), X), "returned a tuple of tuple, ndarray"),
    (((X, Y), [(X[:2], Y[:2], Y[:2])]), "has a tuple of 3 as entry 0: entries are pairs"),
    (((X, Y), [{"x": X, "y": Y}, {"x": X, "y": Y}, {"x": X, "y": Y}]), "has a dict as entry 0"),
    (
        ((X, Y), [(X[:2], Y[:2]), (X[2:4, :1], Y[2:4])]),
        r"inputs of shape \(1, 3\) in entry 1, after \(2, 3\)",
    ),
    (
        ((X, Y), [(X[:2], Y[:3])]),
        "the validation split has inputs of shape .2, 2, 3. and labels of shape .3,.",
    ),
    (((X, Y), [([[1, 2], [3]], [0, 1])]), "inputs that are objects or rows of different lengths"),
    (((X, Y), (np.array([X, None], object), Y[:2])), "inputs that are objects"),
    (((X, np.array(list("abcdefghij"))), (X, Y)), "labels that are <U1: arrays of numbers"),
    (((X.astype(complex), Y), (X, Y)), "inputs that are complex128"),
    (
        ((torch.eye(10).to_sparse(), Y), (X, Y)),
        "inputs that are a tensor of torch.float32 in the layout torch.sparse",
    ),
    (((np.ma.array(X, mask=X.min() < X), Y), (X, Y)), "the train split has inputs with masked entries"),
    (((X, np.ma.array(Y, mask=Y > 0)), (X, Y)), "the train split has labels with masked entries"),
    (([(Image.new("I;16", (5, 4)), 0)], (X, Y)), "has a picture that has pixels of the kind I;16: 8 bits"),
    (([(Image.new("F", (5, 4)), 0)], (X, Y)), "has a picture that has pixels of the kind F"),
]


@pytest.mark.parametrize(("returned", "sentence"), REFUSED, ids=[sentence[:40] for _, sentence in REFUSED])
def test_anything_else_is_refused_in_one_sentence(returned, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        collect(returned, "my:load")
    assert isinstance(caught.value, InputError | DataError | UnknownNameError)
    assert "my:load" in str(caught.value)
    assert "\n" not in str(caught.value)
