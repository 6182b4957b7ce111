import random

import numpy as np
import pytest
import torch

import normscope as ns
from normscope.errors import InputError

OPERATIONS = {
    "replace_norms": lambda model, x: ns.replace_norms(model, "amplify"),
    "insert_norms": lambda model, x: ns.insert_norms(model, "batch"),
    "remove_norms": lambda model, x: ns.remove_norms(model),
    "fold": lambda model, x: ns.fold(model),
    "equivalent_network": ns.equivalent_network,
    "calibrate": lambda model, x: ns.calibrate(model, [x, x[:3]]),
}


def fingerprint(model):
    modules = list(model.named_modules(remove_duplicate=False))
    return {
        "modules": [(name, id(module)) for name, module in modules],
        "modes": [module.training for _, module in modules],
        "hooks": [len(module._forward_hooks) + len(module._forward_pre_hooks) for _, module in modules],
        "attributes": [sorted(vars(module)) for _, module in modules],
        "tensors": [id(t) for t in (*model.parameters(), *model.buffers())],
        "values": [t.detach().clone().numpy().tobytes() for t in model.state_dict().values()],
        "gradients": [(p.grad, p.requires_grad) for p in model.parameters()],
        "generators": (
            torch.get_rng_state().numpy().tobytes(),
            random.getstate(),
            str(np.random.get_state()),  # noqa: NPY002
        ),
    }


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_original_and_the_generators_are_as_before_and_share_no_tensor_with_the_new_model(
    built, operation
):
    model, x = built
    model.train()
    next(model.children()).eval()  # modes may differ within a model
    list(model.modules())[1].register_buffer("mine", torch.ones(1))
    before = fingerprint(model)
    new = OPERATIONS[operation](model, x)
    assert fingerprint(model) == before
    mine = {t.data_ptr() for t in (*model.parameters(), *model.buffers()) if t.numel()}
    assert not mine & {t.data_ptr() for t in (*new.parameters(), *new.buffers())}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_is_not_a_module_is_refused(operation):
    with pytest.raises(InputError, match=r"needs a torch.nn.Module"):
        OPERATIONS[operation](torch.zeros, torch.zeros(2, 2))


def test_the_new_model_trains(built):
    model, x = built
    for new in (ns.replace_norms(model, "suppress"), ns.fold(model), ns.insert_norms(model, "batch")):
        y = new.train()(x)
        getattr(y, "logits", y).square().sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in new.parameters())
