"""Folders of images: the layouts, and each thing that can be wrong with them, in one line that names it."""

import os
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from minigrad.data import DataLoader, FolderDataset, open_dataset, transforms
from minigrad.errors import DataError


@pytest.mark.parametrize("lists", [".", "data"])
def test_miniplaces_layout(miniplaces, lists):
    root = miniplaces(lists=lists)
    train, val = open_dataset(root, "train"), open_dataset(str(root), "val")
    assert (len(train), len(val)) == (12, 6)
    assert train.name == "places" and train.channels == 3 and train.image_size == 128
    assert train.classes == val.classes == ["0", "1", "2"]
    assert val.labels.tolist() == [0, 1, 2, 0, 1, 2] and val.labels.dtype == np.int64
    with Image.open(root / lists / "images/val/4.jpg") as file:
        expected = np.asarray(transforms.eval_transform(file.convert("RGB"), 128))
    np.testing.assert_array_equal(val.load(4, None), expected)
    assert open_dataset(root, "train", image_size=32).load(0, np.random.default_rng(0)).shape == (32, 32, 3)


def test_lists_in_data_with_images_beside_it(miniplaces):
    root = miniplaces(lists="data")
    (root / "data/images").rename(root / "images")
    assert open_dataset(root, "val").load(0, None).shape == (128, 128, 3)


def test_class_names_from_categories(miniplaces):
    root = miniplaces()
    (root / "categories.txt").write_text("/a/abbey 0\n/c/church/outdoor 1\nplain name 2\nunused 3\n")
    assert open_dataset(root, "val").classes == ["abbey", "church/outdoor", "plain name", "unused"]


def test_names_with_spaces_and_blank_lines(miniplaces):
    root = miniplaces()
    shutil.copy(root / "images/val/0.jpg", root / "images/val/two words.jpg")
    (root / "val.txt").write_bytes(b"\r\nval/two words.jpg 2\r\n\r\nval/1.jpg\t1\r\n\r\n")
    val = open_dataset(root, "val")
    assert val.labels.tolist() == [2, 1]
    assert isinstance(val, FolderDataset) and val.files[0].endswith("two words.jpg")


def test_limit(miniplaces):
    root = miniplaces()
    train = open_dataset(root, "train", limit=4)
    assert isinstance(train, FolderDataset)
    assert [os.path.basename(file) for file in train.files] == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    assert train.labels.tolist() == [0, 1, 2, 0]


@pytest.fixture
def class_folders(tmp_path, random_image):
    root = tmp_path / "pets"
    for split, count in [("train", 3), ("val", 2)]:
        for label, name in enumerate(["cat", "dog"]):
            folder = root / split / name / "deeper"
            folder.mkdir(parents=True)
            for i in range(count):
                random_image(label * 10 + i, 40, 30).save(folder / f"{i}.PNG")
            (folder / "notes.md").write_text("no image")
    return root


def test_class_folders(class_folders):
    train, val = open_dataset(class_folders, "train"), open_dataset(class_folders, "val")
    assert train.classes == val.classes == ["cat", "dog"]
    assert train.labels.tolist() == [0, 0, 0, 1, 1, 1] and val.labels.tolist() == [0, 0, 1, 1]
    assert train.name == "pets"
    with Image.open(class_folders / "val/dog/deeper/1.PNG") as file:
        np.testing.assert_array_equal(val.load(3, None), np.asarray(transforms.eval_transform(file, 128)))


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "CMYK"])
def test_other_modes_become_rgb(class_folders, mode, random_image):
    file = class_folders / "val/cat/deeper/0.tif"
    random_image(0, 40, 30).convert(mode).save(file)
    val = open_dataset(class_folders, "val")
    image = val.load(1, None)  # after 0.PNG
    assert isinstance(val, FolderDataset) and val.files[1] == str(file)
    assert image.shape == (128, 128, 3)
    if mode == "L":
        assert (image[..., 0] == image[..., 1]).all() and (image[..., 0] == image[..., 2]).all()
    assert val.load(1, np.random.default_rng(0)).shape == (128, 128, 3)


# What is done to the folder, the split that is opened, and what the one line must say.
BAD_LISTS = {
    "no label": ("val.txt", "val/0.jpg 0\nval/1.jpg\n", "val", r"val\.txt, line 2: no label after 'val/1.jpg'"),
    "label is a word": ("val.txt", "val/0.jpg one\n", "val", r"val\.txt, line 1: label 'one' is no integer"),
    "label is a fraction": ("val.txt", "\nval/0.jpg 1.0\n", "val", r"val\.txt, line 2: label '1.0' is no integer"),
    "label too large": ("val.txt", "val/0.jpg 3\n", "val", r"val\.txt, line 1: label 3 is out of range.*0 to 2"),
    "label negative": ("val.txt", "val/0.jpg -1\n", "val", r"val\.txt, line 1: label -1 is out of range"),
    "label absurd": (
        "train.txt",
        "val/0.jpg 99999999999\n",
        "train",
        r"train\.txt, line 1: label 99999999999 is out of",
    ),
    "training label negative": (
        "train.txt",
        "val/0.jpg -1\n",
        "train",
        r"train\.txt, line 1: label -1 is out of range",
    ),
    "empty": ("val.txt", "", "val", r"val\.txt is empty"),
    "blank": ("val.txt", "\n \n", "val", r"val\.txt is empty"),
    "missing file": (
        "val.txt",
        "val/0.jpg 0\nval/x.jpg 0\n",
        "val",
        r"val\.txt, line 2: .*images/val/x\.jpg does not exist",
    ),
    "missing directory": ("val.txt", "no/0.jpg 0\n", "val", r"val\.txt, line 1: .*images/no/0\.jpg does not exist"),
    "not text": ("val.txt", b"\xff\xfe\x00", "val", r"val\.txt cannot be read"),
    "categories without label": ("categories.txt", "/a/abbey\n", "val", r"categories\.txt, line 1: no label"),
    "categories twice": ("categories.txt", "a 0\nb 0\n", "val", r"categories\.txt, line 2: label 0 is out of range"),
    "categories with a gap": (
        "categories.txt",
        "a 0\nb 2\n",
        "val",
        r"categories\.txt, line 2: label 2 is out of range",
    ),
    "more labels than categories": (
        "categories.txt",
        "a 0\nb 1\n",
        "val",
        r"val\.txt, line 3: label 2 .*categories\.txt",
    ),
}


def one_line(caught) -> bool:
    return "\n" not in str(caught.value)


@pytest.mark.parametrize("case", BAD_LISTS)
def test_bad_lists(miniplaces, case):
    name, content, split, message = BAD_LISTS[case]
    root = miniplaces()
    (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message) as caught:
        open_dataset(root, split)
    assert one_line(caught)


def test_missing_list_and_missing_images(miniplaces):
    root = miniplaces()
    (root / "val.txt").unlink()
    with pytest.raises(DataError, match=r"val\.txt does not exist"):
        open_dataset(root, "val")
    shutil.rmtree(root / "images")
    with pytest.raises(DataError, match="images, which does not exist"):
        open_dataset(root, "train")


def test_bad_folders(tmp_path, class_folders):
    with pytest.raises(DataError, match="no folder .*nowhere"):
        open_dataset(tmp_path / "nowhere", "train")
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(DataError, match="file is not a folder"):
        open_dataset(file, "train")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty has neither lists .* nor class folders"):
        open_dataset(tmp_path / "empty", "train")
    (class_folders / "val/horse").mkdir()
    with pytest.raises(DataError, match="val/horse is of no known class"):
        open_dataset(class_folders, "val")
    (class_folders / "train/horse").mkdir()
    with pytest.raises(DataError, match="train/horse holds no images"):
        open_dataset(class_folders, "train")
    assert len(open_dataset(class_folders, "val")) == 4
    shutil.rmtree(class_folders / "val")
    with pytest.raises(DataError, match="val does not exist"):
        open_dataset(class_folders, "val")


def truncate(file):
    file.write_bytes(file.read_bytes()[:-300])


BROKEN_FILES = {
    "truncated": (truncate, "truncated"),
    "empty": (lambda file: file.write_bytes(b""), "is not an image"),
    "text": (lambda file: file.write_text("no image at all"), "is not an image"),
    "gone": (lambda file: file.unlink(), "does not exist"),
    "a bad png": (lambda file: file.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100)), "truncated|not an image"),
}


@pytest.mark.parametrize("case", BROKEN_FILES)
def test_broken_files_are_named_with_their_line(miniplaces, case):
    harm, message = BROKEN_FILES[case]
    root = miniplaces()
    val = open_dataset(root, "val")
    harm(root / "images/val/4.jpg")
    for rng in (None, np.random.default_rng(0)):
        with pytest.raises(DataError, match=rf"val\.txt, line 5: .*images/val/4\.jpg.*({message})") as caught:
            val.load(4, rng)
        assert one_line(caught)
    with pytest.raises(DataError, match="line 5"):
        list(DataLoader(val, 2, train=False).epoch(0))


def test_broken_files_without_lists_are_named(class_folders):
    val = open_dataset(class_folders, "val")
    (class_folders / "val/dog/deeper/0.PNG").write_text("no image")
    with pytest.raises(DataError, match=r"^/.*val/dog/deeper/0\.PNG is not an image$"):
        val.load(2, None)


def test_the_miniplaces_sample(sample):
    train, val = open_dataset(sample, "train"), open_dataset(sample, "val")
    assert (len(train), len(val)) == (2000, 1000)
    assert len(train.classes) == 100 and train.classes[0] == "abbey"
    np.testing.assert_array_equal(np.bincount(train.labels), [20] * 100)
    np.testing.assert_array_equal(np.bincount(open_dataset(sample, "val", limit=200).labels), [2] * 100)
    batch = next(DataLoader(train, 16, train=True, seed=1).epoch(0))
    assert batch.images.shape == (16, 128, 128, 3)


JUNK_FOLDERS = (".ipynb_checkpoints", "@eaDir", "__MACOSX", "lost+found", ".hidden", "$RECYCLE.BIN")
JUNK_FILES = ("._0.PNG", ".DS_Store", "Thumbs.db", ".0.png.swp")


def test_what_systems_leave_in_folders_is_left_out_and_said(class_folders, capsys):
    before = [open_dataset(class_folders, split) for split in ("train", "val")]
    capsys.readouterr()
    for place in [class_folders / s / d for s in ("train", "val") for d in (".", "cat", "cat/deeper")]:
        for name in JUNK_FOLDERS:
            (place / name).mkdir()
            shutil.copy(class_folders / "val/dog/deeper/0.PNG", place / name / "0-checkpoint.png")
        for name in JUNK_FILES:
            (place / name).write_bytes(b"\0\5\x16\7")
    for split, plain in zip(("train", "val"), before, strict=True):
        found = open_dataset(class_folders, split)
        assert (found.classes, found.files) == (plain.classes, plain.files)
        assert found.labels.tolist() == plain.labels.tolist()
        (line,) = capsys.readouterr().out.splitlines()
        assert line.startswith(f"left out of {class_folders / split}: ")
        assert all(f"{name} (3 times)" in line for name in (".ipynb_checkpoints", "@eaDir", "Thumbs.db"))


def test_files_of_other_kinds_are_said(class_folders, capsys):
    open_dataset(class_folders, "val")
    assert capsys.readouterr().out == f"left out of {class_folders / 'val'}: *.md (2 times)\n"


def test_a_hidden_folder_of_the_users_own_choice_is_read(class_folders):
    hidden = class_folders.rename(class_folders.parent / ".pets")
    assert len(open_dataset(hidden, "val")) == 4


def test_a_class_of_junk_alone_holds_no_images(class_folders):
    for file in (class_folders / "train/cat/deeper").iterdir():
        file.rename(file.with_name(f".{file.name}"))
    with pytest.raises(DataError, match="train/cat holds no images"):
        open_dataset(class_folders, "train")


ENCODINGS = {
    "a mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "utf-16": lambda text: text.encode("utf-16"),
    "utf-16, big end first": lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
    "marks within": lambda text: "".join(f"\ufeff{line}" for line in text.splitlines(keepends=True)).encode(),
    "a mark, Windows' ends, blanks": lambda text: b"\xef\xbb\xbf\r\n" + text.replace("\n", " \t\r\n\r\n").encode(),
    "old Macintosh's ends": lambda text: text.replace("\n", "\r").encode(),
    "quotes": lambda text: re.sub(r"^(.*) (\d)$", r'"\1" \2', text, flags=re.M).encode(),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_lists_as_editors_write_them(miniplaces, encoding):
    root = miniplaces()
    (root / "categories.txt").write_text("/c/café 0\nb 1\nc 2\n", encoding="utf-8")
    (root / "images/val/0.jpg").rename(root / "images/val/é\u2028 0.jpg")
    (root / "val.txt").write_text((root / "val.txt").read_text().replace("val/0.jpg", "val/é\u2028 0.jpg"), "utf-8")
    plain = open_dataset(root, "val"), open_dataset(root, "train")
    for name in ("train.txt", "val.txt", "categories.txt"):
        (root / name).write_bytes(ENCODINGS[encoding]((root / name).read_text("utf-8")))
    for expected, split in zip(plain, ("val", "train"), strict=True):
        found = open_dataset(root, split)
        assert (found.classes, found.files) == (expected.classes, expected.files)
        assert found.labels.tolist() == expected.labels.tolist()
    assert found.classes[0] == "café"


@pytest.mark.parametrize("content", ["é 0\n".encode("latin-1"), "a 0\n".encode("utf-16-le"), "a 0\n".encode("utf-32")])
def test_lists_in_other_encodings_are_refused_by_name(miniplaces, content):
    root = miniplaces()
    (root / "val.txt").write_bytes(content)
    with pytest.raises(DataError, match=r"val\.txt cannot be read: .*UTF-8") as caught:
        open_dataset(root, "val")
    assert one_line(caught)


def test_faults_names_each_bad_file_with_its_line(miniplaces):
    root = miniplaces()
    val = open_dataset(root, "val")
    assert val.faults(range(len(val))) == []
    truncate(root / "images/val/1.jpg")
    (root / "images/val/4.jpg").unlink()
    first, second = val.faults(range(len(val)))
    assert re.match(r".*val\.txt, line 2: .*images/val/1\.jpg is truncated or broken", first)
    assert re.match(r".*val\.txt, line 5: .*images/val/4\.jpg does not exist", second)
    assert val.faults(range(2, 4)) == []
