"""`poetry ml add`: files and libraries that a project may have, and does not by default."""

from __future__ import annotations

from cleo.helpers import argument, option

from poetry_ml_plugin.commands.base.command import MLCommand, escape
from poetry_ml_plugin.errors import MLError
from poetry_ml_plugin.project import libraries, pyproject, torch
from poetry_ml_plugin.template import extras

TORCH = "torch"
WORDS = {
    **extras.EXTRAS,
    TORCH: "PyTorch for the training: --cpu, or --cuda cu126",
    **{name: use.summary for name, use in libraries.LIBRARIES.items()},
}


class Add(MLCommand):
    name = "ml add"
    description = f"Adds {', '.join(WORDS)} to the project."
    arguments = [argument("what", ", ".join(WORDS))]  # noqa: RUF012
    options = [  # noqa: RUF012
        option("cpu", None, "With torch: the build without CUDA."),
        option(
            "cuda", None, "With torch: the build for a version of CUDA, like cu126.", flag=False
        ),
    ]
    help = "\n".join(f"  <c1>{name:<13}</c1> {what}" for name, what in WORDS.items())

    def act(self) -> int:
        project = pyproject.find(self.folder)
        cpu, cuda = bool(self.option("cpu")), self.option("cuda")
        if self.argument("what") == TORCH:
            return self._add_torch(project, torch.build(cpu, cuda))
        if cpu or cuda:
            raise MLError("--cpu and --cuda go with torch: poetry ml add torch --cpu")
        if (name := self.argument("what")) in libraries.LIBRARIES:
            libraries.add(project.root, name)
            use = libraries.LIBRARIES[name]
            self.line(f"  <info>added</info> {escape(', '.join(use.requirements))} to {use.group}")
            return 0
        if name not in WORDS:
            raise MLError(f'Cannot add "{name}". Choose from: {", ".join(WORDS)}.')
        files = extras.plan(project, name)
        extras.write(files)
        for path in files:
            self.line(f"  <info>added</info> {escape(str(path))}")
        return 0

    def _add_torch(self, project: pyproject.Project, build: str) -> int:
        torch.add(project.root, build)
        self.line(f"  <info>added</info> torch ({build}) to the group {torch.GROUP}")
        self.line("")
        self.line("Next:")
        self.line("  <c1>poetry lock</c1>")
        self.line(f"  <c1>poetry install --with {torch.GROUP}</c1>")
        return 0
