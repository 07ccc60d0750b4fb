"""The architectures of the paper (appendix A.2), as Keras models."""

from pathlib import Path
from typing import Literal, get_args

import numpy as np

from helpers.backend import keras

ImageNetName = Literal["vgg16", "vgg19", "resnet18", "resnet50"]

_CAFFE_MEANS = (103.939, 116.779, 123.68)
"""Of blue, green and red over ImageNet's images, from 0 to 255 (Simonyan and Zisserman, 2014)."""


def mlp(
    input_shape: tuple[int, ...],
    n_classes: int,
    dropout: float = 0.0,
    width: int = 256,
    depth: int = 4,
) -> keras.Model:
    """Build the paper's multilayer perceptron: four hidden layers of 256 rectified units.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one input, without the batch axis.
    n_classes : int
        Number of softmax outputs.
    dropout : float
        Rate of the dropout after each hidden layer, in [0, 1); 0 leaves the layers out. The
        paper uses 0.5 where it uses dropout.
    width, depth : int
        Units per hidden layer, and number of hidden layers.

    Returns
    -------
    keras.Model
        Hidden layers ``dense_1`` to ``dense_4`` and ``output``.
    """
    layers = [keras.Input(input_shape, name="input"), keras.layers.Flatten(name="flatten")]
    for index in range(1, depth + 1):
        layers.append(keras.layers.Dense(width, activation="relu", name=f"dense_{index}"))
        if dropout:
            layers.append(keras.layers.Dropout(dropout, name=f"dropout_{index}"))
    layers.append(keras.layers.Dense(n_classes, activation="softmax", name="output"))
    return keras.Sequential(layers, name="mlp")


def cnn(
    input_shape: tuple[int, ...],
    n_classes: int,
    channels: int = 64,
    dense_width: int = 128,
) -> keras.Model:
    """Build the paper's small CNN: three 3x3 convolutions of 64 channels and a dense layer.

    The second and the third convolution are followed by 2x2 max pooling.

    Parameters
    ----------
    input_shape : tuple of int
        Height, width and channels of one image.
    n_classes : int
        Number of softmax outputs.
    channels, dense_width : int
        Feature maps per convolution, and units of the dense layer.

    Returns
    -------
    keras.Model
        Layers ``conv_1`` to ``conv_3``, ``dense`` and ``output``.
    """

    def convolution(index: int) -> keras.layers.Layer:
        return keras.layers.Conv2D(
            channels, 3, padding="same", activation="relu", name=f"conv_{index}"
        )

    return keras.Sequential(
        [
            keras.Input(input_shape, name="input"),
            convolution(1),
            convolution(2),
            keras.layers.MaxPooling2D(name="pool_2"),
            convolution(3),
            keras.layers.MaxPooling2D(name="pool_3"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(dense_width, activation="relu", name="dense"),
            keras.layers.Dense(n_classes, activation="softmax", name="output"),
        ],
        name="cnn",
    )


_VGG_FILTERS = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
_VGG_POOLED = (2, 4, 7, 10, 13)
_VGG_DROPOUT = {1: 0.3, 3: 0.4, 5: 0.4, 6: 0.4, 8: 0.4, 9: 0.4, 11: 0.4, 12: 0.4, 13: 0.5}
"""Rates behind the convolutions of the variant with dropout, counted from 1."""


def vgg(input_shape: tuple[int, ...], n_classes: int, dropout: bool = False) -> keras.Model:
    """Build the paper's VGG for small images: 13 convolutions and two dense layers.

    Each convolution, 3x3 with a bias, is followed by a rectifier, by 2x2 max pooling where its
    number is 2, 4, 7, 10 or 13, and then by batch normalisation, in this order.

    Parameters
    ----------
    input_shape : tuple of int
        Height, width and channels of one image; height and width at least 32.
    n_classes : int
        Number of softmax outputs.
    dropout : bool
        Whether there is dropout: at a rate of 0.3 behind the first convolution, 0.4 behind those
        that are not pooled, and 0.5 behind the last one and the first dense layer.

    Returns
    -------
    keras.Model
        Layers ``conv_1`` to ``conv_13``, ``dense_1``, ``dense_2`` (512 units each) and
        ``output``; ``norm_1`` to ``norm_14`` normalise all but the last two of them.

    Raises
    ------
    ValueError
        If the images are too small to be pooled five times.

    References
    ----------
    Appendix A.2 of the paper; Liu and Deng, "Very deep convolutional neural network based image
    classification using small training sample size", ACPR 2015.
    """
    if min(input_shape[:2]) < 32:
        raise ValueError(
            f"input_shape: {input_shape} was given; a VGG halves its images five times, so "
            "accepted are a height and a width of at least 32"
        )
    layers = [keras.Input(input_shape, name="input")]
    for index, filters in enumerate(_VGG_FILTERS, 1):
        layers.append(
            keras.layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"conv_{index}")
        )
        if index in _VGG_POOLED:
            layers.append(keras.layers.MaxPooling2D(name=f"pool_{index}"))
        layers.append(keras.layers.BatchNormalization(name=f"norm_{index}"))
        if dropout and index in _VGG_DROPOUT:
            layers.append(keras.layers.Dropout(_VGG_DROPOUT[index], name=f"dropout_{index}"))
    layers += [
        keras.layers.Flatten(name="flatten"),
        keras.layers.Dense(512, activation="relu", name="dense_1"),
        keras.layers.BatchNormalization(name="norm_14"),
        *([keras.layers.Dropout(0.5, name="dropout_14")] if dropout else []),
        keras.layers.Dense(512, activation="relu", name="dense_2"),
        # In single precision whatever the policy: bfloat16 has no probabilities between .996 and 1.
        keras.layers.Dense(n_classes, activation="softmax", dtype="float32", name="output"),
    ]
    return keras.Sequential(layers, name="vgg")


def modular_sum(n_classes: int) -> keras.Model:
    """Build the network of appendix A.3 that adds two classes modulo their number.

    Parameters
    ----------
    n_classes : int
        Number of classes M, at least 1.

    Returns
    -------
    keras.Model
        Takes in 2M numbers: the first class one-hot, then the second. Of its M**2 hidden
        rectified units in the layer ``dense``, each detects one pair of classes by two weights
        of 1 and a bias of -1. It puts out M numbers, 1 for the sum and 0 for all others.

    Raises
    ------
    ValueError
        If there is no class.
    """
    if n_classes < 1:
        raise ValueError(f"n_classes: {n_classes} was given; accepted are 1 and more")
    first, second = np.divmod(np.arange(n_classes**2), n_classes)
    one_hot = np.eye(n_classes, dtype=np.float32)
    model = keras.Sequential(
        [
            keras.Input((2 * n_classes,), name="input"),
            keras.layers.Dense(n_classes**2, activation="relu", name="dense"),
            keras.layers.Dense(n_classes, use_bias=False, name="output"),
        ],
        name="modular_sum",
    )
    detectors = np.hstack([one_hot[first], one_hot[second]]).T
    model.set_weights([detectors, -np.ones(n_classes**2), one_hot[(first + second) % n_classes]])
    return model


def imagenet(
    name: ImageNetName,
    weights: str | Path | None = "imagenet",
    input_shape: tuple[int, int, int] = (224, 224, 3),
    n_classes: int = 1000,
) -> keras.Model:
    """Build one of the paper's ImageNet networks, with the weights that the authors used.

    The VGGs are those of `keras.applications`, the ResNets those of the package image-classifiers,
    as in the released code.

    Parameters
    ----------
    name : {"vgg16", "vgg19", "resnet18", "resnet50"}
        Which network.
    weights : {"imagenet"}, path or None
        Trained on ImageNet, downloaded once into Keras's cache (up to 575 MB); a local file of
        them (``.h5`` or ``.weights.h5``); or None, random ones.
    input_shape : tuple of int
        Height, width and channels of one image.
    n_classes : int
        Number of softmax outputs; 1,000 with trained weights.

    Returns
    -------
    keras.Model
        Takes images in [0, 1], red first, and prepares them as the network expects. The network's
        layers keep their names, such as ``block1_conv1`` or ``stage1_unit1_conv1``.

    Raises
    ------
    ValueError
        If the name is unknown, a weights file does not exist, or trained weights are asked for
        with another number of classes.
    """
    if name not in get_args(ImageNetName):
        accepted = ", ".join(get_args(ImageNetName))
        raise ValueError(f"name: {name!r} was given; accepted are {accepted}")
    if weights == "imagenet" and n_classes != 1000:
        raise ValueError(f"n_classes: {n_classes} was given; weights of ImageNet have 1000")
    is_file = weights is not None and weights != "imagenet"
    if is_file and not Path(str(weights)).is_file():
        raise ValueError(
            f"weights: no file {str(weights)!r}; accepted are a file, imagenet and None"
        )
    source = "imagenet" if weights == "imagenet" else None
    image = keras.Input(input_shape, name="image")
    prepared = keras.layers.Rescaling(255.0, name="to_bytes")(image)
    if name.startswith("vgg"):
        make = getattr(keras.applications, name.upper())
        network = make(weights=source, input_shape=input_shape, classes=n_classes)
        prepared = keras.ops.flip(prepared, axis=-1)
        means = keras.layers.Normalization(mean=_CAFFE_MEANS, variance=3 * (1.0,), name="centred")
        prepared = means(prepared)
    else:
        # Loaded here: few need it.
        from classification_models.keras import Classifiers

        make, _ = Classifiers.get(name)
        network = make(input_shape, weights=source, classes=n_classes)
    if is_file:
        network.load_weights(weights)
    return keras.Model(image, network(prepared), name=name)
