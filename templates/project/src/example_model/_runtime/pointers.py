"""What stands in the place of a file that Git LFS or DVC keeps elsewhere, and how to get the file."""

from pathlib import Path

PULL = "Run: poetry ml data pull"
STARTS = {
    b"version https://git-lfs.github.com/spec/": ("a Git LFS pointer", "Run: git lfs pull"),
    b"outs:\n": ("a DVC pointer", PULL),
}


def told(content: bytes) -> str | None:
    """Say that the content of a file is a pointer, if it is one, and what to do."""
    for start, (kind, command) in STARTS.items():
        if content.startswith(start):
            return f"is {kind}, not the file itself. {command}"
    return None


def is_kept_by_dvc(path: Path, root: Path) -> bool:
    """Whether DVC keeps a file, or a folder that it is in."""
    places = (place for place in (path, *path.parents) if place.is_relative_to(root))
    return any(place.with_name(f"{place.name}.dvc").is_file() for place in places)


def fault(path: Path, root: Path) -> str | None:
    """Say why a path below a folder does not give the file itself, and what to do; None if it does."""
    if not path.exists():
        return f"is kept by DVC, and not here. {PULL}" if is_kept_by_dvc(path, root) else None
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return told(file.read(64))
