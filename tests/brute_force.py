"""Slow twins that the fast paths must equal."""

import numpy as np
import scipy.special
import scipy.stats

from helpers.backend import keras
from helpers.construction import lucid_bridge as bridge


def correct(model, x, y, lesions):
    """Which predictions are right, by setting weights to zero and running the whole network."""
    weights, right = model.get_weights(), []
    for lesion in lesions:
        for name, units in lesion.items():
            zero_weights_into(layer_called(model, name), np.asarray(units, dtype=int))
        outputs = np.asarray(keras.ops.cast(model(x, training=False), "float32"))
        classes = outputs.argmax(-1) if outputs.shape[-1] > 1 else outputs[:, 0] > 0.5
        right.append(classes == y)
        model.set_weights(weights)
    return np.array(right)


def layer_called(model, name):
    """A layer of a model, or with ``outer/inner`` of a model inside it."""
    for each in name.split("/"):
        model = model.get_layer(each)
    return model


def zero_weights_into(layer, units):
    """Set a layer's weights into some units, and their biases, to zero."""
    kind, values = type(layer).__name__, layer.get_weights()
    kernel = values[1] if kind.startswith("Separable") else values[0]
    if kind.startswith("Depthwise"):
        kernel = kernel.reshape(*kernel.shape[:-2], -1)
    elif kind.endswith("Transpose"):
        kernel = np.moveaxis(kernel, -2, -1)
    kernel[..., units] = 0
    if layer.use_bias:
        values[-1][units] = 0
    layer.set_weights(values)


def union(*lesions):
    """One lesion of all units that several lesion."""
    layers = {layer for lesion in lesions for layer in lesion}
    return {
        layer: sorted({int(unit) for lesion in lesions for unit in lesion.get(layer, ())})
        for layer in layers
    }


def half_width(x):
    """Images of half the width: a Gaussian blur along the width, then means of column pairs."""
    weights = {step: np.exp(-(step**2) / (2 * 0.5**2)) for step in range(-2, 3)}
    width, total = x.shape[2], sum(weights.values())

    def column(j):
        while not 0 <= j < width:  # As in a mirror in the middle of the first and last pixels.
            j = -j if j < 0 else 2 * (width - 1) - j
        return x[:, :, j].astype(float)

    blurred = [
        sum(weight * column(j + step) for step, weight in weights.items()) / total
        for j in range(width)
    ]
    pairs = zip(blurred[::2], blurred[1::2], strict=True)
    return np.stack([(left + right) / 2 for left, right in pairs], axis=2)


def unit_input_correlations(model, x, layer):
    """Spearman's correlation of each unit with each input, one after the other."""
    z = x
    for each in model.layers:
        z = each(z)
        if each.name == layer:
            break
    units = np.abs(z).reshape(len(x), -1, z.shape[-1]).sum(axis=1).T
    inputs = x.reshape(len(x), -1).T
    return np.array([[spearman(unit, pixel) for pixel in inputs] for unit in units])


def spearman(first, second):
    is_constant = len(set(first)) == 1 or len(set(second)) == 1
    return 0 if is_constant else scipy.stats.spearmanr(first, second).statistic


def align_signs(maps, n_iterations):
    """Algorithm 2 in appendix A.3 of the paper, line by line."""
    v = [np.array(each) for each in maps]
    for _ in range(n_iterations):
        for i in range(len(v)):
            c = 0
            for j in range(len(v)):
                if j != i:
                    c += cosine(v[i], v[j])
            if c < 0:
                v[i] = -v[i]
    return np.array(v)


def cosine(first, second):
    if not first.any() or not second.any():
        return 0
    return first @ second / (np.sqrt(first @ first) * np.sqrt(second @ second))


def constructed(model, layer, units, parameters, parameterise, n_steps):
    """One image that Lucid makes by itself for one set of units, from a given start."""
    tf1, frozen = bridge.tf1, bridge.lucid_model(model, layer)
    mean = sum(bridge.objectives.channel(bridge.OUTPUT, unit) for unit in units) * (1 / len(units))
    with tf1.Graph().as_default(), tf1.Session() as session:
        tensors = bridge.render.make_vis_T(
            frozen,
            mean,
            parameterise,
            tf1.train.AdamOptimizer(0.05),
            transforms=[],
            relu_gradient_override=True,
        )
        session.run(tf1.global_variables_initializer())
        (variable,) = tf1.trainable_variables()
        session.run(variable.assign(parameters))
        for _ in range(n_steps):
            session.run(tensors("vis_op"))
        return session.run(tensors("input"))[0]


def pixels(image):
    """The parameters of an image by pixels, shape (1, height, width, channels)."""
    return scipy.special.logit(image.astype(float))[np.newaxis]


def coefficients(image):
    """The parameters of an image of even width by its decorrelated Fourier coefficients.

    Shape (2, channels, height, width // 2 + 1): Lucid's ``fft_image``, backwards.
    """
    height, width, _ = image.shape
    colours = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])
    colours /= np.linalg.norm(colours, axis=0).max()
    decorrelated = scipy.special.logit(image.astype(float)) @ np.linalg.inv(colours.T)
    frequencies = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    scale = np.sqrt(height * width) / np.maximum(frequencies, 1 / max(height, width))
    spectrum = 4 * np.fft.rfft2(decorrelated, axes=(0, 1)).transpose(2, 0, 1) / scale
    return np.stack([spectrum.real, spectrum.imag])
