"""`poetry ml data add`: files that DVC keeps from here on, and git by their hashes."""

from __future__ import annotations

from pathlib import Path

from cleo.helpers import argument

from poetry_ml_plugin.commands.base.command import escape
from poetry_ml_plugin.commands.base.data import YES, DataCommand
from poetry_ml_plugin.data import adding, dvc
from poetry_ml_plugin.host import platforms


class Add(DataCommand):
    name = "ml data add"
    description = "Has DVC keep files, and git their hashes."
    arguments = [argument("paths", "Files or folders.", multiple=True)]  # noqa: RUF012
    options = [YES]  # noqa: RUF012
    help = """\
    <c1>poetry ml data add data/raw/customers.parquet</c1>

Needs a git repository. The first time it sets DVC up.
"""

    def act(self) -> int:
        root = self.project().root
        paths = [
            (self.folder / Path(word).expanduser()).absolute() for word in self.argument("paths")
        ]
        adding.check(root, paths)
        if not dvc.is_set_up(root):
            dvc.set_up(root)
        for path in paths:
            if advice := adding.advice(path):
                self.line_error(f"<comment>{escape(advice)}</comment>")
            dvc.ask(root, "add", "--quiet", str(path))
        made = [
            platforms.quoted(str(platforms.relative(path, self.folder)))
            for path in adding.written(root, paths)
        ]
        self.line(f"<success>Added</success> {escape(', '.join(self.argument('paths')))}")
        self.line(
            f"Next: <c1>git add {escape(' '.join(made))}</c1>, then <c1>poetry ml data push</c1>"
        )
        return 0
