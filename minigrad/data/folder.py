"""Image files in a folder: MiniPlaces' layout (lists), or one folder for each class."""

import codecs
import io
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from minigrad.data.dataset import ImageDataset, balanced_selection
from minigrad.data.decode import check_image, read_rgb
from minigrad.errors import DataError

# The mean and the standard deviation of ImageNet, the usual ones for photographs; RECIPE: MiniPlaces too.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
IMAGE_SIZE = 128
EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")  # those of torchvision
# What systems and programs leave in folders of their own accord, beside what begins with a dot; in lower case.
OF_SYSTEMS = {
    "__macosx", "__pycache__", "lost+found", "system volume information", "$recycle.bin", "recycler", "thumbs.db", "desktop.ini",
    "@eadir", "@tmp", "@recycle", "@recently-snapshot", "#recycle", "#snapshot",
}  # fmt: skip
MOST_NAMES = 8  # of what was left out, in a line


class FolderDataset(ImageDataset):
    """Image files, decoded when they are asked for; grey ones become RGB: `minigrad.data.decode` says how, and what not.

    Augmentation and evaluation transform are MiniPlaces': see `minigrad.data.transforms`.

    Args:
        files: the images' paths.
        origins: where each image is listed ("val.txt, line 7: "), to stand before an error about it; None: no lists.
    """

    def __init__(
        self,
        name: str,
        classes: list[str],
        files: list[str],
        labels: npt.NDArray[np.int64],
        origins: list[str] | None,
        image_size: int | None = None,
    ) -> None:
        super().__init__(name, classes, labels, 3, image_size or IMAGE_SIZE, MEAN, STD)
        self.files = files
        self._origins = origins

    def load(self, index: int, rng: np.random.Generator | None) -> npt.NDArray[np.uint8]:
        from minigrad.data import transforms

        try:
            image = read_rgb(self.files[index])
        except DataError as error:
            raise DataError(f"{self._origin(index)}{error}") from error
        if rng is None:
            return np.asarray(transforms.eval_transform(image, self.image_size))
        return np.asarray(transforms.train_transform(image, self.image_size, rng))

    def faults(self, indices: Iterable[int]) -> list[str]:
        """A line for each of those images that `load` would refuse, as far as `decode.check_image` sees; safe in threads."""
        found = []
        for index in indices:
            try:
                check_image(self.files[index])
            except DataError as error:
                found.append(f"{self._origin(index)}{error}")
        return found

    def _origin(self, index: int) -> str:
        return self._origins[index] if self._origins is not None else ""


def open_folder(root: Path, split: str, image_size: int | None, limit: int | None) -> FolderDataset:
    """The images of one split ("train" or "val") in a folder.

    With lists: `train.txt` and `val.txt`, in the folder or in its `data` folder, lines "path label", paths relative to
    the `images` folder beside the lists (or in the folder itself); `categories.txt`, if there, has lines "name label".
    Without: `train/<class>/...` and `val/<class>/...`, classes in alphabetical order. What is hidden (`.ipynb_checkpoints`,
    `._1.jpg`), a system's own (`@eaDir`, `__MACOSX`, `lost+found`), or no image by its ending is left out: a line says so.

    Lists are UTF-8, with or without a byte-order mark, or UTF-16 with one; a name may stand in double quotes.

    Raises:
        DataError: the folder does not exist or has neither layout; a list is empty, or a line of it has no label, one
            that is no integer or out of range, or a file that does not exist; a class folder is empty or unknown.
    """
    if not root.is_dir():
        raise DataError(f"{root} {'is not a folder' if root.exists() else 'does not exist'}: it should hold the images")
    name = root.resolve().name or "folder"
    for lists in (root, root / "data"):
        if (lists / "train.txt").is_file() or (lists / "val.txt").is_file():
            classes, files, labels, origins = _read_lists(root, lists, split)
            break
    else:
        if not (root / "train").is_dir() and not (root / "val").is_dir():
            raise DataError(
                f"{root} has neither lists (train.txt and val.txt, with the images in images/) nor class folders "
                f"(train/<class>/ and val/<class>/){_meant(root)}"
            )
        classes, files, labels = _read_class_folders(root, split)
        origins = None
    chosen = balanced_selection(labels, limit)
    return FolderDataset(
        name,
        classes,
        [files[i] for i in chosen],
        labels[chosen],
        [origins[i] for i in chosen] if origins is not None else None,
        image_size,
    )


def _read_lists(root: Path, lists: Path, split: str) -> tuple[list[str], list[str], npt.NDArray[np.int64], list[str]]:
    """(classes, files, labels, origins) of a split in MiniPlaces' layout."""
    images = lists / "images" if (lists / "images").is_dir() else root / "images"
    if not images.is_dir():
        raise DataError(f"the lists in {lists} name files in {lists / 'images'}, which does not exist")
    if (lists / "categories.txt").is_file():
        classes = _read_categories(lists / "categories.txt")
        known = f"categories.txt has the labels 0 to {len(classes) - 1}"
    else:
        # Without names, the training list says which classes there are.
        entries = _read_list(lists / "train.txt")
        for line, _, label in entries:
            if not 0 <= label < len(entries):
                raise _bad_label(lists / "train.txt", line, label, f"{len(entries)} images have fewer classes")
        classes = [str(label) for label in range(1 + max(label for _, _, label in entries))]
        known = f"train.txt has the labels 0 to {len(classes) - 1}"
    listing = lists / f"{split}.txt"
    entries = _read_list(listing)
    for line, _, label in entries:
        if not 0 <= label < len(classes):
            raise _bad_label(listing, line, label, known)
    files = [os.path.join(images, path) for _, path, _ in entries]
    origins = [f"{listing}, line {line}: " for line, _, _ in entries]
    _check_presence(files, origins)
    return classes, files, np.array([label for _, _, label in entries], np.int64), origins


def _meant(root: Path) -> str:
    """ ": did you mean PATH?", for the folder above or below that is laid out as a data set; lists go before class folders."""
    here = root.resolve()
    with suppress(OSError):
        near = [here.parent, here.parent.parent, *sorted(path for path in here.iterdir() if path.is_dir())]
        for is_meant in (_has_lists, _has_splits):
            for folder in near:
                if is_meant(folder):
                    return f"; did you mean {folder}?"
    return ""


def _has_lists(folder: Path) -> bool:
    return any((place / "train.txt").is_file() and (place / "val.txt").is_file() for place in (folder, folder / "data"))


def _has_splits(folder: Path) -> bool:
    return (folder / "train").is_dir() and (folder / "val").is_dir()


def _bad_label(listing: Path, line: int, label: int, known: str) -> DataError:
    return DataError(f"{listing}, line {line}: label {label} is out of range: {known}")


def _read_list(listing: Path) -> list[tuple[int, str, int]]:
    """(line number, name, label) for each line "name label" that is not blank."""
    try:
        content = listing.read_bytes()
        wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = content.decode("utf-16" if wide else "utf-8")
    except FileNotFoundError:
        raise DataError(f"{listing} does not exist: it should have a line 'path label' for each image") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{listing} cannot be read: {error}; lists are UTF-8") from None
    if "\0" in text:
        raise DataError(f"{listing} cannot be read: it is no text in UTF-8")
    entries = []
    # Marks stand where lists were put together, too, not only at the beginning.
    for number, line in enumerate(io.StringIO(text.replace("\ufeff", ""), newline=None), start=1):
        if not line.strip():
            continue
        words = line.rsplit(maxsplit=1)
        if len(words) < 2:
            raise DataError(f"{listing}, line {number}: no label after {line.strip()!r}: a line should be 'name label'")
        try:
            name = words[0].strip()
            quoted = len(name) > 2 and name[0] == name[-1] == '"'
            entries.append((number, name[1:-1] if quoted else name, int(words[1])))
        except ValueError:
            raise DataError(f"{listing}, line {number}: label {words[1]!r} is no integer") from None
    if not entries:
        raise DataError(f"{listing} is empty: it should have a line 'name label' for each entry")
    return entries


def _read_categories(listing: Path) -> list[str]:
    """The classes' names in the order of their labels; MiniPlaces' "/a/abbey" is "abbey"."""
    entries = _read_list(listing)
    names: dict[int, str] = {}
    for line, name, label in entries:
        if label in names or not 0 <= label < len(entries):
            raise _bad_label(listing, line, label, f"the classes' labels are 0 to {len(entries) - 1}, once each")
        names[label] = name[3:] if len(name) > 3 and name[0] == name[2] == "/" else name
    return [names[label] for label in range(len(names))]


def _check_presence(files: list[str], origins: list[str]) -> None:
    """Raise DataError for the first file that does not exist. One look at each directory, not at each file."""
    present: dict[str, set[str]] = {}
    for file, origin in zip(files, origins, strict=True):
        directory, name = os.path.split(file)
        if directory not in present:
            present[directory] = set(os.listdir(directory)) if os.path.isdir(directory) else set()
        if name not in present[directory]:
            raise DataError(f"{origin}{file} does not exist")


def _read_class_folders(root: Path, split: str) -> tuple[list[str], list[str], npt.NDArray[np.int64]]:
    """(classes, files, labels) of a split in the layout with a folder for each class."""
    for folder in (root / "train", root / split):
        if not folder.is_dir():
            raise DataError(f"{folder} does not exist: it should hold a folder of images for each class{_meant(root)}")
    classes = _kept(_subfolders(root / "train"))
    if not classes:
        raise DataError(
            f"{root / 'train'} has no class folders: it should hold a folder of images for each class{_meant(root)}"
        )
    for name in _kept(_subfolders(root / split)):
        if name not in classes:
            raise DataError(f"{root / split / name} is of no known class: there is no {root / 'train' / name}")
    files: list[str] = []
    labels: list[int] = []
    left_out = [name for name in _subfolders(root / split) if _is_junk(name)]
    left_out += [entry.name for entry in os.scandir(root / split) if not entry.is_dir()]
    for label, name in enumerate(classes):
        images = _image_files(root / split / name, left_out)
        if split == "train" and not images:
            raise DataError(f"{root / split / name} holds no images ({', '.join(EXTENSIONS)}){_meant(root)}")
        files += images
        labels += [label] * len(images)
    if not files:
        raise DataError(f"{root / split} holds no images ({', '.join(EXTENSIONS)}){_meant(root)}")
    if left_out:
        counts = Counter(left_out).most_common()
        some = [f"{name} ({count} times)" if count > 1 else name for name, count in counts[:MOST_NAMES]]
        print(f"left out of {root / split}: {', '.join(some)}{', ...' if len(counts) > MOST_NAMES else ''}")
    return classes, files, np.array(labels, np.int64)


def _subfolders(folder: Path) -> list[str]:
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())


def _is_junk(name: str) -> bool:
    """Whether a file or folder is hidden, or a system's own."""
    return name.startswith(".") or name.lower() in OF_SYSTEMS


def _kept(names: Sequence[str]) -> list[str]:
    return [name for name in names if not _is_junk(name)]


def _image_files(folder: Path, left_out: list[str]) -> list[str]:
    """All image files below the folder, sorted. The names of what is no such file, or not the user's, go to `left_out`."""
    found = []
    for directory, folders, names in os.walk(folder, followlinks=True):
        left_out += [name for name in (*folders, *names) if _is_junk(name)]
        folders[:] = _kept(folders)
        names = _kept(names)
        left_out += [f"*{os.path.splitext(name)[1]}" for name in names if not name.lower().endswith(EXTENSIONS)]
        found += [os.path.join(directory, name) for name in names if name.lower().endswith(EXTENSIONS)]
    return sorted(found)
