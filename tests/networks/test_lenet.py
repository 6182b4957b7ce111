import pytest
import torch
from torch import nn

from normscope import networks
from normscope.errors import InputError, UnknownNameError
from normscope.networks import PLACES
from normscope.training import seeded


def order(model: nn.Module) -> list[str]:
    """The names of the modules that do something, in the order in which an image meets them."""
    met = []
    for name, module in model.named_children():
        if not isinstance(module, nn.Identity):
            module.register_forward_hook(lambda *_, name=name: met.append(name))
    model(torch.zeros(2, 1, 32, 32))
    return met


def test_the_baseline_is_the_papers_table_1():
    model = networks.lenet(norm="none")
    assert (model.conv1.in_channels, model.conv1.out_channels, model.conv1.kernel_size) == (1, 6, (5, 5))
    assert (model.conv2.in_channels, model.conv2.out_channels, model.conv2.kernel_size) == (6, 16, (5, 5))
    assert (model.fc.in_features, model.fc.out_features) == (400, 10)
    assert model(torch.zeros(3, 1, 32, 32)).shape == (3, 10)


def test_the_forward_pass_is_convolution_relu_pool_twice_then_a_linear_layer():
    model = networks.lenet(norm="none").double()
    x = torch.randn(2, 1, 32, 32, dtype=torch.float64)
    f = nn.functional
    hidden = f.avg_pool2d(f.conv2d(x, model.conv1.weight, model.conv1.bias).clamp(min=0), 2)
    hidden = f.avg_pool2d(f.conv2d(hidden, model.conv2.weight, model.conv2.bias).clamp(min=0), 2)
    expected = hidden.reshape(2, 400) @ model.fc.weight.T + model.fc.bias
    torch.testing.assert_close(model(x), expected)


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("after", ["conv1", "norm1", "pool", "conv2", "norm2", "pool", "fc"]),
        ("before", ["before1", "conv1", "pool", "before2", "conv2", "pool", "fc"]),
        ("prior", ["conv1", "pool", "before2", "conv2", "pool", "fc"]),
        ("top", ["conv1", "pool", "conv2", "top2", "pool", "fc"]),
    ],
)
def test_a_place_puts_the_norm_where_the_paper_has_it(place, expected):
    assert order(networks.lenet(norm="batch", place=place)) == expected


def test_layers_chooses_the_convolutions_that_get_the_norm():
    assert order(networks.lenet(place="after", layers=[2])) == [
        "conv1",
        "pool",
        "conv2",
        "norm2",
        "pool",
        "fc",
    ]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("norm", ["batch", "amplify", "suppress"])
def test_every_variant_starts_from_the_same_weights(norm, place):
    with seeded(3):
        baseline = networks.lenet(norm="none").state_dict()
    with seeded(3):
        variant = networks.lenet(norm=norm, place=place).state_dict()
    assert baseline.keys() <= variant.keys()
    assert all(torch.equal(variant[name], weights) for name, weights in baseline.items())


def test_conv_makes_every_convolution_or_the_numbered_ones():
    class Mine(nn.Conv2d):
        pass

    both, second = networks.lenet(conv=Mine), networks.lenet(conv={2: Mine})
    assert (type(both.conv1), type(both.conv2)) == (Mine, Mine)
    assert (type(second.conv1), type(second.conv2)) == (nn.Conv2d, Mine)


def test_a_norm_may_be_a_callable():
    model = networks.lenet(norm=lambda channels: nn.GroupNorm(2, channels))
    assert (model.norm1.num_channels, model.norm2.num_channels) == (6, 16)


@pytest.mark.parametrize(("in_channels", "classes", "image"), [(3, 10, 32), (1, 7, 28), (2, 4, 16)])
def test_other_images_and_classes_fit(in_channels, classes, image):
    model = networks.lenet(in_channels=in_channels, classes=classes, image=image)
    assert model(torch.zeros(2, in_channels, image, image)).shape == (2, classes)


def test_an_image_too_small_is_refused():
    with pytest.raises(InputError, match="at least 16×16"):
        networks.lenet(image=15)


@pytest.mark.parametrize("image", [32.0, (32, 32), "32", None])
def test_an_image_size_that_is_not_a_whole_number_is_refused(image):
    with pytest.raises(InputError, match="one whole number"):
        networks.lenet(image=image)


def test_a_network_made_without_memory_is_whole_once_its_weights_are_loaded():
    truth = networks.lenet(norm="batch").eval()
    with torch.device("meta"):
        model = networks.lenet(norm="batch").eval()
    model = model.to_empty(device="cpu")
    model.load_state_dict(truth.state_dict())
    x = torch.randn(3, 1, 32, 32)
    torch.testing.assert_close(model(x), truth(x))


def test_an_empty_batch_gives_no_logits():
    assert networks.lenet(norm="none")(torch.zeros(0, 1, 32, 32)).shape == (0, 10)


def test_an_unknown_place_is_refused_with_near_names():
    with pytest.raises(UnknownNameError, match="did you mean after"):
        networks.lenet(place="aftr")


def test_a_layer_that_does_not_exist_is_refused():
    with pytest.raises(InputError, match="1 to 2"):
        networks.lenet(layers=[3])


def test_a_misspelt_norm_is_refused():
    with pytest.raises(InputError, match="batch"):
        networks.lenet(norm="bacth")
