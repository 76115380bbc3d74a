"""What is known of an output: which parts are done, and how they become one."""

import shutil
from collections.abc import Sequence
from typing import BinaryIO, TypeVar

import msgspec

from ..errors import ProjectError
from . import parts, places
from .places import place
from .plan import Output, Plan, differences
from .score import RECORDS, Outcome, record_name, rejected_name
from .writers import join_parquet, packed

PLAN = "plan.json"
Known = TypeVar("Known")


class Records:
    """The records of one output, below its folder: a part is done when it has one."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._folder = places.join(output.folder, RECORDS)

    def begin(self, plan: Plan, force: bool) -> dict[int, Outcome]:
        """Take up what was begun, or begin: the outcomes of parts that are done.

        Raises ProjectError where something else is there.
        """
        if force:
            self._clear()
        content = places.read(places.join(self._folder, PLAN))
        if content is None:
            self._check_free(plan)
            places.write(places.join(self._folder, PLAN), msgspec.json.encode(plan))
            return {}
        self.sweep()
        before = _decoded(content, Plan)
        if before is None or (changed := differences(plan, before)):
            what = f"{', '.join(changed)} changed" if before else "that was another version"
            raise ProjectError(
                f"{self._output.url} was begun, and since then {what}. --force begins anew."
            )
        return dict(self._done(plan))

    def sweep(self) -> None:
        """Remove what processes that were ended have left of files that they wrote."""
        for url in {self._output.url, self._output.folder}:
            place(url).sweep(url)

    def _done(self, plan: Plan) -> list[tuple[int, Outcome]]:
        there = {file.name for file in _listed(self._output.folder)}
        records = {file.name for file in _listed(self._folder)}
        found = []
        for part in plan.parts:
            if part.output in there and record_name(part.number) in records:
                content = places.read(places.join(self._folder, record_name(part.number))) or b""
                if outcome := _decoded(content, Outcome):
                    found.append((part.number, outcome))
        return found

    def _check_free(self, plan: Plan) -> None:
        there = {file.name for file in _listed(self._output.folder)}
        taken = [part.output for part in plan.parts if part.output in there]
        urls = [places.join(self._output.folder, name) for name in taken]
        if self._output.make and _exists(self._output.url):
            urls = [self._output.url]
        if urls:
            raise ProjectError(f"{urls[0]} is there already. --force replaces it.")

    def _clear(self) -> None:
        content = places.read(places.join(self._folder, PLAN))
        before = _decoded(content or b"", Plan)
        # The records go first: an output without one counts for nothing.
        place(self._folder).remove_folder(self._folder)
        for part in before.parts if before else ():
            url = places.join(self._output.folder, part.output)
            place(url).remove(url)
        if self._output.make:
            place(self._output.url).remove_folder(self._output.folder)
            place(self._output.url).remove(self._output.url)
        place(self._output.rejected).remove(self._output.rejected)

    def finish(self, plan: Plan, outcomes: Sequence[Outcome]) -> None:
        """Write what is made of all parts: the one file, and the rows that were left out."""
        rejected = [each.number for each in outcomes if each.rejected]
        if rejected:
            with place(self._output.rejected).writing(self._output.rejected) as file:
                for number in sorted(rejected):
                    url = places.join(self._folder, rejected_name(number))
                    with place(url).open(url) as said:
                        shutil.copyfileobj(said, file)
        else:
            place(self._output.rejected).remove(self._output.rejected)
        if self._output.make:
            self._join(plan, {each.number for each in outcomes if each.rows})
            place(self._output.folder).remove_folder(self._output.folder)

    def _join(self, plan: Plan, filled: set[int]) -> None:
        made = parts.made(self._output.url.partition("?")[0])
        chosen = [part for part in plan.parts if part.number in filled] or list(plan.parts[:1])
        urls = [places.join(self._output.folder, part.output) for part in chosen]
        home = place(self._output.url)
        with home.writing(self._output.url) as file, packed(file, made.codec) as pack:
            if made.kind == "parquet":
                join_parquet(urls, pack)
            else:
                _join_text(urls, pack, has_header=made.kind == "csv")


def _join_text(urls: Sequence[str], file: BinaryIO, has_header: bool) -> None:
    header = b""
    for url in urls:
        with place(url).open(url) as opened:
            part = parts.buffered(opened)
            first = parts.csv_head(part) if has_header else b""
            if header and first != header:
                raise ProjectError(
                    f"The columns of {url} are others than of {urls[0]}: they cannot be one file. "
                    "Choose some with --keep, or name a folder."
                )
            file.write(b"" if header else first)
            header = first
            shutil.copyfileobj(part, file)


def _listed(folder: str) -> list[places.File]:
    try:
        return place(folder).files(folder)
    except FileNotFoundError:
        return []


def _exists(url: str) -> bool:
    return bool(_listed(url))


def _decoded(content: bytes, kind: type[Known]) -> Known | None:
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.DecodeError:
        return None
