"""`poetry ml data remote`: where data is sent to and brought from."""

from __future__ import annotations

from cleo.helpers import argument, option

from poetry_ml_plugin.commands.base.command import escape
from poetry_ml_plugin.commands.base.data import YES, DataCommand
from poetry_ml_plugin.commands.base.libraries import provide
from poetry_ml_plugin.data import dvc, remotes


class Remote(DataCommand):
    name = "ml data remote"
    description = "Sets the remote that data is kept at, or lists those there are."
    arguments = [  # noqa: RUF012
        argument("url", "s3://bucket/path, ssh://host/path, https://… or a folder.", optional=True),
    ]
    options = [  # noqa: RUF012
        option("name", None, "Its name.", flag=False, default="storage"),
        option(
            "endpoint-url", None, "The address of an S3 server other than Amazon's.", flag=False
        ),
        option("public", None, "Use it without credentials: a public one, to read from."),
        YES,
    ]
    help = """\
    <c1>poetry ml data remote s3://bucket/churn</c1>
    <c1>poetry ml data remote s3://bucket/churn --endpoint-url https://minio.example.org</c1>
    <c1>poetry ml data remote ssh://host/srv/churn</c1>
    <c1>poetry ml data remote https://example.org/churn --name public</c1>
    <c1>poetry ml data remote /mnt/data/churn</c1>

The address is committed in .dvc/config; credentials are not.
"""

    def act(self) -> int:
        root = self.project().root
        url = self.argument("url")
        if not url:
            return self._list(remotes.listed(root), remotes.default(root))
        if not dvc.is_set_up(root):
            dvc.set_up(root)
        name = self.option("name")
        remotes.add(root, name, url, self.option("endpoint-url") or "", self.option("public"))
        if use := remotes.needs(root, name):
            provide(self, root, use, bool(self.option("yes")))
        self.line(f"<success>Set</success> the remote {escape(name)} to {escape(url)}")
        self.line("Next: <c1>git add .dvc/config</c1>, then <c1>poetry ml data push</c1>")
        return 0

    def _list(self, known: dict[str, str], default: str) -> int:
        for name, url in known.items():
            self.line(f"{'*' if name == default else ' '} {escape(name)}  {escape(url)}")
        if not known:
            self.line("No remote is set. Set one with: <c1>poetry ml data remote URL</c1>")
        return 0
