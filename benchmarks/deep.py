"""Lesions of an eighth of each layer against ``predict``: ``python benchmarks/deep.py``.

For each network, with random weights: seconds per lesion of an eighth of a layer, the mean over all
layers, of `helpers.lesions.correct_counts` and of the baseline (the weights into the units set to
zero by ``set_weights``, the whole network run by a warmed-up Keras ``predict`` at the best of
several batch sizes); their ratio, of all layers and of groups from the first to the last; the limit
of the ratio that the multiply-adds set which a lesion leaves to do; and the share of the rate of a
large convolution that each reaches on its multiply-adds, measured in the same run. Both must count
the same correct predictions. The rounds alternate, and the best time of each counts, because other
work on the machine can only slow things down.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from helpers import imagenet, lesions, networks
from helpers.backend import keras
from helpers.forward import Classifier, read_classifier, rules
from helpers.forward.program import Step
from helpers.lesions import engine
from helpers.lesions.propagation import Trace
from measuring import convolution_rate, peak_gib, seconds

BATCH_SIZES = (32, 64, 128, 256, 1000, 5000)
APPLICATIONS = keras.applications
NETWORKS: dict[str, tuple[Callable[[], keras.Model], int, int]] = {
    "mlp 28x28": (lambda: networks.mlp((28, 28, 1), 10), 10000, 20),
    "cnn 28x28": (lambda: networks.cnn((28, 28, 1), 10), 2000, 20),
    "vgg 32x32": (lambda: networks.vgg((32, 32, 3), 10), 512, 1),
    "resnet18 32x32": (lambda: networks.imagenet("resnet18", None, (32, 32, 3), 10), 512, 1),
    "resnet50v2 64x64": (lambda: _application("ResNet50V2", 64), 128, 1),
    "densenet121 32x32": (lambda: _application("DenseNet121", 32), 256, 1),
}
"""How each is made, images, and lesions of each layer: one alone is dear where it takes little."""


def _application(name: str, size: int) -> keras.Model:
    make = getattr(APPLICATIONS, name)
    return make(weights=None, input_shape=(size, size, 3), classes=10)


def multiply_adds(step: Step, shape: tuple[int, ...], fraction: float = 1) -> float:
    """Multiply-adds of a layer of units for one image, if it takes in a fraction of its inputs."""
    rule = step.rule
    if isinstance(rule, rules.Linear):
        return float(np.prod(shape[1:-1])) * sum(kernel.size for kernel in rule.kernels) * fraction
    if isinstance(rule, rules.Depthwise):
        return float(np.prod(shape[1:-1])) * rule.kernel.size * fraction
    return 0.0


def remaining(program: Classifier, trace: Trace, lesion: dict[int, Any]) -> float:
    """Multiply-adds of one image that a lesion leaves to do: corrections, and all behind them."""
    done = 0.0
    share: dict[int, float] = {}
    for index in program.path:
        step = program.steps[index]
        shares = [share.get(each, 0.0) for each in step.inputs]
        shape, rule = trace.shapes[step.outputs[0]], step.rule
        out = max(shares)
        if isinstance(rule, rules.Linear) and out:
            done += multiply_adds(step, shape, min(out, 1 - out) if out < 1 else 1)
            out = 1.0
        elif isinstance(rule, rules.Concatenate) and out:
            widths = [trace.shapes[each][-1] for each in step.inputs]
            out = float(np.dot(shares, widths) / sum(widths))
        elif isinstance(rule, rules.Depthwise):
            done += multiply_adds(step, shape, out)
        if index in lesion:
            out = max(out, len(lesion[index]) / step.n_units)
        share |= dict.fromkeys(step.outputs, out)
    return done


def baseline(model: keras.Model, x: Any, y: Any, lesion: dict[str, Any], batch_size: int) -> Any:
    """Correct predictions per class, the plain way; the weights are put back."""
    ((name, units),) = lesion.items()
    program = read_classifier(model)
    layer = program.steps[program.sites(name)[0]].operation
    values = layer.get_weights()
    zeroed = [each.copy() for each in values]
    is_depthwise = type(layer) is keras.layers.DepthwiseConv2D
    for each in zeroed:
        (each.reshape(*each.shape[:-2], -1) if is_depthwise and each.ndim > 1 else each)[
            ..., units
        ] = 0
    layer.set_weights(zeroed)
    right = model.predict(x, batch_size=batch_size, verbose=0).argmax(axis=-1) == y
    layer.set_weights(values)
    return np.bincount(y[right], minlength=model.outputs[0].shape[-1])


def compare(name: str, n_rounds: int, max_layers: int) -> None:
    keras.utils.set_random_seed(0)
    make, n_images, n_each = NETWORKS[name]
    model = make()
    rng = np.random.default_rng(0)
    x = rng.random((n_images, *model.input_shape[1:]), dtype=np.float32)
    y = rng.integers(0, 10, n_images)
    program = read_classifier(model)
    trace = Trace(program, (x[:1],))
    whole = sum(
        multiply_adds(program.steps[index], trace.shapes[program.steps[index].outputs[0]])
        for index in program.path
    )
    hidden = [layer for layer in program.layers if program.order(layer) < len(program.layers) - 1]
    chosen, left = [], []
    for layer in [layer for layer in hidden for _ in range(n_each)]:
        n_units = program.steps[program.sites(layer)[0]].n_units
        units = np.sort(rng.choice(n_units, n_units // 8, replace=False))
        chosen.append({layer: units})
        left.append(remaining(program, trace, engine.checked(program, chosen[-1])))
    print(f"\n{name}: {len(hidden)} layers, {n_images} images, {2e-9 * whole:.2f} GFLOP an image")
    print(f"  limit   : {whole / np.mean(left):6.2f} x by the multiply-adds that remain")

    plain = chosen[:: max(1, len(chosen) // 3)]
    found = lesions.correct_counts(model, x, y, plain)
    for lesion, counts in zip(plain, found, strict=True):
        assert np.array_equal(counts, baseline(model, x, y, lesion, n_images)), lesion
    sizes = [size for size in BATCH_SIZES if size <= n_images]
    for size in sizes:
        model.predict(x[:size], batch_size=size, verbose=0)
    groups = np.array_split(np.arange(len(chosen)), min(max_layers, len(hidden)))
    ours, intact = np.full(len(groups), np.inf), np.inf
    theirs = dict.fromkeys(sizes, np.inf)
    prepared = engine.Prepared.of(program)
    for _ in range(8):
        prepared.graphs.expect([engine.checked(program, each) for each in chosen], 1)
    for group in groups:
        judge(prepared, x, y, [engine.checked(program, chosen[each]) for each in group])
    peak = 0.0
    for _ in range(n_rounds):
        peak = max(peak, convolution_rate())
        for size in sizes:
            run = partial(baseline, model, x, y, chosen[0], size)
            theirs[size] = min(theirs[size], seconds(run))
        intact = min(intact, seconds(partial(judge, prepared, x, y, [{}])))
        for i, group in enumerate(groups):
            some = [engine.checked(program, chosen[each]) for each in group]
            ours[i] = min(ours[i], seconds(partial(judge, prepared, x, y, some)))
    best = min(theirs, key=lambda size: theirs[size])
    alone = np.maximum(ours - intact, 0)
    mean = alone.sum() / len(chosen)
    print(f"  baseline: {1e3 * theirs[best]:8.1f} ms a lesion at batch {best}, the best")
    print(f"            {of_peak(2 * n_images * whole / theirs[best], peak)}")
    for i, group in enumerate(groups):
        # The difference of two timings can fall below zero where a lesion takes next to nothing.
        each = max(alone[i] / len(group), 1e-6)
        rate = 2 * n_images * float(np.mean([left[one] for one in group])) / each
        print(
            f"  {1e3 * each:8.1f} ms, {theirs[best] / each:6.1f} x, {of_peak(rate, peak)}, "
            f"{hidden[group[0] // n_each]} to {hidden[group[-1] // n_each]}"
        )
    rate = 2 * n_images * float(np.mean(left)) / mean
    print(f"  ours    : {1e3 * mean:8.1f} ms a lesion, {of_peak(rate, peak)}")
    print(f"  ratio   : {theirs[best] / mean:6.2f} x, of {whole / np.mean(left):.2f}")


def of_peak(rate: float, peak: float) -> str:
    """Return operations per second, and their share of those of a large convolution."""
    return f"{1e-9 * rate:.0f} GFLOP/s ({rate / peak:.0%} of a large convolution's)"


def judge(prepared: engine.Prepared, x: Any, y: Any, chosen: list[Any]) -> Any:
    """Return what is right under lesions by step, without the trial that calls begin with."""
    division = engine.Division.of(prepared.program, (x,), [({}, chosen)])
    return list(engine.in_threads(prepared, (x,), y, division, 1e-5))


def print_memory(name: str) -> None:
    """Print the peak memory of this process after lesions of each tenth layer of a network."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        if name == "vgg16":
            model = networks.imagenet(name, None, (32, 32, 3), 10)
            x, y = rng.random((10000, 32, 32, 3), dtype=np.float32), np.arange(10000) % 10
        else:
            model = networks.imagenet(name, None, n_classes=2)
            for i in range(2):
                (Path(folder) / str(i)).mkdir()
                for j in range(12):
                    pixels = rng.integers(0, 256, (300, 400, 3), np.uint8)
                    Image.fromarray(pixels).save(Path(folder) / str(i) / f"{j}.jpeg")
            x, y = imagenet.validation_images(folder, 12)
        program = read_classifier(model)
        chosen = [{layer: range(8)} for layer in list(program.layers)[::10]]
        lesions.correct_counts(model, x, y, chosen)
    print(f"  {name}: {peak_gib():.2f} GiB, {len(y)} images of {x.shape[1]} pixels")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(NETWORKS), help=", ".join(NETWORKS))
    parser.add_argument("--rounds", type=int, default=3, help="the best of so many rounds counts")
    parser.add_argument("--groups", type=int, default=8, help="groups of layers to time")
    parser.add_argument("--memory-of", metavar="NAME", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory_of:
        print_memory(arguments.memory_of)
        return
    for name in arguments.names:
        compare(name, arguments.rounds, arguments.groups)
    print("\npeak memory of a process that does our lesions only, TensorFlow and data included:")
    for name in ("vgg16", "resnet50"):
        subprocess.run([sys.executable, __file__, "--memory-of", name], check=True)


if __name__ == "__main__":
    main()
