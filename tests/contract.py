"""What every method must keep, whoever wrote it: each contract is a function that fails for a method which breaks it."""

import copy
from dataclasses import replace

import torch
from torch import Tensor, nn

from dmtkit.methods import METHODS, Method, Step
from dmtkit.methods.parameters import for_task, names_of
from dmtkit.training.step import advance
from tests.bench import STEPS, Bench, Pointwise, data_of, flat, same, trained, weights


def weight_0_is_x_alone(kind, task):
    """With all that it adds at 0 it learns what X alone teaches, bit for bit."""
    alone = type(
        "Alone",
        (Method,),
        {
            "name": "alone",
            "nets": for_task(kind, task).nets,
            "reports": for_task(kind, task).nets[0],
            "losses": lambda self, nets, batch, now: Step({n: now.supervised(nets, batch, n) for n in self.nets}),
        },
    )
    for mixup in (0.0, 0.75) if task == "classification" else (0.0,):
        off, x = (Bench(kind, task, mixup=mixup, **dict.fromkeys(kind.adds, value)) for value in (0.0, 1.0))
        x.method = alone()
        found, expected = weights(trained(off)), weights(trained(x))
        assert same(expected, found, expected), "the supervised loss is not as X alone has it"
        assert not same(weights(off.loop()), found, expected), "nothing was learned"


def unlabeled_term_has_a_gradient(kind, task):
    """On random weights, thresholds 0, teachers of other random weights than their students'."""
    nothing = dict.fromkeys(kind.adds, 0.0)
    for term in kind.adds:
        on, off = (Bench(kind, task, threshold=0.0, **nothing | more) for more in ({term: 1.0}, {}))
        loop = on.loop()
        for name in on.method.averages:
            loop.modules[name] = on._usual()
        batch, drawn = on.batches(0), on.drawn(0)
        with_u, without = (bench.gradients(loop, batch, drawn) for bench in (on, off))
        for name in on.method.nets:
            assert (with_u[name] - without[name]).norm() > 1e-4 * without[name].norm(), (
                f"{term}: teaches {name} nothing"
            )


def weight_0_of_labels_is_x_over_the_joint_count(kind, task):
    """Stored labels that the student is surer against: X's gradient, over all elements."""
    bench = Bench(kind, task)
    loop, batch = bench.loop(), bench.batches(0)
    with torch.no_grad():
        prediction = copy.deepcopy(loop.current)(batch.images).argmax(1)
    trusted = batch.trusted.view(-1, *[1] * (batch.label.dim() - 1)).expand_as(batch.label)
    label = batch.label.where(trusted | (batch.label == 255), ((prediction + 1) % bench.classes).to(batch.label.dtype))
    batch = replace(batch, label=label, confidence=batch.confidence.where(trusted, 0))
    found = bench.gradients(loop, batch, {})["model"]
    network = bench.loop().current
    logits = network(batch.images)
    each = nn.functional.cross_entropy(logits, label.long(), ignore_index=255, reduction="none")
    loss = (each * trusted).sum() / (label != 255).sum()
    expected = flat(torch.autograd.grad(loss, list(network.parameters())))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)


def stopped_and_resumed_it_ends_in_the_same_bits(kind, task):
    """Stopped after every step, a fresh loop taking over; with thresholds 0, so that memory fills."""
    whole, loop = trained(Bench(kind, task, threshold=0.0)), Bench(kind, task, threshold=0.0).loop()
    assert all(not torch.equal(value, loop.memory[name]) for name, value in whole.memory.items()), "nothing to remember"
    for step in range(STEPS):
        bench = Bench(kind, task, threshold=0.0)  # a process of its own has nothing but the checkpoint
        loop, state = bench.loop(), copy.deepcopy(loop.state_dict())
        loop.load_state_dict(state)
        trained(bench, loop, step + 1)
    assert same(weights(whole), weights(loop)), "a resumed run differs: something is kept that no checkpoint holds"
    assert all(torch.equal(value, loop.memory[name]) for name, value in whole.memory.items())


def a_loss_moves_its_own_network_alone(kind, task):
    """Whatever the others are, in a step whose other losses are left out."""
    bench = Bench(kind, task)
    names = list(bench.losses(bench.loop(), bench.batches(0), bench.drawn(0)).losses)
    losses = bench.method.losses
    trained(bench, until=1)  # all of them together: none may need what another one's gradient has used up
    for name in names:
        loop = bench.loop()
        before = weights(loop)
        only = type(
            "Only",
            (type(bench.method),),
            {"losses": lambda self, nets, batch, now, name=name: Step({name: losses(nets, batch, now).losses[name]})},
        )
        loop.method = only(**{field: getattr(bench.method, field) for field in names_of(type(bench.method))})
        advance(loop, bench.batches(0))
        after, averages = weights(loop), bench.method.averages
        moved = {other for other in after if not torch.equal(after[other], before[other])} - set(averages)
        assert moved == {name}, f"the loss of {name} moved {moved}"


def the_truth_of_u_changes_nothing(kind, task):
    """Statistics may count it; nothing may learn it."""
    bench, loops = Bench(kind, task), []
    for change in (lambda truth: truth, lambda truth: (truth * 0 + 3).to(truth.dtype)):
        loop = bench.loop()
        for step in range(2):
            batch = bench.batches(step)
            advance(loop, batch if batch.truth is None else replace(batch, truth=change(batch.truth)))
        loops.append(weights(loop))
    assert same(*loops), "it learns the truth of U"


def ignored_pixels_change_nothing(kind, task):
    """What lies outside an image, or has no label, is garbage: a network that sees pixel by pixel learns the same."""
    classes = len(data_of(task).classes)
    bench = Bench(kind, task, lambda: Pointwise(classes), threshold=0.0)
    batch, drawn = bench.batches(0), bench.drawn(0)

    def garbage(images, counts):
        noise = 255 * torch.rand(images.shape, generator=torch.Generator().manual_seed(2))
        return images.where(counts.unsqueeze(1), noise)

    spoiled = replace(batch, images=garbage(batch.images, batch.label != 255))
    if batch.u:
        assert not batch.valid.all(), "these crops reach beyond their images"
        spoiled = replace(spoiled, u={view: garbage(images, batch.valid) for view, images in batch.u.items()})
    first, second = (bench.gradients(bench.loop(), each, drawn) for each in (batch, spoiled))
    for name, gradient in first.items():
        torch.testing.assert_close(
            second[name], gradient, rtol=1e-4, atol=1e-7, msg=f"{name} learns from what is ignored"
        )


def a_permuted_batch_has_the_same_loss(kind, task):
    """Rows of X and of U in another order, with their draws."""
    bench = Bench(kind, task, threshold=0.0)
    batch, drawn = bench.batches(0), bench.drawn(0)
    generator = torch.Generator().manual_seed(4)
    x = torch.randperm(batch.labeled, generator=generator)
    u = torch.randperm(batch.unlabeled or len(batch.images) - batch.labeled, generator=generator)
    joint = x if batch.u else torch.cat([x, batch.labeled + u])
    tensors = {
        name: value[joint]
        for name, value in vars(batch).items()
        if isinstance(value, Tensor) and name not in ("valid", "index", "x2", "y2")
    }
    beside = (
        {"u": {view: images[u] for view, images in batch.u.items()}, "valid": batch.valid[u], "index": batch.index[u]}
        if batch.u
        else {}
    )
    moved = {name: value[u] for name, value in drawn.items()}
    if "partner" in moved:
        moved["partner"] = torch.argsort(u)[moved["partner"]]
    one, two = (
        bench.losses(bench.loop(), *each).losses
        for each in ((batch, drawn), (replace(batch, **tensors, **beside), moved))
    )
    for name, loss in one.items():
        torch.testing.assert_close(two[name], loss, rtol=1e-4, atol=1e-5, msg=f"{name}: the order of rows counts")


def adds(kind, task):
    return bool(kind.adds)


CONTRACTS = {  # and the methods that each is about
    weight_0_is_x_alone: adds,
    unlabeled_term_has_a_gradient: adds,
    weight_0_of_labels_is_x_over_the_joint_count: lambda kind, task: (
        kind.teacher in ("itself", "other") and kind.rule == "dynamic"
    ),
    stopped_and_resumed_it_ends_in_the_same_bits: lambda kind, task: True,
    a_loss_moves_its_own_network_alone: lambda kind, task: True,
    the_truth_of_u_changes_nothing: lambda kind, task: kind.teacher != "truth",
    ignored_pixels_change_nothing: lambda kind, task: task == "segmentation",
    a_permuted_batch_has_the_same_loss: lambda kind, task: True,
}
PAIRS = [(name, task) for name, method in METHODS.items() for task in method.tasks]
