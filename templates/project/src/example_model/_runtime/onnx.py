"""Conversion of a fitted estimator to an ONNX model with one output for each of its methods."""

import copy
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any

from .errors import ProjectError
from .formats import install

# Every onnxruntime that a project may be installed with reads these, and every converter writes them.
OPSETS = {"": 18, "ai.onnx.ml": 3}

# scikit-learn's default token is two or more characters that Python takes for part of a word. The
# converter's own translation of it knows the letters of ASCII alone: "café" would become "caf".
TOKEN_PATTERN, TOKEN = r"(?u)\b\w\w+\b", r"[\p{L}\p{N}_]{2,}"

Input = tuple[str, str, int]
"""The name of an input, the kind of its values ("float32", "float64", "int64" or "str"), its width."""


def convert(estimator: Any, inputs: Sequence[Input], methods: Iterable[str]) -> Any:
    """A fitted scikit-learn estimator, or pipeline, as ONNX. Its outputs have the names of the methods.

    Raises what the converters raise, or ProjectError where there is no output for a method.
    """
    import onnx

    _register_boosters()
    estimator = _without_names(estimator)
    methods = list(methods)
    classifies = hasattr(last(estimator), "classes_")
    options = {"zipmap": False} if classifies else {}
    if "score_samples" in methods:
        options["score_samples"] = True
    model = _convert(estimator, inputs, options)
    scores = "decision_function" in methods and classifies
    extra = _convert(estimator, inputs, {**options, "raw_scores": True}) if scores else None
    names = [output.name for output in model.graph.output]
    outputs = {method: _output(method, names, methods) for method in methods}
    if extra is not None:
        _without_shares(extra)
        outputs["decision_function"] = _append(model, extra, 1)
    del model.graph.output[:]
    for method, name in outputs.items():
        if name != method:
            model.graph.node.append(onnx.helper.make_node("Identity", [name], [method]))
        # Without a type: the converters do not always know theirs, and onnxruntime infers it.
        model.graph.output.append(onnx.ValueInfoProto(name=method))
    _sort_opsets(model)
    return model


def offers(estimator: Any, method: str) -> bool:
    """Whether an estimator has a method that can be saved. Of LightGBM's, raw scores do not convert."""
    is_lightgbm = type(last(estimator)).__module__.startswith("lightgbm.")
    return hasattr(estimator, method) and not (is_lightgbm and method == "decision_function")


def last(estimator: Any) -> Any:
    """The last step of a pipeline, or the estimator itself."""
    return last(estimator.steps[-1][1]) if hasattr(estimator, "steps") else estimator


def first(estimator: Any) -> Any:
    """The first step of a pipeline, or the estimator itself."""
    return first(estimator.steps[0][1]) if hasattr(estimator, "steps") else estimator


def _without_names(estimator: Any) -> Any:
    """A copy of an XGBoost estimator that knows no columns by name: its converter takes "f0", "f1" alone."""
    booster = last(estimator)
    if (
        not type(booster).__module__.startswith("xgboost")
        or not booster.get_booster().feature_names
    ):
        return estimator
    estimator = copy.deepcopy(estimator)
    last(estimator).get_booster().feature_names = None
    return estimator


def _output(method: str, names: Sequence[str], methods: Sequence[str]) -> str:
    """The converter's output that answers a method: labels or values come first, then scores."""
    place = 0 if method == "predict" or "predict" not in methods else 1
    if method == "score_samples":
        place = len(names) - 1
    if place >= len(names) or (method == "score_samples") != (names[place] == "score_samples"):
        raise ProjectError(f"the converter has no output for {method}")
    return names[place]


def _convert(estimator: Any, inputs: Sequence[Input], options: dict[str, Any]) -> Any:
    """What skl2onnx makes, with those of the options that the last step knows."""
    import skl2onnx
    from skl2onnx.common import data_types
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

    tensors = {
        "float32": data_types.FloatTensorType,
        "float64": data_types.DoubleTensorType,
        "int64": data_types.Int64TensorType,
        "str": data_types.StringTensorType,
    }
    types = [(name, tensors[kind]([None, width])) for name, kind, width in inputs]
    text = _text_options(estimator)
    known: dict[Any, Any] = dict.fromkeys((CountVectorizer, TfidfVectorizer), text)
    for left_out in [(), *((option,) for option in options), tuple(options)]:
        chosen = {name: value for name, value in options.items() if name not in left_out}
        try:
            return skl2onnx.to_onnx(
                estimator,
                initial_types=types,
                options={**known, id(estimator): chosen, id(last(estimator)): chosen},
                target_opset=OPSETS,
            )
        except NameError:  # an option that this converter has not
            if len(left_out) == len(options):
                raise
    raise AssertionError("the last attempt returns or raises")


def _text_options(estimator: Any) -> dict[str, str]:
    """How the vectorizers of an estimator cut text. The default locale, en_US.UTF-8, is rare in containers."""
    parts = estimator.get_params().values() if hasattr(estimator, "get_params") else ()
    vectorizers = [part for part in (estimator, *parts) if hasattr(part, "token_pattern")]
    plain = all(p.analyzer == "word" and p.token_pattern == TOKEN_PATTERN for p in vectorizers)
    return {"locale": "C.UTF-8", **({"tokenexp": TOKEN} if plain else {})}


def _append(model: Any, extra: Any, place: int) -> str:
    """Put the nodes of another model beside a model's own, and name the output at this place of it.

    Both have the same inputs. What the two compute alike, onnxruntime computes once.
    """
    own = {input.name for input in extra.graph.input}

    def renamed(name: str) -> str:
        return name if name in own or not name else f"raw_{name}"

    def rename(graph: Any) -> None:
        for node in graph.node:
            node.name = renamed(node.name)
            node.input[:] = [renamed(name) for name in node.input]
            node.output[:] = [renamed(name) for name in node.output]
            if any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute):
                raise ProjectError("the converter's graph for decision_function cannot be joined")

    rename(extra.graph)
    for tensor in extra.graph.initializer:
        tensor.name = renamed(tensor.name)
    model.graph.node.extend(extra.graph.node)
    model.graph.initializer.extend(extra.graph.initializer)
    known = {opset.domain for opset in model.opset_import}
    model.opset_import.extend(o for o in extra.opset_import if o.domain not in known)
    return renamed(extra.graph.output[place].name)


def _without_shares(model: Any) -> None:
    """Let a booster's trees give their scores as they are: its converter has no option for that."""
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "TreeEnsembleClassifier" and attribute.name == "post_transform":
                attribute.s = b"NONE"


def _sort_opsets(model: Any) -> None:
    """Collected in a set by the converter: without an order one training would not give the bytes of another."""
    opsets = sorted(model.opset_import, key=lambda opset: str(opset.domain))
    del model.opset_import[:]
    model.opset_import.extend(opsets)


def _register_boosters() -> None:
    """Teach skl2onnx what onnxmltools knows of the boosting libraries that are in use."""
    from skl2onnx import update_registered_converter
    from skl2onnx.common import shape_calculator as shapes

    classes = shapes.calculate_linear_classifier_output_shapes
    values = shapes.calculate_linear_regressor_output_shapes
    options = {"nocl": [True, False], "zipmap": [True, False, "columns"]}
    for library, folder, name in (("lightgbm", "LightGbm", "LGBM"), ("xgboost", "XGBoost", "XGB")):
        if library not in sys.modules:
            continue
        module = f"onnxmltools.convert.{library}.operator_converters.{folder}"
        try:
            found = import_module(module)
        except ModuleNotFoundError as error:
            raise ProjectError(f"onnxmltools is not installed. {install('onnxmltools')}") from error
        convert = getattr(found, f"convert_{library}")
        for kind, shape, given in (("Classifier", classes, options), ("Regressor", values, None)):
            estimator = getattr(sys.modules[library], name + kind)
            alias = f"{folder}{name}{kind}"
            update_registered_converter(estimator, alias, shape, convert, options=given)
