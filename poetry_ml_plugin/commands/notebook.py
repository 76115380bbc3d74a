"""`poetry ml notebook`: JupyterLab on the project, with its own environment as the kernel."""

from __future__ import annotations

import os

from poetry_ml_plugin.commands.base.libraries import provide
from poetry_ml_plugin.commands.base.verb import Verb, installed
from poetry_ml_plugin.host import venv
from poetry_ml_plugin.project import notebooks, pyproject


class Notebook(Verb):
    name = "ml notebook"
    description = "Opens JupyterLab with the project's environment as its kernel."
    help = """\
JupyterLab runs from the project's own environment, and no kernel is registered outside it. Its options
go after --:

    <c1>poetry ml notebook</c1>
    <c1>poetry ml notebook -- --no-browser --port 9000</c1>

Libraries that are missing are added after a question; --yes agrees.
"""

    def act(self) -> int:
        project = pyproject.find(self.folder)
        env = installed(self, project)
        words = self._rest()
        provide(self, project.root, "lab", "--yes" in words)
        os.environ.update(notebooks.OWN_KERNEL)
        options = [
            f"--ServerApp.root_dir={project.root}",
            "--MultiKernelManager.default_kernel_name=python3",
            *(word for word in words if word not in ("--yes", "--")),
        ]
        return venv.execute(env.python, ["-m", "jupyterlab", *options])
