"""An estimate of what the locked packages take in a slug, which is for Linux on x86-64 wherever it is made."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poetry.utils.env import Env

    from poetry_ml_plugin.project.lock import Package

MB = 1_000_000
SHRINKS_TO = 0.4  # what compression leaves of installed packages, in our experience

# Wheels for Linux in MB, rounded, of what is far smaller or not there at all on a Mac or on Windows.
HEAVY = {
    "cupy-cuda12x": 110,
    "cupy-cuda13x": 70,
    "jax-cuda12-pjrt": 120,
    "onnxruntime-gpu": 300,
    "pyspark": 430,
    "tensorflow": 620,
    "tensorflow-cpu": 260,
    "torch": 880,
    "triton": 170,
    "xgboost": 120,
}
TORCH_ON_CPU = 190
NVIDIA = "nvidia-"
NVIDIA_LIBRARIES = {
    "cublas": 580,
    "cudnn": 650,
    "cufft": 200,
    "curand": 60,
    "cusolver": 260,
    "cusparse": 290,
    "cusparselt": 280,
    "cuda-nvrtc": 90,
    "nccl": 320,
    "nvjitlink": 40,
    "nvshmem": 120,
}


def sizes(packages: Iterable[Package], env: Env | None) -> dict[str, float]:
    """Estimate the compressed bytes of each package at run time, by its name."""
    running = [package for package in packages if package.runtime and not package.optional]
    lean = {package.name for package in running if package.version.endswith("+cpu")}
    return {package.name: _size(package, env, package.name in lean) for package in running}


def for_gpus(names: Iterable[str]) -> bool:
    """Tell whether libraries for NVIDIA's GPUs are among the packages."""
    return any(name.startswith(NVIDIA) for name in names)


def _size(package: Package, env: Env | None, lean: bool) -> float:
    if lean and package.name == "torch":
        return TORCH_ON_CPU * MB
    if package.name.startswith(NVIDIA):
        library = package.name.removeprefix(NVIDIA).rpartition("-cu")[0]
        return NVIDIA_LIBRARIES.get(library or package.name.removeprefix(NVIDIA), 5) * MB
    if package.name in HEAVY:
        return HEAVY[package.name] * MB
    return _installed(env, package.name) * SHRINKS_TO if env else 0


def _installed(env: Env, name: str) -> int:
    """Sum the bytes of an installed package's files."""
    found: Iterable[metadata.Distribution] = env.site_packages.distributions(name=name)
    return sum(file.size or 0 for dist in found for file in dist.files or [])
