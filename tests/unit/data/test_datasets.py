"""Every data set, from files of its own format."""

from __future__ import annotations

import gzip
import io
import pickle
import urllib.error
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from data_files import data_file
from PIL import Image

from naslib.data import DATASETS, ImageData, ImageSet, is_dataset, load_data
from naslib.data.locations import data_directories, download_directory, user_cache
from naslib.data.sets import cifar_jpeg
from naslib.data.sets.mnist import read_idx
from naslib.errors import ConfigError, DataError, DatasetMissing

RNG = np.random.default_rng(0)
JPEGS = data_file("cifar10_jpeg_full.npz")


def memory(part: Any) -> ImageSet:
    assert isinstance(part, ImageSet)
    return part


def test_all_are_registered() -> None:
    names = {"digits", "mnist", "fashion_mnist", "cifar10", "cifar100", "svhn", "imagenet16-120", "imagefolder", "npz"}
    assert names <= set(DATASETS.names())
    assert is_dataset("ImageNet16-120") and is_dataset("my.npz") and not is_dataset("cifar11")


def test_digits() -> None:
    from sklearn.datasets import load_digits

    data = load_data("digits")
    assert len(data.train) == 1438 and len(data.test) == 359
    assert not data.info.flip and data.info.crop_padding == 1 and data.info.cutout_max == 4
    whole, labels = load_digits(return_X_y=True)
    counts = np.bincount(labels) * 0.2
    assert (np.abs(np.bincount(data.test.label_array) - counts) < 1).all()
    stored = torch.cat([memory(data.train).images, memory(data.test).images]).view(-1, 64).numpy()
    original = sorted(np.rint(row * 255 / 16).astype(np.uint8).tobytes() for row in whole)
    assert sorted(row.tobytes() for row in stored) == original
    assert torch.equal(memory(load_data("digits", seed=5).test).images, memory(data.test).images)


def write_idx(path: Path, array: np.ndarray) -> None:
    content = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_mnist(folder: Path, suffix: str = "") -> dict[str, np.ndarray]:
    content = {}
    for part, n in (("train", 30), ("t10k", 20)):
        content[part] = RNG.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        write_idx(folder / f"{part}-images-idx3-ubyte{suffix}", content[part])
        write_idx(folder / f"{part}-labels-idx1-ubyte{suffix}", (np.arange(n) % 10).astype(np.uint8))
    return content


@pytest.mark.parametrize(
    ("name", "place", "suffix", "flip"),
    [
        ("mnist", "MNIST/raw", "", False),
        ("mnist", "mnist", ".gz", False),
        ("fashion_mnist", "FashionMNIST/raw", "", True),
        ("fashion_mnist", "", ".gz", True),
        ("Fashion-MNIST", "fashion-mnist", ".gz", True),
    ],
)
def test_idx_files(tmp_path: Path, name: str, place: str, suffix: str, flip: bool) -> None:
    content = write_mnist(tmp_path / "d" / place, suffix)
    data = load_data(name, data_dir=tmp_path / "d")
    assert np.array_equal(memory(data.train).images[:, 0].numpy(), content["train"])
    assert np.array_equal(memory(data.test).images[:, 0].numpy(), content["t10k"])
    assert data.test.label_array.tolist() == (np.arange(20) % 10).tolist()
    assert data.info.flip is flip and data.info.crop_padding == 4 and data.info.image_size == 28


def test_mnist_does_not_take_fashion_for_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mnist(tmp_path / "d", ".gz")
    monkeypatch.setattr(torchvision.datasets, "MNIST", no_network)
    with pytest.raises(DatasetMissing):
        load_data("mnist", data_dir=tmp_path / "d")


@pytest.mark.parametrize("content", [b"", b"\0\0\x0d\1", b"\0\0\x08\1\0\0\0\5abc", b"\0\0\x08\3\0\0"])
def test_damaged_idx(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(DataError, match="file"):
        read_idx(tmp_path / "file")
    (tmp_path / "file.gz").write_bytes(gzip.compress(content)[:-3])
    with pytest.raises(DataError, match="fetch it again"):
        read_idx(tmp_path / "file.gz")


def write_cifar10(folder: Path) -> np.ndarray:
    folder.mkdir(parents=True)
    images = RNG.integers(0, 256, (60, 3 * 32 * 32), dtype=np.uint8)
    for number, file in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        part = images[10 * number : 10 * number + 10]
        # the official files have text keys that Python 2 wrote as bytes
        batch = {b"data": part, b"labels": list(range(10)), b"batch_label": b"x"}
        (folder / file).write_bytes(pickle.dumps(batch, protocol=2))
    return images.reshape(-1, 3, 32, 32)


@pytest.mark.parametrize("where", ["argument", "environment", "local", "cache", "itself"])
def test_cifar10_in_every_place(tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    root = {"local": Path("data"), "cache": user_cache()}.get(where, tmp_path / "d")
    images = write_cifar10(root if where == "itself" else root / "cifar-10-batches-py")
    if where == "environment":
        monkeypatch.setenv("NASLIB_DATA", str(root))
    data = load_data("cifar10", data_dir=root if where in ("argument", "itself") else None)
    assert np.array_equal(memory(data.train).images.numpy(), images[:50])
    assert np.array_equal(memory(data.test).images.numpy(), images[50:])
    assert data.info.class_names[3] == "cat" and data.info.cutout_max == 16


def test_cifar100(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    images = RNG.integers(0, 256, (200, 3072), dtype=np.uint8)
    for file, part in (("train", images[:100]), ("test", images[100:])):
        content = {"data": part, "fine_labels": list(range(100)), "coarse_labels": [0] * 100}
        (folder / file).write_bytes(pickle.dumps(content, protocol=2))
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": [f"c{i}" for i in range(100)]}))
    data = load_data("cifar100", data_dir=tmp_path)
    assert data.info.num_classes == 100 and data.info.class_names[99] == "c99"
    assert np.array_equal(memory(data.test).images.numpy().reshape(100, -1), images[100:])


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit",))


def test_pickles_execute_nothing(tmp_path: Path) -> None:
    write_cifar10(tmp_path / "cifar-10-batches-py")
    (tmp_path / "cifar-10-batches-py" / "test_batch").write_bytes(pickle.dumps({"data": Bomb()}))
    with pytest.raises(DataError, match=r"builtins\.exec"):
        load_data("cifar10", data_dir=tmp_path)
    (tmp_path / "cifar-10-batches-py" / "test_batch").write_bytes(b"damaged")
    with pytest.raises(DataError, match="test_batch"):
        load_data("cifar10", data_dir=tmp_path)
    (tmp_path / "cifar-10-batches-py" / "data_batch_2").write_bytes(b"damaged too")
    with pytest.raises(DataError, match=r"2 of 6 files cannot be read:\n.*data_batch_2.*\n.*test_batch"):
        load_data("cifar10", data_dir=tmp_path)


def write_jpegs(folder: Path, n: int = 20, damaged: tuple[int, ...] = ()) -> list[np.ndarray]:
    """Write the compact form: a common header, then the rest of each file."""
    files = []
    for _ in range(n):
        stream = io.BytesIO()
        image = Image.fromarray(RNG.integers(0, 256, (4, 4, 3), dtype=np.uint8)).resize((32, 32))
        image.save(stream, "JPEG", quality=75)
        files.append(stream.getvalue())
    header = files[0][:300]
    assert all(file.startswith(header) for file in files)
    rest = [file[300:320] if index in damaged else file[300:] for index, file in enumerate(files)]
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(
        folder / "cifar10_jpeg_full.npz",
        header=np.frombuffer(header, np.uint8),
        data=np.frombuffer(b"".join(rest), np.uint8),
        offset=np.cumsum([0, *map(len, rest)]).astype(np.uint32),
        label=(np.arange(n) % 10).astype(np.uint8),
        is_test=np.arange(n) % 4 == 1,
        classes=np.array([str(i) for i in range(10)]),
    )
    return [np.asarray(Image.open(io.BytesIO(file))).transpose(2, 0, 1) for file in files]


@pytest.mark.parametrize("read_only", [False, True])
def test_jpegs_are_decoded_once(tmp_path: Path, read_only: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "d"
    images = write_jpegs(folder)
    if read_only:
        folder.chmod(0o555)
    try:
        data = load_data("cifar10", data_dir=folder)
        assert np.array_equal(
            memory(data.train).images.numpy(), [image for i, image in enumerate(images) if i % 4 != 1]
        )
        assert data.test.label_array.tolist() == [1, 5, 9, 3, 7]
        assert len(list(user_cache().iterdir())) == 1
        assert not (folder / "naslib-cache").exists()  # the data folder is the user's
        monkeypatch.setattr(cifar_jpeg, "_decode_all", None)  # a second decoding would fail
        again = load_data("cifar10", data_dir=folder)
        assert torch.equal(memory(again.train).images, memory(data.train).images)
    finally:
        folder.chmod(0o755)


def test_a_cache_of_an_earlier_version_is_still_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "d"
    write_jpegs(folder)
    data = load_data("cifar10", data_dir=folder)
    (cache,) = user_cache().iterdir()
    (folder / "naslib-cache").mkdir()
    cache.rename(folder / "naslib-cache" / cache.name)
    monkeypatch.setattr(cifar_jpeg, "_decode_all", None)
    assert torch.equal(memory(load_data("cifar10", data_dir=folder).test).images, memory(data.test).images)


def test_every_damaged_jpeg_is_named(tmp_path: Path) -> None:
    write_jpegs(tmp_path / "d", damaged=(3, 11, 13))
    with pytest.raises(DataError, match=r"3 of 20 images in .*cifar10_jpeg_full.npz cannot be read") as caught:
        load_data("cifar10", data_dir=tmp_path / "d")
    for part in ("image 3 ", "image 11 ", "image 13 "):
        assert part in str(caught.value)
    assert not user_cache().exists()


def test_damaged_cache_and_file(tmp_path: Path) -> None:
    write_jpegs(tmp_path / "d")
    data = load_data("cifar10", data_dir=tmp_path / "d")
    (cache,) = user_cache().iterdir()
    cache.write_bytes(cache.read_bytes()[:1000])
    assert torch.equal(memory(load_data("cifar10", data_dir=tmp_path / "d").train).images, memory(data.train).images)
    (tmp_path / "d" / "cifar10_jpeg_full.npz").write_bytes(b"PK damaged")
    with pytest.raises(DataError, match="fetch it again"):
        load_data("cifar10", data_dir=tmp_path / "d")


def test_svhn(tmp_path: Path) -> None:
    from scipy.io import savemat

    x = RNG.integers(0, 256, (32, 32, 3, 20), dtype=np.uint8)
    y = (np.arange(20) % 10 + 1)[:, None]
    for split in ("train", "test"):
        savemat(tmp_path / f"{split}_32x32.mat", {"X": x, "y": y})
    data = load_data("svhn", data_dir=tmp_path)
    assert np.array_equal(memory(data.train).images[4].numpy(), x[:, :, :, 4].transpose(2, 0, 1))
    assert data.train.label_array[:10].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]
    assert not data.info.flip
    (tmp_path / "test_32x32.mat").write_bytes(b"damaged")
    with pytest.raises(DataError, match="test_32x32"):
        load_data("svhn", data_dir=tmp_path)


def test_imagenet16_120(tmp_path: Path) -> None:
    folder = tmp_path / "ImageNet16"
    folder.mkdir()
    kept = []
    for file in [*(f"train_data_batch_{i}" for i in range(1, 11)), "val_data"]:
        data = RNG.integers(0, 256, (6, 768), dtype=np.uint8)
        content = {"data": data, "labels": [1, 120, 121, 1000, 60, 2], "mean": np.zeros(768)}
        (folder / file).write_bytes(pickle.dumps(content, protocol=2))
        kept.append(data[[0, 1, 4, 5]])
    result = load_data("ImageNet16-120", data_dir=tmp_path)
    assert result.info.num_classes == 120 and result.info.image_size == 16 and result.info.crop_padding == 2
    assert result.train.label_array.tolist() == [0, 119, 59, 1] * 10
    assert np.array_equal(memory(result.test).images.numpy().reshape(4, -1), kept[-1])
    (folder / "val_data").unlink()
    with pytest.raises(DatasetMissing, match="train_data_batch_1 to 10"):
        load_data("imagenet16-120", data_dir=tmp_path)


def no_network(*args: Any, **kwargs: Any) -> None:
    raise urllib.error.URLError("no network")


@pytest.mark.parametrize(
    ("name", "source", "hint"),
    [
        ("mnist", "MNIST", r"-ubyte\.gz"),
        ("fashion_mnist", "FashionMNIST", "dataset-fashion-mnist"),
        ("cifar10", "CIFAR10", "cifar-10-python.tar.gz"),
        ("cifar100", "CIFAR100", "cifar-100-python.tar.gz"),
        ("svhn", "SVHN", "train_32x32.mat"),
    ],
)
def test_missing_says_what_to_do(
    tmp_path: Path, name: str, source: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from naslib.data.sets import mnist

    monkeypatch.setattr(torchvision.datasets, source, no_network)
    monkeypatch.setattr(mnist, "_DEBIAN_FASHION", tmp_path / "not installed")
    with pytest.raises(DatasetMissing, match=hint) as caught:
        load_data(name, data_dir=tmp_path / "d")
    for part in (str(tmp_path / "d"), "no network", "NASLIB_DATA", "data:"):
        assert part in str(caught.value)


def test_download_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        torchvision.datasets, "CIFAR10", lambda root, train, download: write_cifar10(Path(root) / "cifar-10-batches-py")
    )
    assert len(load_data("cifar10", data_dir=tmp_path / "new").train) == 50
    monkeypatch.setattr(torchvision.datasets, "CIFAR10", no_network)
    assert len(load_data("cifar10", data_dir=tmp_path / "new").train) == 50


def test_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert user_cache() == tmp_path / "user-cache" / "naslib"
    assert data_directories() == [Path("data"), user_cache()]
    assert download_directory() == user_cache()
    Path("data").mkdir()
    assert download_directory() == Path("data")
    monkeypatch.setenv("NASLIB_DATA", str(tmp_path / "env"))
    assert data_directories("arg") == [Path("arg"), tmp_path / "env", Path("data"), user_cache()]
    assert download_directory("arg") == Path("arg")
    Path("arg").mkdir(mode=0o555)
    assert download_directory("arg") == tmp_path / "env"


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {}, "~/.cache/naslib"),
        ("darwin", {}, "~/Library/Caches/naslib"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/naslib"),
        ("win32", {}, "~/AppData/Local/naslib"),
        ("darwin", {"XDG_CACHE_HOME": "/xdg"}, "/xdg/naslib"),
        ("linux", {"XDG_CACHE_HOME": "/xdg", "NASLIB_CACHE": "~/own"}, "~/own"),
    ],
)
def test_user_cache(platform: str, environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", platform)
    for name in ("XDG_CACHE_HOME", "NASLIB_CACHE", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert user_cache() == Path(expected).expanduser()


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    images = write_jpegs(tmp_path / "d")
    user_cache().parent.mkdir()
    user_cache().write_text("a file where the folder should be")
    assert len(load_data("cifar10", data_dir=tmp_path / "d").train) == len(images) - 5
    assert "NASLIB_CACHE" in caplog.text


def save_npz(path: Path, **more: Any) -> tuple[np.ndarray, np.ndarray]:
    x, y = RNG.integers(0, 256, (50, 10, 10, 3), dtype=np.uint8), np.arange(50) % 5
    np.savez(path, **({"x": x, "y": y} | more))
    return x, y


def test_npz(tmp_path: Path) -> None:
    x, _ = save_npz(tmp_path / "own.npz")
    data = load_data(str(tmp_path / "own.npz"), flip=True)
    assert data.info.name == "own" and data.info.num_classes == 5 and data.info.flip
    assert len(data.train) == 40 and len(data.test) == 10
    by_argument = load_data("npz", data_dir=tmp_path, path="own.npz")
    assert torch.equal(memory(by_argument.train).images, memory(data.train).images)
    assert by_argument.train.label_array.tolist() == data.train.label_array.tolist()
    save_npz(tmp_path / "tested.npz", x_test=x[:7], y_test=np.arange(7) % 5, class_names=np.array(list("vwxyz")))
    tested = load_data("tested.npz", data_dir=tmp_path)
    assert len(tested.train) == 50 and len(tested.test) == 7 and tested.info.class_names == tuple("vwxyz")


def test_bad_npz(tmp_path: Path) -> None:
    with pytest.raises(DatasetMissing, match=r"no file at none\.npz"):
        load_data("none.npz")
    with pytest.raises(ConfigError, match="needs the path"):
        load_data("npz")
    np.savez(tmp_path / "keys.npz", X=np.zeros(3), labels=np.zeros(3))
    with pytest.raises(DataError, match=r"must hold x and y .* it holds X, labels; did you mean 'X'"):
        load_data(str(tmp_path / "keys.npz"))
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(DataError, match=r"cannot read .*text\.npz"):
        load_data(str(tmp_path / "text.npz"))
    np.savez(tmp_path / "objects.npz", x=np.array([{}], dtype=object), y=np.zeros(1))
    with pytest.raises(DataError, match=r"objects\.npz"):
        load_data(str(tmp_path / "objects.npz"))
    np.save(tmp_path / "single.npy", np.zeros(3))
    (tmp_path / "single.npy").rename(tmp_path / "single.npz")
    with pytest.raises(DataError, match=r"single\.npz"):
        load_data(str(tmp_path / "single.npz"))


def write_folder(root: Path, classes: str = "abc", n: int = 10, size: tuple[int, int] = (12, 12)) -> None:
    for name in classes:
        (root / name).mkdir(parents=True)
        for number in range(n):
            pixels = RNG.integers(0, 256, (*size, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")


def test_imagefolder_in_one_folder(tmp_path: Path) -> None:
    write_folder(tmp_path / "p")
    data = load_data("imagefolder", path=str(tmp_path / "p"))
    assert data.info.class_names == ("a", "b", "c") and data.info.image_size == 12
    assert torch.bincount(data.test.labels).tolist() == [2, 2, 2] and len(data.train) == 24
    first = np.asarray(Image.open(tmp_path / "p" / "a" / "0.png")).transpose(2, 0, 1)
    stored = [*memory(data.train).images.numpy(), *memory(data.test).images.numpy()]
    assert any(np.array_equal(first, image) for image in stored)
    grey = load_data(str(tmp_path / "p"), channels=1, image_size=8)
    assert memory(grey.train).images.shape == (24, 1, 8, 8)


def test_imagefolder_with_parts(tmp_path: Path) -> None:
    write_folder(tmp_path / "p" / "train", n=6)
    write_folder(tmp_path / "p" / "val", "bc", n=2)
    data = load_data("imagefolder", data_dir=tmp_path / "p")
    assert len(data.train) == 18 and data.test.label_array.tolist() == [1, 1, 2, 2]
    write_folder(tmp_path / "p" / "test", "bd", n=2)
    with pytest.raises(DataError, match=r"has classes that .* lacks: d"):
        load_data("imagefolder", data_dir=tmp_path / "p")


def test_large_images_are_streamed(tmp_path: Path) -> None:
    write_folder(tmp_path / "p", "ab", n=5, size=(100, 120))
    data = load_data("imagefolder", path=str(tmp_path / "p"))
    assert data.info.image_size == 100 and data.info.resized_crop and data.info.resize == 114
    assert not isinstance(data.train, ImageSet)
    assert data.train.load(0).shape == (100, 100, 3)
    inside = load_data("imagefolder", path=str(tmp_path / "p"), in_memory=True)
    assert isinstance(inside, ImageData) and isinstance(inside.train, ImageSet) and not inside.info.resized_crop


def test_bad_imagefolder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="not a folder of class folders"):
        load_data("imagefolder", path=str(tmp_path / "empty"))
    with pytest.raises(DatasetMissing, match="no folder of images"):
        load_data("imagefolder", path=str(tmp_path / "none"))
    write_folder(tmp_path / "one", "a")
    with pytest.raises(DataError, match="1 class"):
        load_data("imagefolder", path=str(tmp_path / "one"))
    with pytest.raises(DataError, match="channels must be 1 or 3"):
        load_data("imagefolder", path=str(tmp_path / "one"), channels=2)


@pytest.mark.skipif(
    not Path("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz").exists(),
    reason="Debian's dataset-fashion-mnist is not installed",
)
def test_real_fashion_mnist() -> None:
    from naslib.data.image_data import channel_statistics

    data = load_data("fashion_mnist")
    assert np.bincount(data.train.label_array).tolist() == [6000] * 10
    assert np.bincount(data.test.label_array).tolist() == [1000] * 10
    mean, std = channel_statistics(memory(data.train).images)
    assert round(mean[0], 4) == data.info.mean[0] and round(std[0], 4) == data.info.std[0]


@pytest.mark.slow
@pytest.mark.skipif(not JPEGS.exists(), reason="the compact CIFAR-10 is not there")
def test_real_cifar10() -> None:
    from naslib.data.image_data import channel_statistics

    data = load_data("cifar10", data_dir=JPEGS.parent)
    assert np.bincount(data.train.label_array).tolist() == [5000] * 10
    assert np.bincount(data.test.label_array).tolist() == [1000] * 10
    mean, std = channel_statistics(memory(data.train).images)
    np.testing.assert_allclose(mean, data.info.mean, rtol=0, atol=1e-3)
    np.testing.assert_allclose(std, data.info.std, rtol=0, atol=3e-3)  # JPEG takes a little contrast
