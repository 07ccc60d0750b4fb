"""ImageNet's networks and images: the whole path, on random weights and made-up photographs."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

from helpers import (
    correlations,
    evaluation,
    forward,
    graphs,
    imagenet,
    lesions,
    networks,
    partitions,
    zoo,
)
from helpers.backend import keras
from helpers.book import on_imagenet
from helpers.cli import main

SYNSETS = "n01440764", "n01443537", "n02084071"


def write_photograph(path, colour, size=(500, 375)):
    """A photograph of one colour with a white frame, which cropping removes."""
    image = Image.new("RGB", size, "white")
    image.paste(colour, (40, 20, size[0] - 40, size[1] - 20))
    image.save(path, quality=95)


@pytest.fixture
def by_synset(tmp_path):
    for i, synset in enumerate(SYNSETS):
        (tmp_path / synset).mkdir()
        for j in range(4):
            write_photograph(tmp_path / synset / f"{j}.JPEG", (80 * i, 10 * j, 0))
    return tmp_path


@pytest.fixture
def with_labels(tmp_path):
    lines = []
    for i in range(12):
        write_photograph(tmp_path / f"val_{i:02d}.jpeg", (80 * (i % 3), 10 * (i // 3), 0))
        lines.append(f"val_{i:02d}.jpeg {i % 3}")
    (tmp_path / "val.txt").write_text("\n".join(lines))
    return tmp_path


@pytest.mark.parametrize("layout", ["by_synset", "with_labels"])
def test_as_many_images_of_each_class_are_chosen_as_are_asked_for(layout, request):
    images, classes = imagenet.validation_images(request.getfixturevalue(layout), 2, size=32)
    assert images.shape == (6, 32, 32, 3)
    assert classes.tolist() == [0, 0, 1, 1, 2, 2]
    red = np.round(255 * images[:][..., 0].mean(axis=(1, 2)) / 80).astype(int)
    assert red.tolist() == classes.tolist()


def test_the_seed_decides_which(by_synset):
    chosen = {imagenet.validation_images(by_synset, 2, seed)[0].paths for seed in range(8)}
    assert len(chosen) > 1
    again = imagenet.validation_images(by_synset, 2, 0)[0]
    assert again == imagenet.validation_images(by_synset, 2, 0)[0]


def test_the_folder_may_come_from_the_environment(by_synset, monkeypatch):
    monkeypatch.setenv("IMAGENET_DIR", str(by_synset))
    assert len(imagenet.validation_images(per_class=1)[0]) == 3


def test_images_are_the_middle_of_photographs_and_in_slices_like_an_array(by_synset):
    images, _ = imagenet.validation_images(by_synset, 2, size=48)
    whole = images[:]
    assert (whole.dtype, whole.shape) == (np.float32, images.shape)
    assert whole.min() >= 0
    assert whole[..., 2].max() < 0.1  # No white of the frames is left.
    np.testing.assert_array_equal(images[1:3], whole[1:3])
    np.testing.assert_array_equal(images[np.array([4, 0])], whole[[4, 0]])
    np.testing.assert_array_equal(images[2], whole[2])


def test_a_missing_folder_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.delenv("IMAGENET_DIR", raising=False)
    with pytest.raises(
        FileNotFoundError, match=r"IMAGENET_DIR is not set\. ImageNet's validation im"
    ):
        imagenet.validation_images()
    with pytest.raises(FileNotFoundError, match=r"nowhere does not exist.*set IMAGENET_DIR to"):
        imagenet.validation_images(tmp_path / "nowhere")


def test_folders_that_do_not_hold_what_is_asked_for_are_refused(by_synset, tmp_path_factory):
    with pytest.raises(
        ValueError, match=r"4 images of class 'n01440764' are in .*, but 5 are asked"
    ):
        imagenet.validation_images(by_synset, 5)
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(ValueError, match="neither folders of classes nor one file of labels"):
        imagenet.validation_images(empty)
    (empty / "class").mkdir()
    with pytest.raises(ValueError, match="holds no images"):
        imagenet.validation_images(empty)


@pytest.mark.parametrize("between", [" ", ", ", ";", "\t"])
def test_classes_are_counted_by_their_numbers_however_labels_are_written(tmp_path, between):
    lines = ["name,class"]
    for i in (3, 11, 0, 7, 10, 1, 2, 4, 5, 6, 8, 9):
        write_photograph(tmp_path / f"a photo {i}.png", (20 * i, 0, 0), (60, 60))
        lines.append(f'"a photo {i}.png"{between}{i + 1:02d}')
    (tmp_path / "val.csv").write_text("\ufeff" + "\n".join(lines) + "\n\n")
    images, classes = imagenet.validation_images(tmp_path, 1)
    assert [path.stem for path in images.paths] == [f"a photo {i}" for i in range(12)]
    assert classes.tolist() == [*range(12)]


def test_folders_named_by_numbers_are_counted_by_these_and_hidden_ones_are_not(tmp_path):
    for i in range(12):
        (tmp_path / str(i)).mkdir()
        write_photograph(tmp_path / str(i) / "one.png", (20 * i, 0, 0), (60, 60))
    (tmp_path / ".ipynb_checkpoints").mkdir()
    images, _ = imagenet.validation_images(tmp_path, 1)
    assert [path.parent.name for path in images.paths] == [str(i) for i in range(12)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a.png,0,name", "line 2 of .* is 'a.png,0,name'; accepted are the name of an image and"),
        ("a.png,3.0", "line 2 of"),
        ("a.png", "line 2 of"),
        ("a.png 0 1", "line 2 of"),
        ("ILSVRC2012_val_00000001,n01440764 1 2 3 4", "line 2 of"),
        ("b.png 0", "has 'b.png' twice"),
        ("a.png 2", "classes 0, 2 are in .*; accepted are numbers from 0 or 1 on, each once"),
        ("a.png n01440764", "has both numbers and synsets"),
    ],
)
def test_labels_that_would_give_other_classes_are_refused(tmp_path, line, message):
    (tmp_path / "val.txt").write_text(f"b.png 0\n{line}\n")
    with pytest.raises(ValueError, match=message):
        imagenet.validation_images(tmp_path, 1)


@pytest.mark.parametrize("given", [{"per_class": 1.0}, {"size": 15.5}, {"seed": None}])
def test_numbers_that_are_none_are_refused(by_synset, given):
    with pytest.raises(ValueError, match=f"{next(iter(given))}: .* was given; accepted are integ"):
        imagenet.validation_images(by_synset, **given)


def test_images_of_more_than_8_bits_are_refused(by_synset):
    deep = (np.arange(4096).reshape(64, 64) * 16).astype(np.uint16)
    Image.fromarray(deep).save(by_synset / SYNSETS[0] / "4.png")
    images, _ = imagenet.validation_images(by_synset, 4, seed=1)
    files = imagenet.ImageFiles((by_synset / SYNSETS[0] / "4.png", *images.paths), 32)
    with pytest.raises(ValueError, match=r"4\.png has more than 8 bits per colour"):
        files[:]


def test_units_respond_to_files_as_to_their_images(by_synset):
    images, _ = imagenet.validation_images(by_synset, 4, size=32)
    model = networks.cnn((32, 32, 3), 3)
    graph = graphs.activation_graph(model, images)
    np.testing.assert_array_equal(
        graph.adjacency, graphs.activation_graph(model, images[:]).adjacency
    )
    maps = [correlations.correlation_maps(model, each, ["conv_1"]) for each in (images, images[:])]
    np.testing.assert_array_equal(maps[0]["conv_1"], maps[1]["conv_1"])


def test_a_damaged_photograph_is_named(by_synset):
    (by_synset / SYNSETS[0] / "0.JPEG").write_bytes(b"nothing")
    images, _ = imagenet.validation_images(by_synset, 4)
    with pytest.raises(ValueError, match=r"0\.JPEG is damaged"):
        images[:]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("vgg11",), "name: 'vgg11' was given; accepted are vgg16, vgg19, resnet18, resnet50"),
        (("vgg16", "nowhere.h5"), "weights: no file 'nowhere.h5'"),
        (("vgg16", "imagenet", (32, 32, 3), 10), "n_classes: 10 was given; weights of ImageNet"),
    ],
)
def test_networks_that_do_not_exist_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        networks.imagenet(*arguments)


@pytest.mark.parametrize("name", ["vgg16", "resnet18"])
def test_weights_come_from_a_local_file(name, tmp_path):
    keras.utils.set_random_seed(0)
    first = networks.imagenet(name, None, (32, 32, 3), 4)
    first.layers[-1].save_weights(tmp_path / "mine.weights.h5")
    second = networks.imagenet(name, tmp_path / "mine.weights.h5", (32, 32, 3), 4)
    x = np.random.default_rng(0).random((3, 32, 32, 3)).astype(np.float32)
    np.testing.assert_array_equal(first(x), second(x))


def test_vggs_see_blue_first_and_centred():
    image = np.random.default_rng(0).random((2, 32, 32, 3)).astype(np.float32)
    program = forward.read(networks.imagenet("vgg16", None, (32, 32, 3), 4))
    first = program.steps[program.sites("block1_conv1")[0]].inputs
    (found,) = program.values((image,), first)
    expected = keras.applications.vgg16.preprocess_input(255 * image.copy())
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_images_that_are_read_batch_by_batch_count_as_an_array_of_them_does(by_synset):
    model = networks.imagenet("resnet18", None, (32, 32, 3), 3)
    images, classes = imagenet.validation_images(by_synset, 4, size=32)
    labels = {"stage1_unit1_conv1": np.arange(64) % 2}
    lazy, whole = (
        lesions.lesion_profiles(model, each, classes, labels, 2) for each in (images, images[:])
    )
    np.testing.assert_array_equal(lazy.random, whole.random)
    assert lazy.class_sizes.tolist() == [4, 4, 4]


def test_the_graph_of_a_vgg_has_its_thirteen_convolutions():
    model = networks.imagenet("vgg16", None, (64, 64, 3), 3)
    assert len(graphs.weight_graph(model).layers) == 13


@pytest.mark.slow
def test_the_whole_path_runs_at_full_size(by_synset):
    keras.utils.set_random_seed(0)
    model = networks.imagenet("resnet50", None, n_classes=3)
    images, classes = imagenet.validation_images(by_synset, 1)
    graph = graphs.weight_graph(model)
    assert len(graph.layers) == 53
    partition = partitions.spectral(graph, 4)
    chosen = partition.subclusters()[::30]
    lesion = [{each.layer: each.units} for each in chosen]
    counts = lesions.correct_counts(model, images, classes, [{}, *lesion])
    assert counts.shape == (1 + len(lesion), 3)


@pytest.fixture
def small_networks(monkeypatch):
    """The command's networks and photographs at 32 pixels, untrained, with three classes."""
    make, choose = networks.imagenet, imagenet.validation_images

    def small(name, weights):
        assert weights == "imagenet"
        return make(name, None, (32, 32, 3), len(SYNSETS))

    monkeypatch.setattr(networks, "imagenet", small)
    monkeypatch.setattr(imagenet, "validation_images", partial(choose, size=32))


def test_one_command_fills_the_rows_of_a_network(by_synset, small_networks, tmp_path):
    target = tmp_path / "rows.csv"
    options = ["--images", str(by_synset), "--per-class", "2", "--clusters", "3", "--random", "2"]
    said = CliRunner().invoke(main, ["imagenet", "resnet18", *options, "--into", str(target)])
    assert said.exit_code == 0, said.output
    rows = pd.read_csv(target)
    assert set(rows["network"]) == {"imagenet-resnet18"}
    assert set(rows["protocol"]) == {"paper", "released"}
    assert {"fisher", "chi2"} <= set(rows["test"])
    assert set(rows["measure"]) == {"importance", "class_range"}
    assert "6 images" in said.output


def test_a_table_has_rows_for_each_number_of_clusters_that_its_plan_has():
    net = zoo.trained("digits-mlp")
    images = net.dataset.x_test[:100], net.dataset.y_test[:100]
    rows = on_imagenet.lesioned(net.model, *images, on_imagenet.Plan((2, 3), 2, True))
    assert set(rows["n_clusters"]) == {2, 3}
    of_three = rows[rows["n_clusters"] == 3].reset_index(drop=True)
    expected = evaluation.both_protocols(net.model, *images, 3, 2)
    pd.testing.assert_frame_equal(of_three, expected)


def test_several_numbers_of_clusters_are_for_table_3_only():
    options = ["--clusters", "8", "--clusters", "18"]
    said = CliRunner().invoke(main, ["imagenet", "resnet18", *options])
    assert said.exit_code == 2
    assert "Table 1b has one number" in said.output


def test_rows_with_other_numbers_than_the_papers_stay_out_of_the_results():
    for options in (
        ["--random", "2"],
        ["--table", "3", "--clusters", "5"],
        ["--per-class", "5"],
        ["--table", "1a", "--steps", "9"],
    ):
        said = CliRunner().invoke(main, ["imagenet", "resnet18", *options])
        assert said.exit_code == 2
        assert "--into" in said.output


def test_inputs_are_constructed_for_a_network_without_any_photograph(
    small_networks, tmp_path, monkeypatch
):
    monkeypatch.delenv("IMAGENET_DIR", raising=False)
    target = tmp_path / "rows.csv"
    options = ["--table", "1a", "--random", "1", "--steps", "2"]
    said = CliRunner().invoke(main, ["imagenet", "vgg16", *options, "--into", str(target)])
    assert said.exit_code == 0, said.output
    rows = pd.read_csv(target)
    assert set(rows["network"]) == {"imagenet-vgg16"}
    assert set(rows["protocol"]) == {"paper", "released"}
    assert set(rows["measure"]) == {"score", "entropy", "variance"}
    assert {"first", "median", "third", "inactive", "effect"} <= set(rows.columns)
    assert (rows["n_random"] == 1).all()
    with Image.open(target.with_suffix(".png")) as picture:
        assert np.asarray(picture.convert("L")).std() > 5


def test_a_folder_that_lacks_classes_is_refused(by_synset, small_networks, tmp_path):
    for photograph in (by_synset / SYNSETS[2]).iterdir():
        photograph.unlink()
    (by_synset / SYNSETS[2]).rmdir()
    options = ["--images", str(by_synset), "--per-class", "1", "--into", str(tmp_path / "rows.csv")]
    said = CliRunner().invoke(main, ["imagenet", "resnet18", *options])
    assert said.exit_code == 1
    assert "2 classes were found, but resnet18 has 3" in said.output


def test_the_command_says_how_to_get_the_images(monkeypatch):
    monkeypatch.delenv("IMAGENET_DIR", raising=False)
    said = CliRunner().invoke(main, ["imagenet", "vgg16"])
    assert said.exit_code == 1
    assert "register at image-net.org" in said.output
